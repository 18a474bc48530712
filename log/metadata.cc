#include "log/metadata.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/topic_config.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* apply_operation = "metadata.apply";

std::unexpected<Error> contradiction(const std::string& what) { return fail(Code::corrupt, apply_operation, what); }

// Metric names made '.' and '_' alike in Kafka, so it refuses names that differ in nothing else; so do we.
std::string collision_key(std::string_view name) {
    std::string key(name);
    std::ranges::replace(key, '.', '_');
    return key;
}

// `index` counts the partitions that are made together.
PartitionRecord new_partition(const Uuid& topic, int32_t number, const Placement& placement, size_t index) {
    return {.partition = number,
            .topic_id = topic,
            .replicas = {placement.broker},
            .isr = {placement.broker},
            .removing = {},
            .adding = {},
            .leader = placement.broker,
            .leader_epoch = 0,
            .partition_epoch = 0,
            .directories = {placement.each_in.empty() ? placement.directory : placement.each_in[index]}};
}

Result<void> check_partition_count(const char* operation, std::string_view topic, int32_t count) {
    if (count < 1) { return fail(Code::invalid, operation, fmt::format("{}: {} partitions", topic, count)); }
    if (count > partitions_per_topic_max) {
        return fail(Code::out_of_range, operation,
                    fmt::format("{}: {} partitions, at most {}", topic, count, partitions_per_topic_max));
    }
    return {};
}

Error no_such_topic(const char* operation, std::string_view name) {
    return fail(Code::not_found, operation, fmt::format("topic {}", name)).error();
}

}  // namespace

Result<void> check_topic_name(std::string_view name) {
    constexpr const char* operation = "topic.name";
    if (name.empty()) { return fail(Code::invalid, operation, "a topic's name must not be empty"); }
    if (name == "." || name == "..") {
        return fail(Code::invalid, operation, fmt::format("\"{}\" cannot be the name of a topic", name));
    }
    if (name.size() > topic_name_bytes_max) {
        return fail(Code::invalid, operation,
                    fmt::format("\"{}...\" has {} characters, at most {}", name.substr(0, 40), name.size(),
                                topic_name_bytes_max));
    }
    const auto is_legal = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    };
    const auto bad = std::ranges::find_if_not(name, is_legal);
    if (bad == name.end()) { return {}; }
    // The name itself may hold anything, so what is shown of it ends where it goes wrong.
    return fail(Code::invalid, operation,
                fmt::format("\"{}\" is followed by byte 0x{:02x}; only letters, digits, '.', '_' and '-' make a name",
                            name.substr(0, static_cast<size_t>(bad - name.begin())), static_cast<unsigned char>(*bad)));
}

bool is_directory_id(const Uuid& id) {
    return id.bytes.back() >= std::byte{100} ||
           std::any_of(id.bytes.begin(), id.bytes.end() - 1, [](std::byte one) { return one != std::byte{0}; });
}

bool is_internal_topic(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state" ||
           name == "__cluster_metadata";
}

ConfigMap TopicState::config_map() const { return {configs.begin(), configs.end()}; }

size_t Metadata::UuidHash::operator()(const Uuid& id) const { return load_be<size_t>(id.bytes.data() + 8); }

// --- applying ---

Result<void> Metadata::apply(Bytes value) {
    TRY(const MetadataRecord record, decode_metadata_record(value));
    return apply(record);
}

Result<void> Metadata::apply(const MetadataRecord& record) {
    if (in_transaction_ && !std::holds_alternative<TransactionRecord>(record)) {
        pending_.push_back(record);
        return {};
    }
    return apply_now(record);
}

Result<void> Metadata::apply_now(const MetadataRecord& record) {
    return std::visit([this](const auto& kind) { return on(kind); }, record);
}

Result<void> Metadata::on(const TopicRecord& record) {
    // A name from a metadata log becomes a directory: it must be one.
    if (!check_topic_name(record.name)) { return contradiction("a topic whose name no topic can have"); }
    if (topics_.contains(record.name)) { return contradiction(fmt::format("topic {} is there already", record.name)); }
    if (record.topic_id.is_zero() || topics_by_id_.contains(record.topic_id) || is_deleted(record.topic_id)) {
        return contradiction(fmt::format("topic {}: id {} is taken", record.name, record.topic_id.to_string()));
    }
    auto topic = std::make_unique<TopicState>();
    topic->name = record.name;
    topic->id = record.topic_id;
    topic->internal = is_internal_topic(record.name);
    if (auto orphan = orphan_configs_.extract(record.name)) { topic->configs = std::move(orphan.mapped()); }
    topics_by_id_.emplace(topic->id, topic.get());
    topics_by_collision_key_.emplace(collision_key(topic->name), topic.get());
    topics_.emplace(record.name, std::move(topic));
    return {};
}

