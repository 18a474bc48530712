// Configs of topics and of the broker: what they are, and changing those of topics. SERVE.md rule 45.
//
// A broker takes its own configuration when it starts: of it everything is read-only. A change of a topic waits for the
// metadata log, and one of `flowstone.durability` for a checkpoint: the worker does it. Threads: the broker's one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/broker/request.h"
#include "net/kafka/messages/alter_configs.h"
#include "net/kafka/messages/describe_configs.h"
#include "net/kafka/messages/incremental_alter_configs.h"
#include "net/kafka/messages/list_config_resources.h"

namespace flowstone {

class ConfigHandler {
public:
    explicit ConfigHandler(BrokerContext& context) : context_(context) {}

    void on(const Request& request, const kafka::DescribeConfigsRequest& asked);
    void on(Request request, const kafka::AlterConfigsRequest& asked);
    void on(Request request, const kafka::IncrementalAlterConfigsRequest& asked);
    void on(const Request& request, const kafka::ListConfigResourcesRequest& asked);

private:
    struct Refusal {
        kafka::ErrorCode error = kafka::ErrorCode::none;
        std::string message;
    };
    using Described = kafka::DescribeConfigsResponse::DescribeConfigsResult;
    std::optional<Refusal> describe_topic(const std::string& name, Described& out) const;
    std::optional<Refusal> describe_broker(const std::string& name, Described& out) const;
    // What is to become of a topic's own configs, and whether that may be.
    std::optional<Refusal> change(const std::string& topic, const ConfigMap& wanted, bool validate_only) const;
    std::optional<Refusal> check_resource(int8_t type, const std::string& name) const;
    std::optional<Refusal> replace(const kafka::AlterConfigsRequest::AlterConfigsResource& asked, bool validate) const;
    std::optional<Refusal> adjust(const kafka::IncrementalAlterConfigsRequest::AlterConfigsResource& asked,
                                  bool validate) const;

    BrokerContext& context_;
};

// As the wire numbers it.
int8_t wire_number(ConfigSource source);

}  // namespace flowstone
