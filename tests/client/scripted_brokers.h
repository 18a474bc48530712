// Brokers of a test's making, numbered from 1, of which each request is answered as the test says.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/kafka/frame.h"
#include "net/kafka/messages/api_versions.h"
#include "net/transport/server.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_network.h"
#include "tests/storage/value_of.h"

namespace flowstone {

class ScriptedBrokers final : public FrameHandler {
public:
    ScriptedBrokers(SimNetwork& network, SimClock& clock, int count)
        : network_(network), server_(network, clock, *this) {
        for (int i = 0; i < count; ++i) {
            addresses.push_back(value_of(server_.listen({"127.0.0.1", static_cast<uint16_t>(9092 + i)})).address);
        }
    }

    // What a broker answers; nothing: it has done it or not, and the connection is gone.
    template <class Request, class Response>
    void on(std::function<std::optional<Response>(int32_t broker, const Request&)> answer, int16_t version_max = 99) {
        const int16_t ours = kafka::find_api(Request::api_key)->versions.max;
        apis_[Request::api_key] = {std::min(version_max, ours),
                                   [answer](int32_t broker, const kafka::RequestFrame& request, kafka::Gather& out) {
                                       const int16_t version = request.header.api_version;
                                       const auto response = answer(
                                           broker, value_of(kafka::decode<Request>(request.body, version, UINT32_MAX)));
                                       if (!response) { return false; }
                                       kafka::frame_response(request.header.correlation_id, *response, version, out);
                                       return true;
                                   }};
    }

    void run() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(network_.wait(1'000'000, events));
        server_.turn(events);
        server_.flush();
    }

    std::vector<HostPort> addresses;
    std::vector<std::string> asked;  // "2 ListOffsets": who was asked what, in order; ApiVersions left out

    void on_open(const Peer& /*peer*/) override {}
    void on_close(ConnectionId /*connection*/) override {}
    void on_frame(const Peer& peer, AnswerSlot slot, FramePtr frame) override {
        const auto request = value_of(kafka::parse_request(frame->bytes()));
        const auto at = std::ranges::find(addresses, peer.local);
        ASSERT_NE(at, addresses.end());
        const auto broker = static_cast<int32_t>(at - addresses.begin() + 1);
        Answer out;
        if (request.header.api_key == kafka::ApiKey::api_versions) {
            kafka::frame_response(request.header.correlation_id, versions(), request.header.api_version, out.frame);
            return server_.answer(slot, std::move(out));
        }
        asked.push_back(fmt::format("{} {}", broker, kafka::name(request.header.api_key)));
        const auto api = apis_.find(request.header.api_key);
        ASSERT_NE(api, apis_.end()) << asked.back();
        if (!api->second.answer(broker, request, out.frame)) {
            return server_.close(peer.connection, CloseReason::peer);
        }
        server_.answer(slot, std::move(out));
    }

private:
    struct Api {
        int16_t version_max = 0;
        std::function<bool(int32_t broker, const kafka::RequestFrame&, kafka::Gather&)> answer;
    };
    kafka::ApiVersionsResponse versions() const {
        kafka::ApiVersionsResponse response;
        response.api_keys.push_back({.api_key = 18, .min_version = 0, .max_version = 4});
        for (const auto& [key, api] : apis_) {
            response.api_keys.push_back({.api_key = static_cast<int16_t>(key),
                                         .min_version = kafka::find_api(key)->versions.min,
                                         .max_version = api.version_max});
        }
        return response;
    }

    SimNetwork& network_;
    Server server_;
    std::map<kafka::ApiKey, Api> apis_;
};

}  // namespace flowstone
