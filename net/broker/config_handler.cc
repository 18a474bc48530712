#include "net/broker/config_handler.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "net/broker/errors.h"

namespace flowstone {

using kafka::AlterConfigsRequest;
using kafka::AlterConfigsResponse;
using kafka::DescribeConfigsRequest;
using kafka::DescribeConfigsResponse;
using kafka::ErrorCode;
using kafka::IncrementalAlterConfigsRequest;
using kafka::IncrementalAlterConfigsResponse;
using kafka::ListConfigResourcesRequest;
using kafka::ListConfigResourcesResponse;

namespace {

// Kafka's ConfigResource.Type.
constexpr int8_t resource_topic = 2;
constexpr int8_t resource_broker = 4;
constexpr int8_t resource_broker_logger = 8;
constexpr int8_t resource_client_metrics = 16;
constexpr int8_t resource_group = 32;

// Kafka's AlterConfigOp.OpType.
constexpr int8_t op_set = 0;
constexpr int8_t op_delete = 1;
constexpr int8_t op_append = 2;
constexpr int8_t op_subtract = 3;

// Kafka's ConfigEntry.ConfigType.
int8_t wire_type(ConfigType type) {
    switch (type) {
        case ConfigType::boolean: return 1;
        case ConfigType::text: return 2;
        case ConfigType::int32: return 3;
        case ConfigType::int64: return 5;
        case ConfigType::decimal: return 6;
        case ConfigType::list: return 7;
    }
    return 0;
}

constexpr int8_t source_static_broker = 4;
constexpr int8_t source_default = 5;

std::vector<std::string> items_of(std::string_view list) {
    std::vector<std::string> out;
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        const std::string_view item = trim_config_text(list.substr(0, comma));
        if (!item.empty()) { out.emplace_back(item); }
        list = list.substr(std::min(comma + 1, list.size()));
    }
    return out;
}

std::string* find(ConfigMap& configs, std::string_view name) {
    for (auto& [known, value] : configs) {
        if (known == name) { return &value; }
    }
    return nullptr;
}

void put(ConfigMap& configs, const std::string& name, std::string value) {
    if (std::string* known = find(configs, name)) {
        *known = std::move(value);
    } else {
        configs.emplace_back(name, std::move(value));
    }
}

// The text in force, whoever said it.
std::string in_force(const TopicConfig& config, std::string_view name) {
    for (const ConfigEntry& entry : describe(config)) {
        if (name == entry.definition->name) { return entry.value; }
    }
    return "";
}

// Each resource of the request, by the worker; then the answer.
template <class Response, class Asked, class Change>
void change_all(BrokerContext& context, Request request, Change change) {
    context.answer_by_worker<Asked>(std::move(request), [change](const Asked& asked) {
        Response response;
        for (const auto& resource : asked.resources) {
            const auto refusal = change(resource, asked.validate_only);
            const bool done = refusal.error == ErrorCode::none;
            response.responses.push_back({refusal.error, done ? std::nullopt : std::optional(refusal.message),
                                          resource.resource_type, resource.resource_name});
        }
        return response;
    });
}

}  // namespace

// Kafka's ConfigEntry.ConfigSource.
int8_t wire_number(ConfigSource source) {
    switch (source) {
        case ConfigSource::topic: return 1;
        case ConfigSource::broker: return source_static_broker;
        case ConfigSource::built_in: return source_default;
    }
    return 0;
}

// --- describing --------------------------------------------------------------------------------------------------------

std::optional<ConfigHandler::Refusal> ConfigHandler::describe_topic(const std::string& name, Described& out) const {
    const auto topic = context_.served.topic(name);
    if (!topic) { return Refusal{ErrorCode::unknown_topic_or_partition, "there is no such topic"}; }
    for (const ConfigEntry& entry : flowstone::describe(*context_.served.config(*topic))) {
        auto& config = out.configs.emplace_back();
        config.name = entry.definition->name;
        config.value = entry.value;
        config.config_source = wire_number(entry.source);
        config.config_type = wire_type(entry.definition->type);
        config.documentation = entry.definition->help;
        for (const ConfigSynonym& synonym : entry.synonyms) {
            config.synonyms.push_back({synonym.name, synonym.value, wire_number(synonym.source)});
        }
    }
    return std::nullopt;
}

