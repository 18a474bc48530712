// Records of the metadata log, `__cluster_metadata-0`, byte for byte as Kafka's controller writes them.
//
//   value = frame version (unsigned varint, 1) · api key (unsigned varint) · version (unsigned varint) · fields
//
// Record keys are null. Every version of every record here is "flexible" (KIP-482): compact strings and arrays, and
// tagged fields at the end. Layouts: Kafka's metadata/src/main/resources/common/metadata/*.json.
// Format page: docs/formats/metadata-log.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/bytes.h"

namespace flowstone {

constexpr int8_t config_resource_topic = 2;
constexpr int8_t config_resource_broker = 4;

struct TopicRecord {  // 2
    std::string name;
    Uuid topic_id;
    friend bool operator==(const TopicRecord&, const TopicRecord&) = default;
};

struct PartitionRecord {  // 3, written as version 1; 0 to 2 are read
    int32_t partition = -1;
    Uuid topic_id{};
    std::vector<int32_t> replicas{};  // broker ids, the preferred one first
    std::vector<int32_t> isr{};
    std::vector<int32_t> removing{};
    std::vector<int32_t> adding{};
    int32_t leader = -1;
    int32_t leader_epoch = -1;
    int32_t partition_epoch = -1;
    std::vector<Uuid> directories{};  // one per replica; empty when version 0
    friend bool operator==(const PartitionRecord&, const PartitionRecord&) = default;
};

struct ConfigRecord {  // 4
    int8_t resource_type = 0;
    std::string resource;
    std::string name;
    std::optional<std::string> value;  // absent: back to the default
    friend bool operator==(const ConfigRecord&, const ConfigRecord&) = default;
};

struct PartitionChangeRecord {  // 5; what is absent did not change
    int32_t partition = -1;
    Uuid topic_id{};
    std::optional<std::vector<int32_t>> isr{};
    std::optional<int32_t> leader{};  // -1: none. Any value, the same one too, starts a new leader epoch.
    std::optional<std::vector<int32_t>> replicas{};
    std::optional<std::vector<int32_t>> removing{};
    std::optional<std::vector<int32_t>> adding{};
    std::optional<std::vector<Uuid>> directories{};
    friend bool operator==(const PartitionChangeRecord&, const PartitionChangeRecord&) = default;
};

struct RemoveTopicRecord {  // 9
    Uuid topic_id;
    friend bool operator==(const RemoveTopicRecord&, const RemoveTopicRecord&) = default;
};

struct FeatureLevelRecord {  // 12
    std::string name;
    int16_t level = 0;  // 0 removes the feature
    friend bool operator==(const FeatureLevelRecord&, const FeatureLevelRecord&) = default;
};

struct ProducerIdsRecord {  // 15
    int32_t broker = -1;
    int64_t broker_epoch = -1;
    int64_t next_producer_id = 0;  // everything below is given away
    friend bool operator==(const ProducerIdsRecord&, const ProducerIdsRecord&) = default;
};

struct NoOpRecord {  // 20
    friend bool operator==(const NoOpRecord&, const NoOpRecord&) = default;
};

// 23, 24, 25: the records between begin and end are applied at end, or not at all.
struct TransactionRecord {
    enum class Kind : uint8_t { begin = 23, end = 24, abort = 25 };
    Kind kind = Kind::begin;
    friend bool operator==(const TransactionRecord&, const TransactionRecord&) = default;
};

// A record whose type we do not keep (brokers, access control, quotas, ...).
struct OtherRecord {
    uint32_t api_key = 0;
    uint32_t version = 0;
    friend bool operator==(const OtherRecord&, const OtherRecord&) = default;
};

using MetadataRecord =
    std::variant<TopicRecord, PartitionRecord, ConfigRecord, PartitionChangeRecord, RemoveTopicRecord,
                 FeatureLevelRecord, ProducerIdsRecord, NoOpRecord, TransactionRecord, OtherRecord>;

// Appends the value of one record to `out`. An OtherRecord cannot be written (CHECK).
void encode(const MetadataRecord& record, ByteWriter& out);
std::vector<std::byte> encode(const MetadataRecord& record);

// Memory stays below a small multiple of the bytes given.
// Errors: corrupt (fields do not add up), unsupported (another frame version, or a newer version of a record we keep).
Result<MetadataRecord> decode_metadata_record(Bytes value);

}  // namespace flowstone