Result<void> Metadata::on(const PartitionRecord& record) {
    const auto found = topics_by_id_.find(record.topic_id);
    if (found == topics_by_id_.end()) {
        return contradiction(
            fmt::format("partition {} of unknown topic id {}", record.partition, record.topic_id.to_string()));
    }
    TopicState& topic = *found->second;
    if (record.partition < 0 || record.partition >= partitions_per_topic_max) {
        return contradiction(fmt::format("partition {} of topic {}", record.partition, topic.name));
    }
    PartitionState state{.leader = record.leader,
                         .leader_epoch = record.leader_epoch,
                         .partition_epoch = record.partition_epoch,
                         .replicas = record.replicas,
                         .isr = record.isr,
                         .directories = record.directories,
                         .removing = record.removing,
                         .adding = record.adding};
    const auto number = static_cast<size_t>(record.partition);
    if (number < topic.partitions.size()) {
        topic.partitions[number] = std::move(state);
        return {};
    }
    // A number far ahead must not cost memory for all those before it: it waits until they are there.
    topic.partitions_ahead.insert_or_assign(record.partition, std::move(state));
    for (auto next = topic.partitions_ahead.begin();
         next != topic.partitions_ahead.end() && next->first == static_cast<int32_t>(topic.partitions.size());
         next = topic.partitions_ahead.erase(next)) {
        topic.partitions.push_back(std::move(next->second));
        ++partition_count_;
    }
    return {};
}

Result<void> Metadata::on(const PartitionChangeRecord& record) {
    const auto found = topics_by_id_.find(record.topic_id);
    TopicState* topic = found == topics_by_id_.end() ? nullptr : found->second;
    if (topic == nullptr || record.partition < 0 ||
        record.partition >= static_cast<int32_t>(topic->partitions.size())) {
        return contradiction(fmt::format("a change of partition {} of topic id {}, which is not there",
                                         record.partition, record.topic_id.to_string()));
    }
    PartitionState& state = topic->partitions[static_cast<size_t>(record.partition)];
    if (record.leader) {
        state.leader = *record.leader;
        ++state.leader_epoch;
    }
    if (record.isr) { state.isr = *record.isr; }
    if (record.replicas) { state.replicas = *record.replicas; }
    if (record.directories) { state.directories = *record.directories; }
    if (record.removing) { state.removing = *record.removing; }
    if (record.adding) { state.adding = *record.adding; }
    ++state.partition_epoch;
    return {};
}

Result<void> Metadata::on(const ConfigRecord& record) {
    if (record.resource_type != config_resource_topic && record.resource_type != config_resource_broker) {
        ++records_skipped_;  // client metrics, groups
        return {};
    }
    auto& configs = configs_of(record);
    if (record.value) {
        configs.insert_or_assign(record.name, *record.value);
    } else {
        configs.erase(record.name);
    }
    return {};
}

std::map<std::string, std::string>& Metadata::configs_of(const ConfigRecord& record) {
    if (record.resource_type == config_resource_broker) { return broker_configs_[record.resource]; }
    const auto topic = topics_.find(record.resource);
    // Kafka keeps configs by name, whether or not the topic is there yet.
    return topic == topics_.end() ? orphan_configs_[record.resource] : topic->second->configs;
}

Result<void> Metadata::on(const RemoveTopicRecord& record) {
    deleted_.insert(record.topic_id);
    const auto found = topics_by_id_.find(record.topic_id);
    if (found == topics_by_id_.end()) { return {}; }  // from a snapshot: the id alone is remembered
    TopicState* topic = found->second;
    partition_count_ -= topic->partitions.size();
    const auto collision = topics_by_collision_key_.find(collision_key(topic->name));
    if (collision != topics_by_collision_key_.end() && collision->second == topic) {
        topics_by_collision_key_.erase(collision);
    }
    topics_by_id_.erase(found);
    topics_.erase(topics_.find(topic->name));  // its configs go with it, as in Kafka
    return {};
}

Result<void> Metadata::on(const FeatureLevelRecord& record) {
    if (record.level == 0) {
        features_.erase(record.name);
    } else {
        features_.insert_or_assign(record.name, record.level);
    }
    return {};
}

