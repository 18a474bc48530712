// Topics, partitions, configs and producer ids of a directory or cluster: the state that the metadata log describes.
//
// Built only by applying records, in the order of the log, on one node exactly as Raft will feed it later: the same
// records give the same state everywhere. Commands validate against the state and return the records to append; they
// change nothing, so what was never appended never happened. Append a command's records as one batch (or between
// begin and end of a transaction), then apply them before the next command is asked.
//
// Pure: no clock, no I/O. Not synchronised: the caller's lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/metadata_records.h"

namespace flowstone {

constexpr int32_t producer_id_block = 1000;  // Kafka's size of a block

// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], neither "." nor "..". Errors: invalid, naming the topic and the reason.
Result<void> check_topic_name(std::string_view name);
// __consumer_offsets, __transaction_state, __share_group_state, __cluster_metadata.
bool is_internal_topic(std::string_view name);

struct PartitionState {
    int32_t leader = -1;  // broker id; -1: none
    int32_t leader_epoch = -1;
    int32_t partition_epoch = -1;
    std::vector<int32_t> replicas;
    std::vector<int32_t> isr;
    std::vector<Uuid> directories;
    std::vector<int32_t> removing;
    std::vector<int32_t> adding;
};

struct TopicState {
    std::string name;
    Uuid id;
    bool internal = false;
    std::vector<PartitionState> partitions;              // by number, without holes
    std::map<int32_t, PartitionState> partitions_ahead;  // came before a lower one; only for a while in a sound log
    std::map<std::string, std::string> configs;          // those set
    ConfigMap config_map() const;
};

// Kafka's first hundred mean that a partition has no directory yet, or none any more (DirectoryId).
bool is_directory_id(const Uuid& id);

// Where new partitions of this node go.
struct Placement {
    int32_t broker = 1;
    Uuid directory;                  // zero: unassigned
    std::vector<Uuid> each_in = {};  // one directory for each new partition; empty: `directory` for all
};

class Metadata {
public:
    // One record. Afterwards look-ups answer by it; inside a transaction, once its end was applied. Errors: corrupt,
    // unsupported, from decoding; corrupt when it contradicts the state (a partition of a topic that never was). Then
    // the log is damaged or of a kind we do not know: go no further with this state.
    Result<void> apply(Bytes value);
    Result<void> apply(const MetadataRecord& record);

    const TopicState* topic(std::string_view name) const;  // null when there is none; valid until the next apply
    const TopicState* topic(const Uuid& id) const;
    const std::map<std::string, std::unique_ptr<TopicState>, std::less<>>& topics() const {
        return topics_;
    }  // by name
    bool is_deleted(const Uuid& id) const { return deleted_.contains(id); }
    const std::set<Uuid>& deleted_topics() const { return deleted_; }
    size_t partition_count() const { return partition_count_; }
    const std::map<std::string, int16_t>& features() const { return features_; }
    // Broker configs by broker id as text; "" holds the defaults of the cluster.
    const std::map<std::string, std::map<std::string, std::string>>& broker_configs() const { return broker_configs_; }
    int64_t next_producer_id() const { return next_producer_id_; }
    uint64_t records_skipped() const { return records_skipped_; }  // of types that are not kept
    bool in_transaction() const { return in_transaction_; }

    // Records that, applied to an empty state, give this one. Deleted ids too.
    std::vector<MetadataRecord> snapshot() const;

    // Commands. Each returns the records to append.
    // `id` must be fresh. Configs are checked as TopicConfig::parse does.
    // Errors: invalid (name, id, config, partition count below 1), exists (that name, or one that differs only in '.'
    // and '_'), out_of_range (partition count above partitions_per_topic_max).
    struct NewTopic {
        std::string_view name;
        Uuid id;
        int32_t partitions = 1;
        ConfigMap configs{};
        Placement placement{};
    };
    Result<std::vector<MetadataRecord>> create_topic(const NewTopic& topic) const;
    // `total` is the count afterwards. Errors: not_found, invalid (not above the present count), out_of_range.
    Result<std::vector<MetadataRecord>> add_partitions(std::string_view name, int32_t total,
                                                       const Placement& placement) const;
    // A name in both is set. Errors: not_found, invalid.
    Result<std::vector<MetadataRecord>> alter_configs(std::string_view name, const ConfigMap& set,
                                                      std::span<const std::string> unset) const;
    Result<std::vector<MetadataRecord>> delete_topic(std::string_view name) const;  // Errors: not_found.
    // The next `producer_id_block` ids, [next_producer_id(), + block), belong to the caller once the record is durable.
    Result<std::vector<MetadataRecord>> allocate_producer_ids(int32_t broker, int64_t broker_epoch) const;
    // Errors: invalid.
    Result<std::vector<MetadataRecord>> set_feature(std::string_view name, int16_t level) const;

private:
    Result<void> apply_now(const MetadataRecord& record);
    std::map<std::string, std::string>& configs_of(const ConfigRecord& record);
    const TopicState* colliding(std::string_view name) const;
    Result<void> on(const TopicRecord& record);
    Result<void> on(const PartitionRecord& record);
    Result<void> on(const ConfigRecord& record);
    Result<void> on(const PartitionChangeRecord& record);
    Result<void> on(const RemoveTopicRecord& record);
    Result<void> on(const FeatureLevelRecord& record);
    Result<void> on(const ProducerIdsRecord& record);
    Result<void> on(const NoOpRecord& record);
    Result<void> on(const TransactionRecord& record);
    Result<void> on(const OtherRecord& record);

    struct UuidHash {
        size_t operator()(const Uuid& id) const;
    };
    std::map<std::string, std::unique_ptr<TopicState>, std::less<>> topics_;
    std::unordered_map<Uuid, TopicState*, UuidHash> topics_by_id_;              // never iterated
    std::map<std::string, TopicState*, std::less<>> topics_by_collision_key_;   // the name with '_' for '.'
    std::map<std::string, std::map<std::string, std::string>> orphan_configs_;  // of topics that are not there (yet)
    std::set<Uuid> deleted_;
    std::map<std::string, int16_t> features_;
    std::map<std::string, std::map<std::string, std::string>> broker_configs_;
    std::vector<MetadataRecord> pending_;  // of the open transaction
    bool in_transaction_ = false;
    size_t partition_count_ = 0;
    int64_t next_producer_id_ = 0;
    uint64_t records_skipped_ = 0;
};

}  // namespace flowstone
