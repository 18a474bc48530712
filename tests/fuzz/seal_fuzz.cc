// Seals: the bytes as they are, and with their checksum made right, so that what lies behind it is reached too.
#include <vector>

#include "storage/check.h"
#include "storage/seal.h"

using namespace flowstone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                 reinterpret_cast<const std::byte*>(data) + size);
    (void)decode_seal(bytes);
    if (bytes.size() < 8) { return 0; }
    store_le(bytes.data() + bytes.size() - 8, xxh3_64(Bytes(bytes).first(bytes.size() - 8)));
    const auto seal = decode_seal(bytes);
    if (!seal) { return 0; }
    CHECK(encode_seal(*seal) == bytes);
    if (seal->chain) { (void)seal->head(); }
    return 0;
}