Result<void> Metadata::on(const ProducerIdsRecord& record) {
    if (record.next_producer_id < next_producer_id_) {
        return contradiction(
            fmt::format("producer ids go back from {} to {}", next_producer_id_, record.next_producer_id));
    }
    next_producer_id_ = record.next_producer_id;
    return {};
}

Result<void> Metadata::on(const NoOpRecord&) { return {}; }

Result<void> Metadata::on(const TransactionRecord& record) {
    const bool begins = record.kind == TransactionRecord::Kind::begin;
    if (begins == in_transaction_) {
        return contradiction(begins ? "a transaction begins inside another" : "a transaction ends that never began");
    }
    in_transaction_ = begins;
    const std::vector<MetadataRecord> records = std::exchange(pending_, {});
    if (record.kind != TransactionRecord::Kind::end) { return {}; }
    for (const MetadataRecord& each : records) { TRY_VOID(apply_now(each)); }
    return {};
}

Result<void> Metadata::on(const OtherRecord&) {
    ++records_skipped_;
    return {};
}

// --- look-ups ---

const TopicState* Metadata::topic(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : found->second.get();
}

const TopicState* Metadata::topic(const Uuid& id) const {
    const auto found = topics_by_id_.find(id);
    return found == topics_by_id_.end() ? nullptr : found->second;
}

const TopicState* Metadata::colliding(std::string_view name) const {
    const auto found = topics_by_collision_key_.find(collision_key(name));
    return found == topics_by_collision_key_.end() ? nullptr : found->second;
}

namespace {

void add_configs(std::vector<MetadataRecord>& records, int8_t type, const std::string& resource,
                 const std::map<std::string, std::string>& configs) {
    for (const auto& [name, value] : configs) { records.emplace_back(ConfigRecord{type, resource, name, value}); }
}

PartitionRecord as_record(const Uuid& topic, int32_t number, const PartitionState& state) {
    return {.partition = number,
            .topic_id = topic,
            .replicas = state.replicas,
            .isr = state.isr,
            .removing = state.removing,
            .adding = state.adding,
            .leader = state.leader,
            .leader_epoch = state.leader_epoch,
            .partition_epoch = state.partition_epoch,
            .directories = state.directories};
}

}  // namespace

std::vector<MetadataRecord> Metadata::snapshot() const {
    std::vector<MetadataRecord> records;
    for (const auto& [name, level] : features_) { records.emplace_back(FeatureLevelRecord{name, level}); }
    for (const Uuid& id : deleted_) { records.emplace_back(RemoveTopicRecord{id}); }
    for (const auto& [name, topic] : topics_) {
        records.emplace_back(TopicRecord{name, topic->id});
        add_configs(records, config_resource_topic, name, topic->configs);
        int32_t number = 0;
        for (const PartitionState& state : topic->partitions) {
            records.emplace_back(as_record(topic->id, number++, state));
        }
        for (const auto& [ahead, state] : topic->partitions_ahead) {
            records.emplace_back(as_record(topic->id, ahead, state));
        }
    }
    for (const auto& [name, configs] : orphan_configs_) { add_configs(records, config_resource_topic, name, configs); }
    for (const auto& [broker, configs] : broker_configs_) {
        add_configs(records, config_resource_broker, broker, configs);
    }
    if (next_producer_id_ > 0) { records.emplace_back(ProducerIdsRecord{-1, -1, next_producer_id_}); }
    return records;
}

// --- commands ---

