// Where Kafka's Java producer puts a key (org.apache.kafka.common.utils.Utils.murmur2, BuiltInPartitioner).

#include "storage/batch.h"
#include "storage/check.h"

namespace flowstone {

uint32_t murmur2(Bytes key) {
    constexpr uint32_t multiplier = 0x5bd1e995;
    const size_t size = key.size();
    uint32_t hash = 0x9747b28c ^ static_cast<uint32_t>(size);
    size_t at = 0;
    for (; size - at >= 4; at += 4) {
        auto word = load_le<uint32_t>(&key[at]);
        word *= multiplier;
        word ^= word >> 24;
        word *= multiplier;
        hash *= multiplier;
        hash ^= word;
    }
    const size_t left = size - at;
    if (left >= 3) { hash ^= static_cast<uint32_t>(key[at + 2]) << 16; }
    if (left >= 2) { hash ^= static_cast<uint32_t>(key[at + 1]) << 8; }
    if (left >= 1) {
        hash ^= static_cast<uint32_t>(key[at]);
        hash *= multiplier;
    }
    hash ^= hash >> 13;
    hash *= multiplier;
    hash ^= hash >> 15;
    return hash;
}

int32_t partition_for_key(Bytes key, int32_t partition_count) {
    CHECK(partition_count > 0);
    return static_cast<int32_t>(murmur2(key) & 0x7fffffff) % partition_count;
}

}  // namespace flowstone
