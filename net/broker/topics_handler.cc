#include "net/broker/topics_handler.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "log/consumer_offsets.h"
#include "log/metadata.h"
#include "net/broker/config_handler.h"
#include "net/broker/errors.h"
#include "storage/try.h"

namespace flowstone {

using kafka::CreatePartitionsRequest;
using kafka::CreatePartitionsResponse;
using kafka::CreateTopicsRequest;
using kafka::CreateTopicsResponse;
using kafka::DeleteTopicsRequest;
using kafka::DeleteTopicsResponse;
using kafka::DescribeClusterRequest;
using kafka::DescribeClusterResponse;
using kafka::DescribeTopicPartitionsRequest;
using kafka::DescribeTopicPartitionsResponse;
using kafka::ErrorCode;
using kafka::MetadataRequest;
using kafka::MetadataResponse;

namespace {

// Bits of Kafka's AclOperation: nothing is forbidden here, so who asks may do all that can be done to the thing.
constexpr int32_t operations(std::initializer_list<int> bits) {
    int32_t mask = 0;
    for (const int bit : bits) { mask |= 1 << bit; }
    return mask;
}
constexpr int32_t topic_operations = operations({3, 4, 5, 6, 7, 8, 10, 11});
constexpr int32_t cluster_operations = operations({5, 7, 8, 9, 10, 11, 12});

constexpr int8_t endpoint_brokers = 1;

}  // namespace

// --- what there is -----------------------------------------------------------------------------------------------------

// A partition whose directory is not there has no leader: producers that may choose take another.
template <class Partition>
void TopicsHandler::describe(const ServedTopic& topic, int32_t number, Partition& out) const {
    out.partition_index = number;
    out.replica_nodes = context_.cluster.replicas_of(topic.name(), number);
    out.leader_epoch = static_cast<int32_t>(context_.served.leader_epoch(topic, number).value);
    if (out.leader_epoch < 0) {
        out.error_code = ErrorCode::leader_not_available;
        out.leader_id = -1;
        out.offline_replicas = out.replica_nodes;
        return;
    }
    out.leader_id = context_.cluster.leader_of(topic.name(), number);
    out.isr_nodes = context_.cluster.in_sync_of(topic.name(), number);
}

MetadataResponse::MetadataResponseTopic TopicsHandler::describe(const ServedTopic& topic, bool with_operations) const {
    MetadataResponse::MetadataResponseTopic out;
    out.name = topic.name();
    out.topic_id = topic.id();
    out.is_internal = topic.internal();
    if (with_operations) { out.topic_authorized_operations = topic_operations; }
    for (int32_t i = 0; i < topic.partitions(); ++i) { describe(topic, i, out.partitions.emplace_back()); }
    return out;
}

MetadataResponse::MetadataResponseTopic TopicsHandler::find_or_create(std::string_view name, bool may_create,
                                                                      bool with_operations) {
    if (const auto topic = context_.served.topic(name)) { return describe(*topic, with_operations); }
    MetadataResponse::MetadataResponseTopic out;
    out.name = name;
    if (!check_topic_name(name)) {
        out.error_code = ErrorCode::invalid_topic_exception;
        return out;
    }
    out.error_code = ErrorCode::unknown_topic_or_partition;
    if (!may_create) { return out; }
    auto made = name == consumer_offsets_topic ? offsets_topic()
                                               : context_.served.create(name, context_.config.partitions_default, {});
    if (made) { return describe(*made, with_operations); }
    // Another name that differs only in dots and underscores is there, or it is one of ours.
    const bool bad_name = made.error().code == Code::exists || made.error().code == Code::invalid;
    out.error_code = bad_name ? ErrorCode::invalid_topic_exception : topic_error(made.error());
    return out;
}

Result<ServedTopic> TopicsHandler::offsets_topic() {
    if (auto topic = context_.served.topic(consumer_offsets_topic)) { return *topic; }
    return context_.served.create(consumer_offsets_topic, context_.config.groups.partitions,
                                  {{"cleanup.policy", "compact"}, {"segment.bytes", "104857600"}}, true);
}

void TopicsHandler::on(const Request& request, const MetadataRequest& asked) {
    const int16_t version = request.version();
    MetadataResponse response;
    for (const BrokerEndpoint& broker : context_.cluster.brokers(request.peer.listener, request.peer.local)) {
        response.brokers.push_back({broker.id, broker.address.host, broker.address.port, context_.config.rack});
    }
    response.cluster_id = context_.cluster.cluster_id();
    response.controller_id = context_.cluster.controller();
    if (asked.include_cluster_authorized_operations) { response.cluster_authorized_operations = cluster_operations; }
    const bool with_operations = asked.include_topic_authorized_operations;
    // Version 0 knows no null, and means all by an empty list (rule 19).
    if (!asked.topics || (version == 0 && asked.topics->empty())) {
        for (const ServedTopic& topic : context_.served.topics()) {
            response.topics.push_back(describe(topic, with_operations));
        }
        return context_.answer(request, response);
    }
    const bool may_create = context_.config.create_topics_on_demand && (version < 4 || asked.allow_auto_topic_creation);
    for (const auto& topic : *asked.topics) {
        if (topic.topic_id.is_zero()) {
            response.topics.push_back(find_or_create(topic.name.value_or(""), may_create, with_operations));
        } else if (const auto found = context_.served.topic(topic.topic_id)) {
            response.topics.push_back(describe(*found, with_operations));
        } else {
            auto& unknown = response.topics.emplace_back();
            unknown.error_code = ErrorCode::unknown_topic_id;
            unknown.topic_id = topic.topic_id;
            unknown.name = std::nullopt;
        }
    }
    context_.answer(request, response);
}

void TopicsHandler::on(const Request& request, const DescribeClusterRequest& asked) {
    DescribeClusterResponse response;
    response.endpoint_type = asked.endpoint_type;
    if (asked.endpoint_type != endpoint_brokers) {
        response.error_code = ErrorCode::unsupported_endpoint_type;
        response.error_message = "this listener is the brokers'";
        return context_.answer(request, response);
    }
    response.cluster_id = context_.cluster.cluster_id();
    response.controller_id = context_.cluster.controller();
    for (const BrokerEndpoint& broker : context_.cluster.brokers(request.peer.listener, request.peer.local)) {
        response.brokers.push_back({.broker_id = broker.id,
                                    .host = broker.address.host,
                                    .port = broker.address.port,
                                    .rack = context_.config.rack});
    }
    if (asked.include_cluster_authorized_operations) { response.cluster_authorized_operations = cluster_operations; }
    context_.answer(request, response);
}

// Topics in the order of their names, partitions in theirs, from the cursor on, up to the limit.
void TopicsHandler::on(const Request& request, const DescribeTopicPartitionsRequest& asked) {
    DescribeTopicPartitionsResponse response;
    std::set<std::string> names;
    for (const auto& topic : asked.topics) { names.insert(topic.name); }
    if (names.empty()) {
        for (const ServedTopic& topic : context_.served.topics()) { names.insert(topic.name()); }
    }
    int32_t left = std::clamp(asked.response_partition_limit, 1, context_.config.described_partitions_max);
    for (const std::string& name : names) {
        if (asked.cursor && name < asked.cursor->topic_name) { continue; }
        if (left == 0) {
            response.next_cursor = {name, 0};
            break;
        }
        auto& out = response.topics.emplace_back();
        out.name = name;
        const auto topic = context_.served.topic(name);
        if (!topic) {
            out.error_code =
                check_topic_name(name) ? ErrorCode::unknown_topic_or_partition : ErrorCode::invalid_topic_exception;
            continue;
        }
        out.topic_id = topic->id();
        out.is_internal = topic->internal();
        out.topic_authorized_operations = topic_operations;
        int32_t i = asked.cursor && name == asked.cursor->topic_name ? std::max(asked.cursor->partition_index, 0) : 0;
        for (; i < topic->partitions() && left > 0; ++i, --left) {
            auto& one = out.partitions.emplace_back();
            one.eligible_leader_replicas = std::vector<int32_t>{};
            one.last_known_elr = std::vector<int32_t>{};
            describe(*topic, i, one);
        }
        if (i < topic->partitions()) {
            response.next_cursor = {name, i};
            break;
        }
    }
    context_.answer(request, response);
}

// --- making ------------------------------------------------------------------------------------------------------------

void TopicsHandler::on(const Request& request, const CreateTopicsRequest& asked) {
    CreateTopicsResponse response;
    std::map<std::string_view, int> times;
    for (const auto& topic : asked.topics) { ++times[topic.name]; }
    std::set<std::string_view> answered;
    for (const auto& topic : asked.topics) {
        if (!answered.insert(topic.name).second) { continue; }
        CreateTopicsResponse::CreatableTopicResult made;
        made.name = topic.name;
        made.error_message = std::nullopt;
        std::optional<Refusal> refusal;
        if (times[topic.name] > 1) {
            refusal = {ErrorCode::invalid_request, "the topic is named twice"};
        } else {
            refusal = create(topic, asked.validate_only, made);
        }
        if (refusal) {
            made.error_code = refusal->error;
            made.error_message = refusal->message;
            made.configs = std::nullopt;
        }
        response.topics.push_back(std::move(made));
    }
    context_.answer(request, response);
}

std::optional<TopicsHandler::Refusal> TopicsHandler::create(const CreateTopicsRequest::CreatableTopic& asked,
                                                            bool validate_only,
                                                            CreateTopicsResponse::CreatableTopicResult& made) {
    if (auto good = check_topic_name(asked.name); !good) {
        return Refusal{ErrorCode::invalid_topic_exception, good.error().message()};
    }
    int32_t partitions = asked.num_partitions;
    if (!asked.assignments.empty()) {
        if (asked.num_partitions != -1 || asked.replication_factor != -1) {
            return Refusal{ErrorCode::invalid_request, "with assignments both counts are -1"};
        }
        std::set<int32_t> numbers;
        for (const auto& assignment : asked.assignments) {
            if (assignment.broker_ids != std::vector{context_.cluster.node_id()}) {
                return Refusal{ErrorCode::invalid_replica_assignment,
                               fmt::format("there is one broker, {}", context_.cluster.node_id())};
            }
            numbers.insert(assignment.partition_index);
        }
        partitions = static_cast<int32_t>(asked.assignments.size());
        if (numbers.size() != asked.assignments.size() || *numbers.begin() != 0 ||
            *numbers.rbegin() != partitions - 1) {
            return Refusal{ErrorCode::invalid_replica_assignment, "partitions are numbered from 0 without gaps"};
        }
    } else {
        if (partitions == -1) { partitions = context_.config.partitions_default; }
        if (partitions <= 0) { return Refusal{ErrorCode::invalid_partitions, "a topic has one partition at least"}; }
        if (asked.replication_factor != -1 && asked.replication_factor != 1) {
            return Refusal{ErrorCode::invalid_replication_factor,
                           fmt::format("{} replicas are asked for, there is 1 broker", asked.replication_factor)};
        }
    }
    if (context_.served.topic(asked.name)) {
        return Refusal{ErrorCode::topic_already_exists, fmt::format("topic '{}' already exists", asked.name)};
    }
    ConfigMap configs;
    for (const auto& config : asked.configs) {
        if (!config.value) {
            return Refusal{ErrorCode::invalid_config, fmt::format("the config {} has no value", config.name)};
        }
        configs.emplace_back(config.name, *config.value);
    }
    std::optional<ServedTopic> topic;
    std::optional<Error> error;
    if (validate_only) {
        if (auto good = context_.served.check_create(asked.name, partitions, configs); !good) { error = good.error(); }
    } else if (auto created = context_.served.create(asked.name, partitions, configs)) {
        topic = *created;
    } else {
        error = created.error();
    }
    if (error) {
        // The name itself is not there, so it is one that differs only in dots and underscores; or one of ours.
        const bool bad_name = error->code == Code::exists || is_internal_topic(asked.name);
        return Refusal{bad_name ? ErrorCode::invalid_topic_exception : topic_error(*error), error->message()};
    }
    made.num_partitions = partitions;
    made.replication_factor = 1;
    made.configs.emplace();
    std::shared_ptr<const TopicConfig> config;
    if (topic) {
        made.topic_id = topic->id();
        config = context_.served.config(*topic);
    } else if (auto parsed = TopicConfig::parse(configs, context_.config.topic_defaults)) {
        config = std::make_shared<const TopicConfig>(std::move(*parsed));
    }
    for (const ConfigEntry& entry : flowstone::describe(*config)) {
        made.configs->push_back(
            {.name = entry.definition->name, .value = entry.value, .config_source = wire_number(entry.source)});
    }
    return std::nullopt;
}

void TopicsHandler::on(const Request& request, const CreatePartitionsRequest& asked) {
    CreatePartitionsResponse response;
    std::map<std::string_view, int> times;
    for (const auto& topic : asked.topics) { ++times[topic.name]; }
    for (const auto& topic : asked.topics) {
        auto& out = response.results.emplace_back();
        out.name = topic.name;
        const auto refusal = times[topic.name] > 1
                                 ? std::optional(Refusal{ErrorCode::invalid_request, "the topic is named twice"})
                                 : grow(topic, asked.validate_only);
        if (refusal) {
            out.error_code = refusal->error;
            out.error_message = refusal->message;
        }
    }
    context_.answer(request, response);
}

std::optional<TopicsHandler::Refusal> TopicsHandler::grow(const CreatePartitionsRequest::CreatePartitionsTopic& asked,
                                                          bool validate_only) {
    const auto topic = context_.served.topic(asked.name);
    if (!topic) { return Refusal{ErrorCode::unknown_topic_or_partition, "there is no such topic"}; }
    if (asked.count <= topic->partitions()) {
        return Refusal{ErrorCode::invalid_partitions,
                       fmt::format("the topic has {} partitions, {} are asked for", topic->partitions(), asked.count)};
    }
    if (asked.assignments) {
        const auto added = static_cast<size_t>(asked.count - topic->partitions());
        const std::vector ours{context_.cluster.node_id()};
        const bool good =
            asked.assignments->size() == added &&
            std::ranges::all_of(*asked.assignments, [&](const auto& one) { return one.broker_ids == ours; });
        if (!good) {
            return Refusal{
                ErrorCode::invalid_replica_assignment,
                fmt::format("{} partitions are added, and there is one broker, {}", added, context_.cluster.node_id())};
        }
    }
    if (asked.count > partitions_per_topic_max) {
        return Refusal{ErrorCode::invalid_partitions, fmt::format("{} partitions at most", partitions_per_topic_max)};
    }
    if (validate_only) { return std::nullopt; }
    if (auto grown = context_.served.add_partitions(asked.name, asked.count); !grown) {
        return Refusal{topic_error(grown.error()), grown.error().message()};
    }
    return std::nullopt;
}

// --- deleting ----------------------------------------------------------------------------------------------------------

void TopicsHandler::on(const Request& request, const DeleteTopicsRequest& asked) {
    DeleteTopicsResponse response;
    std::vector<DeleteTopicsRequest::DeleteTopicState> topics = asked.topics;
    for (const std::string& name : asked.topic_names) { topics.push_back({name, {}}); }
    for (const auto& asked_topic : topics) {
        auto& out = response.responses.emplace_back();
        out.name = asked_topic.name;
        out.topic_id = asked_topic.topic_id;
        const bool by_id = !asked_topic.name;
        const auto topic =
            by_id ? context_.served.topic(asked_topic.topic_id) : context_.served.topic(*asked_topic.name);
        if (!context_.config.delete_topics) {
            out.error_code = ErrorCode::topic_deletion_disabled;
        } else if (asked_topic.name && !asked_topic.topic_id.is_zero()) {
            out.error_code = ErrorCode::invalid_request;
            out.error_message = "a topic is named by its name or by its id";
        } else if (!topic) {
            out.error_code = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
        } else if (auto gone = context_.served.delete_topic(topic->name()); !gone) {
            out.error_code =
                gone.error().code == Code::invalid ? ErrorCode::invalid_topic_exception : topic_error(gone.error());
            out.error_message = gone.error().message();
        } else {
            out.name = topic->name();
            out.topic_id = topic->id();
            topic_deleted_(topic->name());
        }
    }
    context_.answer(request, response);
}

}  // namespace flowstone