Result<std::vector<MetadataRecord>> Metadata::create_topic(const NewTopic& topic) const {
    constexpr const char* operation = "topic.create";
    TRY_VOID(check_topic_name(topic.name));
    if (topic.name == "__cluster_metadata") {
        return fail(Code::invalid, operation, "__cluster_metadata is the log that topics are kept in");
    }
    if (const TopicState* other = colliding(topic.name)) {
        if (other->name == topic.name) { return fail(Code::exists, operation, fmt::format("topic {}", topic.name)); }
        return fail(Code::exists, operation,
                    fmt::format("topic {} differs from {} only in '.' and '_'", topic.name, other->name));
    }
    if (topic.id.is_zero() || topics_by_id_.contains(topic.id) || is_deleted(topic.id)) {
        return fail(Code::invalid, operation,
                    fmt::format("topic {}: id {} is not fresh", topic.name, topic.id.to_string()));
    }
    TRY_VOID(check_partition_count(operation, topic.name, topic.partitions));
    TRY_VOID(TopicConfig::parse(topic.configs));

    std::vector<MetadataRecord> records;
    records.reserve(1 + topic.configs.size() + static_cast<size_t>(topic.partitions));
    records.emplace_back(TopicRecord{std::string(topic.name), topic.id});
    // What an earlier life of the name left behind does not come back with it.
    if (const auto orphan = orphan_configs_.find(std::string(topic.name)); orphan != orphan_configs_.end()) {
        for (const auto& [name, value] : orphan->second) {
            records.emplace_back(ConfigRecord{config_resource_topic, std::string(topic.name), name, std::nullopt});
        }
    }
    for (const auto& [name, value] : topic.configs) {
        records.emplace_back(ConfigRecord{config_resource_topic, std::string(topic.name), name, value});
    }
    for (int32_t number = 0; number < topic.partitions; ++number) {
        records.emplace_back(new_partition(topic.id, number, topic.placement, static_cast<size_t>(number)));
    }
    return records;
}

Result<std::vector<MetadataRecord>> Metadata::add_partitions(std::string_view name, int32_t total,
                                                             const Placement& placement) const {
    constexpr const char* operation = "topic.add_partitions";
    const TopicState* state = topic(name);
    if (state == nullptr) { return std::unexpected(no_such_topic(operation, name)); }
    TRY_VOID(check_partition_count(operation, name, total));
    const auto present = static_cast<int32_t>(state->partitions.size());
    if (total <= present) {
        return fail(Code::invalid, operation,
                    fmt::format("topic {} has {} partitions already, asked for {}", name, present, total));
    }
    std::vector<MetadataRecord> records;
    records.reserve(static_cast<size_t>(total - present));
    for (int32_t number = present; number < total; ++number) {
        records.emplace_back(new_partition(state->id, number, placement, static_cast<size_t>(number - present)));
    }
    return records;
}

Result<std::vector<MetadataRecord>> Metadata::alter_configs(std::string_view name, const ConfigMap& set,
                                                            std::span<const std::string> unset) const {
    constexpr const char* operation = "topic.alter";
    const TopicState* state = topic(name);
    if (state == nullptr) { return std::unexpected(no_such_topic(operation, name)); }
    TRY_VOID(TopicConfig::parse(set));

    std::map<std::string, std::string> after = state->configs;
    for (const std::string& key : unset) {
        if (after.erase(key) == 0 && find_topic_config(key) == nullptr) {
            return fail(Code::invalid, operation, fmt::format("there is no topic config {}", key.substr(0, 80)));
        }
    }
    for (const auto& [key, value] : set) { after.insert_or_assign(key, value); }
    // What another version wrote and we do not know must not stand in the way of changing something else.
    std::erase_if(after, [](const auto& config) { return !TopicConfig::parse({config}); });
    TRY_VOID(TopicConfig::parse({after.begin(), after.end()}));

    std::vector<MetadataRecord> records;
    for (const std::string& key : unset) {
        records.emplace_back(ConfigRecord{config_resource_topic, state->name, key, std::nullopt});
    }
    for (const auto& [key, value] : set) {
        records.emplace_back(ConfigRecord{config_resource_topic, state->name, key, value});
    }
    return records;
}

Result<std::vector<MetadataRecord>> Metadata::delete_topic(std::string_view name) const {
    const TopicState* state = topic(name);
    if (state == nullptr) { return std::unexpected(no_such_topic("topic.delete", name)); }
    return std::vector<MetadataRecord>{RemoveTopicRecord{state->id}};
}

Result<std::vector<MetadataRecord>> Metadata::allocate_producer_ids(int32_t broker, int64_t broker_epoch) const {
    if (next_producer_id_ > INT64_MAX - producer_id_block) {
        return fail(Code::out_of_range, "producer_ids.allocate", "every producer id was given away");
    }
    return std::vector<MetadataRecord>{ProducerIdsRecord{broker, broker_epoch, next_producer_id_ + producer_id_block}};
}

Result<std::vector<MetadataRecord>> Metadata::set_feature(std::string_view name, int16_t level) const {
    if (name.empty() || name.size() > topic_name_bytes_max || level < 0) {
        return fail(Code::invalid, "feature.set", fmt::format("{}={}", name.substr(0, 80), level));
    }
    return std::vector<MetadataRecord>{FeatureLevelRecord{std::string(name), level}};
}

}  // namespace flowstone
