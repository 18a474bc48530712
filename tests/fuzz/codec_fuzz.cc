// Any bytes as a compressed stream; the first byte names the codec. The same bytes are also compressed and must come
// back.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/check.h"
#include "storage/compression.h"
#include "storage/limits.h"

namespace flowstone {
namespace {

void try_codec(Codec codec, Bytes bytes) {
    constexpr size_t bytes_max = 4 << 20;
    std::vector<std::byte> out;
    const auto done = decompress(codec, bytes, bytes_max, out);
    CHECK(done || done.error().code == Code::corrupt || done.error().code == Code::too_large);
    CHECK(out.size() <= bytes_max);
    CHECK(codec == Codec::none || out.size() <= bytes.size() * decompression_ratio_max);

    std::vector<std::byte> packed;
    CHECK(compress(codec, bytes, packed).has_value());
    const auto back = decompress(codec, packed, bytes.size(), out);
    if (!back) {
        CHECK(back.error().code == Code::too_large);  // compressed better than the ratio we accept
        CHECK(codec != Codec::none && bytes.size() > packed.size() * decompression_ratio_max);
        return;
    }
    CHECK(as_text(out) == as_text(bytes));
}

}  // namespace
}  // namespace flowstone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) { return 0; }
    const auto codec = static_cast<flowstone::Codec>(data[0] % 5);
    flowstone::try_codec(codec, {reinterpret_cast<const std::byte*>(data) + 1, size - 1});
    return 0;
}
