// Producer snapshots: the bytes as they are, and with their checksum made right.
#include <vector>

#include "storage/check.h"
#include "storage/checksum.h"
#include "storage/producer_snapshot.h"

using namespace flowstone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                 reinterpret_cast<const std::byte*>(data) + size);
    (void)decode_producer_snapshot(bytes);
    if (bytes.size() < 6) { return 0; }
    store_be(bytes.data() + 2, crc32c(Bytes(bytes).subspan(6)));
    const auto entries = decode_producer_snapshot(bytes);
    if (entries) { CHECK(encode_producer_snapshot(*entries) == bytes); }
    return 0;
}
