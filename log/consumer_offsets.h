// Consumer offsets as records of `__consumer_offsets`, in Kafka's format.
//
//   key    i16 version 0 or 1 · group: string · topic: string · partition: i32           OffsetCommitKey
//          i16 version 2 · group: string                                                 GroupMetadataKey
//   value  i16 version · offset: i64 · leader epoch: i32 · metadata: string · commit time: i64     OffsetCommitValue 3
//          version 4 is flexible: compact string, tagged field 0 is the topic id; 0 to 2 have no leader epoch,
//          1 has an expiry time at the end. No value: the commit is deleted.
//   value  i16 version · protocol type: string · generation: i32 · protocol: string? · leader: string? ·
//          state time: i64 · members                                                     GroupMetadataValue 3
//          member = id: string · instance id: string? · client id: string · client host: string ·
//          rebalance timeout: i32 · session timeout: i32 · subscription: bytes · assignment: bytes
//          version 4 is flexible; 0 and 1 have no state time, 0 no rebalance timeout, 0 to 2 no instance id.
//          No value: the group is gone.
//
// string = i16 length and UTF-8, `?` may be null (-1); bytes and lists have an i32 length; all integers big endian.
// Schemas: Kafka's group-coordinator/.../common/message.
// Format page: docs/formats/consumer-offsets.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
// What Java's String.length says: UTF-16 units. Kafka's limit on offset metadata counts these.
size_t java_string_length(std::string_view utf8);
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
    int64_t expire_timestamp_ms = -1;  // set by requests of version 2 to 4 only; else the broker's retention counts
    friend bool operator==(const OffsetCommit&, const OffsetCommit&) = default;
};

// Kafka's offset.metadata.max.bytes, which counts java_string_length().
constexpr size_t offset_metadata_length_max_default = 4096;

// A group's own state as of its last complete rebalance. Without members: it is empty.
struct GroupMetadata {
    struct Member {
        std::string id{};
        std::optional<std::string> instance_id{};  // of a static member
        std::string client_id{};
        std::string client_host{};
        int32_t rebalance_timeout_ms = -1;  // -1: as the session's
        int32_t session_timeout_ms = 0;
        std::vector<std::byte> subscription{};  // what it said for the chosen protocol
        std::vector<std::byte> assignment{};    // what the leader gave it
        friend bool operator==(const Member&, const Member&) = default;
    };
    std::string protocol_type{};  // "consumer", "connect"; empty: the group never had members
    int32_t generation = 0;
    std::optional<std::string> protocol{};  // none while the group is empty
    std::optional<std::string> leader{};
    int64_t state_timestamp_ms = -1;  // when the group came into this state; -1: not known
    std::vector<Member> members{};
    friend bool operator==(const GroupMetadata&, const GroupMetadata&) = default;
};

// One record to append. `value` empty: forget the key.
struct GroupRecord {
    std::vector<std::byte> key;
    std::optional<std::vector<std::byte>> value;
};

Result<std::vector<std::byte>> encode(
    const OffsetCommitKey& key);  // version 1. Errors: too_large, invalid (negative partition).
Result<std::vector<std::byte>> encode(const GroupMetadataKey& key);  // Errors: too_large.
// Version 3; 1, which has no leader epoch, when there is an expiry time: as Kafka. Errors: too_large (metadata).
Result<std::vector<std::byte>> encode(const OffsetCommit& commit);
Result<std::vector<std::byte>> encode(const GroupMetadata& group);  // version 3. Errors: too_large (a string).
Result<GroupKey> decode_group_key(Bytes key);                       // Errors: corrupt.
Result<OffsetCommit> decode_offset_commit(Bytes value);             // Errors: corrupt, unsupported (version above 4).
Result<GroupMetadata> decode_group_metadata(Bytes value);           // the same

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
    // The group's state as it was written, for decode_group_metadata. Null: none.
    const std::vector<std::byte>* group_metadata(std::string_view group) const;

    // What apply() does for a record of an offset; for whoever wrote the record itself.
    void set(std::string_view group, const TopicPartition& at, OffsetCommit commit);
    void erase(std::string_view group, const TopicPartition& at);
    // Hands over what group_metadata() has, sorted by group; for whoever keeps it from then on.
    std::vector<std::pair<std::string, std::vector<std::byte>>> take_group_metadata();

    uint64_t records_skipped() const { return records_skipped_; }  // of newer group types
    size_t size() const { return size_; }                          // commits

private:
    std::map<std::string, TopicOffsets, std::less<>> groups_;
    std::map<std::string, std::vector<std::byte>, std::less<>> group_metadata_;
    uint64_t records_skipped_ = 0;
    size_t size_ = 0;
};

}  // namespace flowstone
