// Consumer offsets as records of `__consumer_offsets`, in Kafka's format.
//
//   key    i16 version 0 or 1 · group: string · topic: string · partition: i32           OffsetCommitKey
//          i16 version 2 · group: string                                                 GroupMetadataKey
//   value  i16 version · offset: i64 · leader epoch: i32 · metadata: string · commit time: i64     OffsetCommitValue 3
//          version 4 is flexible: compact string, tagged field 0 is the topic id; 0 to 2 have no leader epoch,
//          1 has an expiry time at the end. No value: the commit is deleted.
//
// string = i16 length and UTF-8, all integers big endian. Schemas: Kafka's group-coordinator/.../common/message.
// Format page: docs/formats/consumer-offsets.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/record.h>
#include <flowstone/result.h>

#include "storage/bytes.h"

namespace flowstone {

constexpr std::string_view consumer_offsets_topic = "__consumer_offsets";
constexpr int32_t consumer_offsets_partitions_default = 50;  // Kafka's offsets.topic.num.partitions

// Java's String.hashCode: s[0]*31^(n-1) + ... + s[n-1] over UTF-16 units, in 32 bits. Malformed UTF-8 counts as
// U+FFFD, as Java decodes it.
int32_t java_string_hash(std::string_view utf8);
// The partition of __consumer_offsets that holds a group: Kafka's Utils.abs(hash) % partitions.
int32_t partition_for_group(std::string_view group, int32_t partitions = consumer_offsets_partitions_default);

struct OffsetCommitKey {
    std::string group;
    std::string topic;
    int32_t partition = 0;
    friend auto operator<=>(const OffsetCommitKey&, const OffsetCommitKey&) = default;
};
struct GroupMetadataKey {
    std::string group;
    friend auto operator<=>(const GroupMetadataKey&, const GroupMetadataKey&) = default;
};
struct OtherGroupKey {  // version 3 and above: members and assignments of newer group types
    int16_t version = 0;
    friend auto operator<=>(const OtherGroupKey&, const OtherGroupKey&) = default;
};
using GroupKey = std::variant<OffsetCommitKey, GroupMetadataKey, OtherGroupKey>;

struct OffsetCommit {
    Offset offset;  // of the next record to read
    int32_t leader_epoch = -1;
    std::string metadata;
    int64_t commit_timestamp_ms = -1;
    int64_t expire_timestamp_ms = -1;  // only in values of version 1
    friend bool operator==(const OffsetCommit&, const OffsetCommit&) = default;
};

// A Kafka string holds 32,767 bytes; Kafka's own limit for metadata (offset.metadata.max.bytes) is lower.
constexpr size_t offset_metadata_bytes_max = 4096;

Result<std::vector<std::byte>> encode(
    const OffsetCommitKey& key);  // version 1. Errors: too_large, invalid (negative partition).
Result<std::vector<std::byte>> encode(const OffsetCommit& commit);  // version 3. Errors: too_large (metadata).
Result<GroupKey> decode_group_key(Bytes key);                       // Errors: corrupt.
Result<OffsetCommit> decode_offset_commit(Bytes value);             // Errors: corrupt, unsupported (version above 4).

// The committed offsets of one or all partitions of __consumer_offsets. Built only by applying records in order.
class OffsetTable {
public:
    // Errors: corrupt, unsupported, invalid (no key): then nothing changed.
    Result<void> apply(const RecordView& record);
    Result<void> apply(Bytes key, std::optional<Bytes> value);

    using TopicOffsets = std::map<TopicPartition, OffsetCommit>;  // sorted by topic and partition
    const OffsetCommit* find(std::string_view group, std::string_view topic, int32_t partition) const;
    // Empty when the group has committed nothing.
    const TopicOffsets& offsets(std::string_view group) const;
    std::vector<std::string> groups() const;  // with offsets or group metadata; sorted
    // The group's state as it was written (Kafka's GroupMetadataValue), for the coordinator to come. Null: none.
    const std::vector<std::byte>* group_metadata(std::string_view group) const;

    uint64_t records_skipped() const { return records_skipped_; }  // of newer group types
    size_t size() const { return size_; }                          // commits

private:
    std::map<std::string, TopicOffsets, std::less<>> groups_;
    std::map<std::string, std::vector<std::byte>, std::less<>> group_metadata_;
    uint64_t records_skipped_ = 0;
    size_t size_ = 0;
};

}  // namespace flowstone
