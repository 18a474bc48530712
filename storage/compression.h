// The four codecs of Kafka's batches, each bounded before memory is taken.
#pragma once

#include <vector>

#include <flowstone/result.h>

#include "storage/batch.h"

namespace flowstone {

// Replaces `out` by the decompressed bytes. gzip (RFC 1952, several members), snappy (raw block or xerial framing, as
// Kafka clients write it), lz4 (one frame), zstd (frames of version 1). `out` never grows past `bytes_max`, nor past
// decompression_ratio_max times the input; it grows with bytes produced, doubling, not with what a header claims. The
// decoders kept for each thread take at most 9 MiB besides (for lz4 in blocks of 4 MiB; 400 KiB for what Java writes).
// Errors: corrupt (also for bytes left over or missing), too_large; then `out` is empty.
Result<void> decompress(Codec codec, Bytes in, size_t bytes_max, std::vector<std::byte>& out);

// Appends the compressed bytes to `out`, as the Java client writes them: snappy in xerial framing of 32 KiB blocks, lz4
// in independent blocks of 64 KiB. Default levels. Errors: too_large (above 2 GiB).
Result<void> compress(Codec codec, Bytes in, std::vector<std::byte>& out);

// The same batch with its records as they are, in `out`; a batch that is not compressed is returned as it is. For us to
// look into: it has no checksum. Errors: corrupt, too_large (above `bytes_max`), unsupported.
Result<BatchView> unpack(BatchView batch, size_t bytes_max, std::vector<std::byte>& out);

}  // namespace flowstone
