// A broker that a test makes up: the coordinator of a group with one member, that fails as it is told, and speaks versions
// of the protocol that are years old.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/impl/consumer_protocol.h"
#include "net/kafka/frame.h"
#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/find_coordinator.h"
#include "net/kafka/messages/heartbeat.h"
#include "net/kafka/messages/join_group.h"
#include "net/kafka/messages/leave_group.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_fetch.h"
#include "net/kafka/messages/sync_group.h"
#include "net/transport/server.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_network.h"
#include "tests/storage/value_of.h"

namespace flowstone {

class ModelCoordinator final : public FrameHandler {
public:
    ModelCoordinator(SimNetwork& network, SimClock& clock) : network_(network), server_(network, clock, *this) {
        address = value_of(server_.listen({"127.0.0.1", 9092})).address;
    }

    void run() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(network_.wait(10'000'000, events));
        server_.turn(events);
        server_.flush();
    }
    void fail_next(kafka::ApiKey key, kafka::ErrorCode code) { codes_[key].push_back(code); }
    bool all_failed() const {
        for (const auto& [key, codes] : codes_) {
            if (!codes.empty()) { return false; }
        }
        return true;
    }

    HostPort address;
    std::map<kafka::ApiKey, int> asked;
    std::vector<kafka::JoinGroupRequest> joins;  // their bytes are gone
    std::vector<kafka::OffsetCommitRequest> commits;
    int32_t generation = 0;

    void on_open(const Peer& /*peer*/) override {}
    void on_close(ConnectionId /*connection*/) override {}
    void on_frame(const Peer& /*peer*/, AnswerSlot slot, FramePtr frame) override {
        const auto request = value_of(kafka::parse_request(frame->bytes()));
        const int16_t version = request.header.api_version;
        const kafka::ApiKey key = request.header.api_key;
        ++asked[key];
        const auto answer = [&](const auto& response) {
            Answer out;
            kafka::frame_response(request.header.correlation_id, response, version, out.frame);
            server_.answer(slot, std::move(out));
        };
        switch (key) {
            case kafka::ApiKey::api_versions: return answer(versions());
            case kafka::ApiKey::metadata: return answer(metadata());
            case kafka::ApiKey::find_coordinator: {
                kafka::FindCoordinatorResponse response;
                response.error_code = next_code(key);
                response.node_id = 1;
                response.host = address.host;
                response.port = address.port;
                return answer(response);
            }
            case kafka::ApiKey::join_group:
                joins.push_back(value_of(kafka::decode<kafka::JoinGroupRequest>(request.body, version)));
                return answer(join());
            case kafka::ApiKey::sync_group: {
                kafka::SyncGroupResponse response;
                response.error_code = next_code(key);
                response.assignment = places_;
                return answer(response);
            }
            case kafka::ApiKey::heartbeat: {
                kafka::HeartbeatResponse response;
                response.error_code = next_code(key);
                return answer(response);
            }
            case kafka::ApiKey::leave_group: return answer(kafka::LeaveGroupResponse());
            case kafka::ApiKey::offset_commit:
                commits.push_back(value_of(kafka::decode<kafka::OffsetCommitRequest>(request.body, version)));
                return answer(commit());
            case kafka::ApiKey::offset_fetch: {
                kafka::OffsetFetchResponse response;
                response.error_code = next_code(key);
                auto& topic = response.topics.emplace_back();
                topic.name = "events";
                for (const int32_t partition : {0, 1}) {
                    topic.partitions.push_back({.partition_index = partition, .committed_offset = 10 + partition});
                }
                return answer(response);
            }
            case kafka::ApiKey::fetch: return answer(kafka::FetchResponse());  // there is nothing
            default: FAIL() << "asked for " << kafka::name(key);
        }
    }

private:
    static kafka::ApiVersionsResponse versions() {
        kafka::ApiVersionsResponse response;
        response.api_keys = {
            {.api_key = 1, .min_version = 4, .max_version = 11}, {.api_key = 3, .min_version = 0, .max_version = 9},
            {.api_key = 8, .min_version = 2, .max_version = 7},  {.api_key = 9, .min_version = 1, .max_version = 5},
            {.api_key = 10, .min_version = 0, .max_version = 2}, {.api_key = 11, .min_version = 0, .max_version = 5},
            {.api_key = 12, .min_version = 0, .max_version = 3}, {.api_key = 13, .min_version = 0, .max_version = 2},
            {.api_key = 14, .min_version = 0, .max_version = 3}, {.api_key = 18, .min_version = 0, .max_version = 3}};
        return response;
    }
    kafka::MetadataResponse metadata() const {
        kafka::MetadataResponse response;
        response.brokers.push_back({.node_id = 1, .host = address.host, .port = address.port});
        auto& topic = response.topics.emplace_back();
        topic.name = "events";
        for (const int32_t partition : {0, 1}) {
            topic.partitions.push_back({.partition_index = partition, .leader_id = 1, .leader_epoch = 0});
        }
        return response;
    }
    kafka::JoinGroupResponse join() {
        kafka::JoinGroupResponse response;
        response.error_code = next_code(kafka::ApiKey::join_group);
        response.member_id = "me";
        if (response.error_code != kafka::ErrorCode::none) { return response; }
        response.generation_id = ++generation;
        response.protocol_name = "range";
        response.leader = "somebody";
        return response;
    }
    kafka::OffsetCommitResponse commit() {
        kafka::OffsetCommitResponse response;
        auto& topic = response.topics.emplace_back();
        topic.name = "events";
        topic.partitions.push_back({.partition_index = 0, .error_code = next_code(kafka::ApiKey::offset_commit)});
        return response;
    }
    kafka::ErrorCode next_code(kafka::ApiKey key) {
        auto& codes = codes_[key];
        if (codes.empty()) { return kafka::ErrorCode::none; }
        const kafka::ErrorCode code = codes.front();
        codes.pop_front();
        return code;
    }

    SimNetwork& network_;
    Server server_;
    const std::vector<std::byte> places_ = encode_assignment({{"events", 0}, {"events", 1}});
    std::map<kafka::ApiKey, std::deque<kafka::ErrorCode>> codes_;
};

}  // namespace flowstone
