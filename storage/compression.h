// The four codecs of Kafka's batches, each bounded before memory is taken.
#pragma once

#include <vector>

#include <flowstone/result.h>

#include "storage/batch.h"

namespace flowstone {

// Replaces `out` by the decompressed bytes. gzip (RFC 1952, several members), snappy (raw block or xerial framing, as
// Kafka clients write it), lz4 (frame), zstd (frames). `out` never grows past `bytes_max`, nor past
// decompression_ratio_max times the input; memory grows with bytes produced, not with what a header claims.
// Errors: corrupt (also for bytes left over), too_large.
Result<void> decompress(Codec codec, Bytes in, size_t bytes_max, std::vector<std::byte>& out);

// Appends the compressed bytes to `out`. Snappy in xerial framing of 32 KiB blocks, as the Java client writes it.
Result<void> compress(Codec codec, Bytes in, std::vector<std::byte>& out);

}  // namespace flowstone
