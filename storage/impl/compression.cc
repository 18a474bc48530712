#include "storage/compression.h"

namespace flowstone {

Result<void> decompress(Codec codec, Bytes in, size_t bytes_max, std::vector<std::byte>& out) {
    if (codec != Codec::none) { return fail(Code::unsupported, "batch.decompress", name(codec)); }
    if (in.size() > bytes_max) { return fail(Code::too_large, "batch.decompress"); }
    out.assign(in.begin(), in.end());
    return {};
}

Result<void> compress(Codec codec, Bytes in, std::vector<std::byte>& out) {
    if (codec != Codec::none) { return fail(Code::unsupported, "batch.compress", name(codec)); }
    out.insert(out.end(), in.begin(), in.end());
    return {};
}

}  // namespace flowstone