std::optional<ConfigHandler::Refusal> ConfigHandler::describe_broker(const std::string& name, Described& out) const {
    if (name.empty()) { return std::nullopt; }  // defaults of the whole cluster: nobody set any
    int32_t id = -1;
    std::from_chars(name.data(), name.data() + name.size(), id);
    if (id != context_.cluster.node_id() || name != std::to_string(id)) {
        return Refusal{ErrorCode::invalid_request,
                       fmt::format("this is broker {}, not '{}'", context_.cluster.node_id(), name)};
    }
    for (const BrokerConfigEntry& entry : flowstone::describe(context_.config)) {
        auto& config = out.configs.emplace_back();
        config.name = entry.name;
        config.value = entry.value;
        config.read_only = true;
        config.config_source = entry.source == BrokerConfigSource::built_in ? source_default : source_static_broker;
        config.config_type = wire_type(entry.setting->type);
        config.documentation = entry.setting->help;
        config.synonyms.push_back({entry.name, entry.value, config.config_source});
    }
    return std::nullopt;
}

void ConfigHandler::on(const Request& request, const DescribeConfigsRequest& asked) {
    DescribeConfigsResponse response;
    for (const auto& resource : asked.resources) {
        auto& out = response.results.emplace_back();
        out.resource_type = resource.resource_type;
        out.resource_name = resource.resource_name;
        out.error_message = std::nullopt;
        std::optional<Refusal> refusal;
        switch (resource.resource_type) {
            case resource_topic: refusal = describe_topic(resource.resource_name, out); break;
            case resource_broker: refusal = describe_broker(resource.resource_name, out); break;
            case resource_broker_logger:
            case resource_client_metrics:
            case resource_group: break;  // nothing can be set on them here, so there is nothing to say
            default: refusal = Refusal{ErrorCode::invalid_request, "no such kind of resource"};
        }
        if (refusal) {
            out.error_code = refusal->error;
            out.error_message = refusal->message;
            continue;
        }
        const auto& keys = resource.configuration_keys;
        // Up to version 1 some clients ask for all by an empty list.
        if (keys && !keys->empty()) {
            std::erase_if(out.configs,
                          [&](const auto& config) { return std::ranges::find(*keys, config.name) == keys->end(); });
        }
        for (auto& config : out.configs) {
            if (!asked.include_synonyms) { config.synonyms.clear(); }
            if (!asked.include_documentation) { config.documentation = std::nullopt; }
        }
    }
    context_.answer(request, response);
}

void ConfigHandler::on(const Request& request, const ListConfigResourcesRequest& asked) {
    ListConfigResourcesResponse response;
    // Version 0 is ListClientMetricsResources under another name.
    std::set<int8_t> types(asked.resource_types.begin(), asked.resource_types.end());
    if (request.version() == 0) {
        types = {resource_client_metrics};
    } else if (types.empty()) {
        types = {resource_topic, resource_broker, resource_broker_logger, resource_client_metrics, resource_group};
    }
    const std::string node = std::to_string(context_.cluster.node_id());
    for (const int8_t type : types) {
        if (type == resource_topic) {
            for (const ServedTopic& topic : context_.served.topics()) {
                response.config_resources.push_back({topic.name(), type});
            }
        } else if (type == resource_broker || type == resource_broker_logger) {
            response.config_resources.push_back({node, type});
        } else if (type != resource_client_metrics && type != resource_group) {
            response.error_code = ErrorCode::unsupported_version;
        }
    }
    if (response.error_code != ErrorCode::none) { response.config_resources.clear(); }
    context_.answer(request, response);
}

// --- changing ----------------------------------------------------------------------------------------------------------

std::optional<ConfigHandler::Refusal> ConfigHandler::check_resource(int8_t type, const std::string& name) const {
    switch (type) {
        case resource_topic:
            if (!context_.served.topic(name)) {
                return Refusal{ErrorCode::unknown_topic_or_partition, "there is no such topic"};
            }
            return std::nullopt;
        case resource_broker:
            return Refusal{ErrorCode::invalid_request,
                           "a broker takes its configuration when it starts, not while it runs"};
        case resource_broker_logger:
        case resource_client_metrics:
        case resource_group: return Refusal{ErrorCode::invalid_request, "nothing can be set on this kind of resource"};
        default: return Refusal{ErrorCode::invalid_request, "no such kind of resource"};
    }
}

