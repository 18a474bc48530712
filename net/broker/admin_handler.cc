#include "net/broker/admin_handler.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "net/broker/errors.h"

namespace flowstone {

using kafka::ErrorCode;

namespace {

constexpr const char* no_security = "this broker has no access control";
constexpr std::string_view metadata_topic = "__cluster_metadata";

}  // namespace

// --- producers ---------------------------------------------------------------------------------------------------------

// Every answer is a fresh id, durable before it is told, also when the producer has one and asks for its next epoch: what
// Kafka does for producers without transactions.
void AdminHandler::on(const Request& request, const kafka::InitProducerIdRequest& asked) {
    kafka::InitProducerIdResponse response;
    response.producer_epoch = -1;
    if (asked.transactional_id) {
        // The one error that Java and librdkafka take as final.
        response.error_code = ErrorCode::transactional_id_authorization_failed;
    } else if (const auto id = context_.served.new_producer_id()) {
        response.producer_id = *id;
        response.producer_epoch = 0;
    } else {
        response.error_code = ErrorCode::coordinator_not_available;
    }
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::DescribeProducersRequest& asked) {
    kafka::DescribeProducersResponse response;
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.name = topic.name;
        const auto found = context_.served.topic(topic.name);
        for (const int32_t number : topic.partition_indexes) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition_index = number;
            const auto place = found ? context_.served.partition(*found, number)
                                     : Result<ServedPartition>(fail(Code::not_found, "producers"));
            if (!place) {
                out.error_code = partition_error(place.error());
                out.error_message =
                    place.error().code == Code::offline ? "its directory is offline" : "there is no such partition";
                continue;
            }
            for (const ProducerSnapshotEntry& entry : context_.served.producers(*place)) {
                out.active_producers.push_back({entry.producer_id, entry.producer_epoch, entry.last_sequence,
                                                entry.timestamp_ms, entry.coordinator_epoch,
                                                entry.transaction_first_offset.value});
            }
        }
    }
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::ListTransactionsRequest& asked) {
    constexpr std::array<std::string_view, 8> states = {"Empty",        "Ongoing",          "PrepareCommit",
                                                        "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                                        "Dead",         "PrepareEpochFence"};
    kafka::ListTransactionsResponse response;
    for (const std::string& state : asked.state_filters) {
        if (std::ranges::find(states, state) == states.end()) { response.unknown_state_filters.push_back(state); }
    }
    context_.answer(request, response);
}

// --- the node ----------------------------------------------------------------------------------------------------------

namespace {

using LogDir = kafka::DescribeLogDirsResponse::DescribeLogDirsResult;

// Into the directory that it is in; one that is nowhere is not told of.
void add_size(const ServedLog& served, const ServedTopic& topic, int32_t number, std::vector<LogDir>& results) {
    const auto place = served.partition(topic, number);
    if (!place) { return; }
    auto& topics = results[served.directory_of(*place)].topics;
    if (topics.empty() || topics.back().name != topic.name()) { topics.emplace_back().name = topic.name(); }
    const auto bytes = served.bytes(*place);
    topics.back().partitions.push_back({number, bytes ? static_cast<int64_t>(*bytes) : 0, 0, false});
}

}  // namespace

// Sizes may need a look into directories.
void AdminHandler::on(Request request, const kafka::DescribeLogDirsRequest& /*asked*/) {
    context_.answer_by_worker<kafka::DescribeLogDirsRequest>(std::move(request), [this](const auto& asked) {
        kafka::DescribeLogDirsResponse response;
        for (const LogDirectory& directory : context_.served.directories()) {
            auto& out = response.results.emplace_back();
            out.log_dir = directory.path;
            if (directory.failure) { out.error_code = ErrorCode::kafka_storage_error; }
        }
        if (!asked.topics) {
            for (const ServedTopic& topic : context_.served.topics()) {
                for (int32_t i = 0; i < topic.partitions(); ++i) {
                    add_size(context_.served, topic, i, response.results);
                }
            }
            return response;
        }
        for (const auto& wanted : *asked.topics) {
            const auto topic = context_.served.topic(wanted.topic);
            if (!topic) { continue; }
            for (const int32_t number : wanted.partitions) {
                add_size(context_.served, *topic, number, response.results);
            }
        }
        return response;
    });
}

// Every partition is led by who is preferred: there is nobody else.
void AdminHandler::on(const Request& request, const kafka::ElectLeadersRequest& asked) {
    kafka::ElectLeadersResponse response;
    if (asked.topic_partitions) {
        for (const auto& topic : *asked.topic_partitions) {
            auto& out = response.replica_election_results.emplace_back();
            out.topic = topic.topic;
            const auto found = context_.served.topic(topic.topic);
            for (const int32_t number : topic.partitions) {
                const bool there = found && number >= 0 && number < found->partitions();
                out.partition_result.push_back(
                    {number, there ? ErrorCode::election_not_needed : ErrorCode::unknown_topic_or_partition,
                     there ? "it is led by the preferred replica" : "there is no such partition"});
            }
        }
    }
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::ListPartitionReassignmentsRequest& /*asked*/) {
    kafka::ListPartitionReassignmentsResponse response;
    response.error_message = std::nullopt;
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::DescribeQuorumRequest& asked) {
    kafka::DescribeQuorumResponse response;
    response.error_message = std::nullopt;
    const int32_t node = context_.cluster.node_id();
    const PartitionEnds ends = context_.served.metadata_ends();
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.topic_name = topic.topic_name;
        for (const auto& partition : topic.partitions) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition_index = partition.partition_index;
            out.error_message = std::nullopt;
            if (topic.topic_name != metadata_topic || partition.partition_index != 0) {
                out.error_code = ErrorCode::unknown_topic_or_partition;
                continue;
            }
            out.leader_id = node;
            out.leader_epoch = 1;
            out.high_watermark = ends.high_watermark.value;
            out.current_voters.push_back({.replica_id = node, .log_end_offset = ends.log_end.value});
        }
    }
    for (const BrokerEndpoint& broker : context_.cluster.brokers(request.peer.listener, request.peer.local)) {
        response.nodes.push_back({broker.id, {{"CONTROLLER", broker.address.host, broker.address.port}}});
    }
    context_.answer(request, response);
}

// --- what there is not -------------------------------------------------------------------------------------------------

void AdminHandler::on(const Request& request, const kafka::DescribeAclsRequest& /*asked*/) {
    kafka::DescribeAclsResponse response;
    response.error_code = ErrorCode::security_disabled;
    response.error_message = no_security;
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::CreateAclsRequest& asked) {
    kafka::CreateAclsResponse response;
    response.results.assign(asked.creations.size(), {ErrorCode::security_disabled, no_security});
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::DeleteAclsRequest& asked) {
    kafka::DeleteAclsResponse response;
    response.filter_results.assign(asked.filters.size(), {ErrorCode::security_disabled, no_security, {}});
    context_.answer(request, response);
}

void AdminHandler::on(const Request& request, const kafka::DescribeClientQuotasRequest& /*asked*/) {
    kafka::DescribeClientQuotasResponse response;
    response.error_message = std::nullopt;
    context_.answer(request, response);
}

}  // namespace flowstone
