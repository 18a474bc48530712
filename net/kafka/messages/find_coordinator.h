// FindCoordinator, key 10: which broker minds a group or a transactional id.
//
// Source: Kafka 4.3, FindCoordinatorRequest.json and Response.json, versions 0 to 6.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/kafka/api.h"
#include "net/kafka/error_code.h"
#include "net/kafka/fields.h"

namespace flowstone::kafka {

struct FindCoordinatorRequest {
    static constexpr const char* message_name = "FindCoordinatorRequest";
    static constexpr ApiKey api_key = ApiKey::find_coordinator;

    std::string key{};
    int8_t key_type = 0;
    std::vector<std::string> coordinator_keys{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("key", &FindCoordinatorRequest::key, {.versions = until(3)});
        visitor.field("key_type", &FindCoordinatorRequest::key_type, {.versions = since(1)});
        visitor.field("coordinator_keys", &FindCoordinatorRequest::coordinator_keys, {.versions = since(4)});
    }
};

struct FindCoordinatorResponse {
    static constexpr const char* message_name = "FindCoordinatorResponse";
    static constexpr ApiKey api_key = ApiKey::find_coordinator;

    struct Coordinator {
        std::string key{};
        int32_t node_id = 0;
        std::string host{};
        int32_t port = 0;
        ErrorCode error_code = ErrorCode::none;
        std::optional<std::string> error_message = "";

        template <class Visitor>
        static void fields(Visitor& visitor) {
            visitor.field("key", &Coordinator::key, {.versions = since(4)});
            visitor.field("node_id", &Coordinator::node_id, {.versions = since(4)});
            visitor.field("host", &Coordinator::host, {.versions = since(4)});
            visitor.field("port", &Coordinator::port, {.versions = since(4)});
            visitor.field("error_code", &Coordinator::error_code, {.versions = since(4)});
            visitor.field("error_message", &Coordinator::error_message,
                          {.versions = since(4), .nullable = since(4), .ignorable = true});
        }
    };

    int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message = "";
    int32_t node_id = 0;
    std::string host{};
    int32_t port = 0;
    std::vector<Coordinator> coordinators{};

    template <class Visitor>
    static void fields(Visitor& visitor) {
        visitor.field("throttle_time_ms", &FindCoordinatorResponse::throttle_time_ms,
                      {.versions = since(1), .ignorable = true});
        visitor.field("error_code", &FindCoordinatorResponse::error_code, {.versions = until(3)});
        visitor.field("error_message", &FindCoordinatorResponse::error_message,
                      {.versions = between(1, 3), .nullable = between(1, 3), .ignorable = true});
        visitor.field("node_id", &FindCoordinatorResponse::node_id, {.versions = until(3)});
        visitor.field("host", &FindCoordinatorResponse::host, {.versions = until(3)});
        visitor.field("port", &FindCoordinatorResponse::port, {.versions = until(3)});
        visitor.field("coordinators", &FindCoordinatorResponse::coordinators, {.versions = since(4)});
    }
};

extern template const FieldTable& table_of<FindCoordinatorRequest>();
extern template const FieldTable& table_of<FindCoordinatorResponse>();

}  // namespace flowstone::kafka