std::optional<ConfigHandler::Refusal> ConfigHandler::change(const std::string& name, const ConfigMap& wanted,
                                                            bool validate_only) const {
    auto parsed = TopicConfig::parse(wanted, context_.config.topic_defaults);
    if (!parsed) { return Refusal{ErrorCode::invalid_config, parsed.error().message()}; }
    if (validate_only) { return std::nullopt; }
    const auto topic = context_.served.topic(name);
    if (!topic) { return Refusal{ErrorCode::unknown_topic_or_partition, "there is no such topic"}; }
    std::vector<std::string> unset;
    for (const auto& [key, value] : context_.served.config(*topic)->set) {
        if (std::ranges::find(wanted, key, &ConfigMap::value_type::first) == wanted.end()) { unset.push_back(key); }
    }
    if (auto altered = context_.served.alter_topic(name, wanted, unset); !altered) {
        return Refusal{topic_error(altered.error()), altered.error().message()};
    }
    return std::nullopt;
}

// All of a topic's own configs at once: what is not named is unset.
std::optional<ConfigHandler::Refusal> ConfigHandler::replace(const AlterConfigsRequest::AlterConfigsResource& asked,
                                                             bool validate) const {
    if (auto refusal = check_resource(asked.resource_type, asked.resource_name)) { return refusal; }
    ConfigMap wanted;
    for (const auto& config : asked.configs) {
        if (!config.value) {
            return Refusal{ErrorCode::invalid_request, fmt::format("the config {} has no value", config.name)};
        }
        if (find(wanted, config.name) != nullptr) {
            return Refusal{ErrorCode::invalid_request, fmt::format("the config {} is named twice", config.name)};
        }
        wanted.emplace_back(config.name, *config.value);
    }
    return change(asked.resource_name, wanted, validate);
}

std::optional<ConfigHandler::Refusal> ConfigHandler::adjust(
    const IncrementalAlterConfigsRequest::AlterConfigsResource& asked, bool validate) const {
    if (auto refusal = check_resource(asked.resource_type, asked.resource_name)) { return refusal; }
    const auto topic = context_.served.topic(asked.resource_name);
    if (!topic) { return Refusal{ErrorCode::unknown_topic_or_partition, "there is no such topic"}; }
    const auto config = context_.served.config(*topic);
    ConfigMap wanted = config->set;
    std::set<std::string> named;
    for (const auto& one : asked.configs) {
        if (!named.insert(one.name).second) {
            return Refusal{ErrorCode::invalid_request, fmt::format("the config {} is named twice", one.name)};
        }
        const ConfigDefinition* definition = find_topic_config(one.name);
        if (definition == nullptr) {
            return Refusal{ErrorCode::invalid_config, fmt::format("there is no topic config {}", one.name)};
        }
        if (one.config_operation != op_delete && !one.value) {
            return Refusal{ErrorCode::invalid_request, fmt::format("the config {} has no value", one.name)};
        }
        if (one.config_operation == op_set) {
            put(wanted, one.name, *one.value);
        } else if (one.config_operation == op_delete) {
            std::erase_if(wanted, [&](const auto& entry) { return entry.first == one.name; });
        } else if (one.config_operation != op_append && one.config_operation != op_subtract) {
            return Refusal{ErrorCode::invalid_request, fmt::format("no such operation: {}", one.config_operation)};
        } else if (definition->type != ConfigType::list) {
            return Refusal{ErrorCode::invalid_config, fmt::format("the config {} is not a list", one.name)};
        } else {
            std::vector<std::string> items = items_of(in_force(*config, one.name));
            for (const std::string& item : items_of(*one.value)) {
                const bool there = std::ranges::find(items, item) != items.end();
                if (one.config_operation == op_append && !there) { items.push_back(item); }
                if (one.config_operation == op_subtract) { std::erase(items, item); }
            }
            put(wanted, one.name, fmt::format("{}", fmt::join(items, ",")));
        }
    }
    return change(asked.resource_name, wanted, validate);
}

void ConfigHandler::on(Request request, const AlterConfigsRequest& /*asked*/) {
    change_all<AlterConfigsResponse, AlterConfigsRequest>(
        context_, std::move(request),
        [this](const auto& resource, bool validate) { return replace(resource, validate).value_or(Refusal{}); });
}

void ConfigHandler::on(Request request, const IncrementalAlterConfigsRequest& /*asked*/) {
    change_all<IncrementalAlterConfigsResponse, IncrementalAlterConfigsRequest>(
        context_, std::move(request),
        [this](const auto& resource, bool validate) { return adjust(resource, validate).value_or(Refusal{}); });
}

}  // namespace flowstone
