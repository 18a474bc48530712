// Each call of Admin as requests: what is asked of whom, and what the answers say.
#include "client/impl/admin.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "client/impl/consumer_protocol.h"
#include "client/impl/errors.h"
#include "net/kafka/messages/create_partitions.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_groups.h"
#include "net/kafka/messages/delete_records.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/describe_configs.h"
#include "net/kafka/messages/describe_groups.h"
#include "net/kafka/messages/describe_log_dirs.h"
#include "net/kafka/messages/incremental_alter_configs.h"
#include "net/kafka/messages/list_groups.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_delete.h"
#include "net/kafka/messages/offset_fetch.h"
#include "storage/try.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using To = BrokerCall::To;
using Thing = BrokerCall::Thing;
using Verdicts = BrokerCall::Verdicts;
using Errors = std::vector<std::optional<Error>>;
using Asked = std::vector<size_t>;

constexpr int16_t names_not_ids =
    9;  // offsets of groups: from version 10 on topics go by ids that we would have to ask for
constexpr size_t partitions_at_once_max = 10'000;
constexpr size_t groups_at_once_max = 1'000;
constexpr size_t resources_at_once_max = 1'000;
constexpr int64_t earliest = -2;
constexpr int64_t latest = -1;

int64_t until(AdminDoor& door, std::chrono::milliseconds timeout) {
    return door.now_ns() + std::clamp<int64_t>(timeout.count(), 0, INT64_MAX / 4'000'000) * 1'000'000;
}

// What a broker is given to bring about what is asked.
int32_t left_ms(AdminDoor& door, int64_t deadline_ns) {
    return static_cast<int32_t>(std::clamp<int64_t>((deadline_ns - door.now_ns()) / 1'000'000, 1, INT32_MAX));
}

std::vector<Thing> things_of(const std::vector<TopicPartition>& places) {
    std::vector<Thing> things;
    for (const auto& [topic, partition] : places) { things.push_back({topic, partition}); }
    return things;
}

std::map<std::string_view, std::vector<size_t>> by_topic(const std::vector<TopicPartition>& places,
                                                         const Asked& asked) {
    std::map<std::string_view, std::vector<size_t>> topics;
    for (const size_t i : asked) { topics[places[i].topic].push_back(i); }
    return topics;
}

template <class T>
std::vector<Result<T>> each(std::vector<T> values, const Errors& errors) {
    std::vector<Result<T>> out;
    for (size_t i = 0; i < values.size(); ++i) {
        if (errors[i]) {
            out.emplace_back(std::unexpected(*errors[i]));
        } else {
            out.emplace_back(std::move(values[i]));
        }
    }
    return out;
}

template <class T>
Result<T> only(std::vector<Result<T>> one) {
    return std::move(one.front());
}

Result<void> done_or(const Errors& errors) {
    for (const auto& error : errors) {
        if (error) { return std::unexpected(*error); }
    }
    return {};
}

}  // namespace

Admin::Admin(std::shared_ptr<AdminDoor> door) : door_(std::move(door)) {}

// --- topics ------------------------------------------------------------------------------------------------------------

Result<void> Admin::create_topic(std::string_view name, const NewTopic& wanted, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    return done_or(door_->ask<kafka::CreateTopicsRequest, kafka::CreateTopicsResponse>(
        {.operation = "admin.create_topic", .to = To::controller, .deadline_ns = deadline}, {{std::string(name)}},
        [&](const Asked&) {
            kafka::CreateTopicsRequest request;
            request.timeout_ms = left_ms(*door_, deadline);
            auto& topic = request.topics.emplace_back();
            topic.name = name;
            topic.num_partitions = wanted.partitions;
            topic.replication_factor = wanted.replicas;
            for (const auto& [key, value] : wanted.configs) { topic.configs.push_back({.name = key, .value = value}); }
            return request;
        },
        [&](const kafka::CreateTopicsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.topics) {
                const bool good = wanted.exists_ok && one.error_code == ErrorCode::topic_already_exists;
                verdicts.tell(one.name, -1, good ? ErrorCode::none : one.error_code, one.error_message.value_or(""));
            }
        }));
}

namespace {

RemoteTopic topic_of(const kafka::MetadataResponse::MetadataResponseTopic& told) {
    RemoteTopic topic{.name = *told.name, .id = told.topic_id, .internal = told.is_internal, .partitions = {}};
    topic.partitions.resize(told.partitions.size());
    for (const auto& one : told.partitions) {
        const auto number = static_cast<size_t>(one.partition_index);
        if (one.partition_index < 0 || number >= topic.partitions.size()) { continue; }
        topic.partitions[number] = {one.leader_id, Epoch{one.leader_epoch}, one.replica_nodes, one.isr_nodes};
    }
    return topic;
}

kafka::MetadataRequest metadata_request() {
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    return request;
}

}  // namespace

Result<std::vector<RemoteTopic>> Admin::topics(Timeout timeout) {
    std::vector<RemoteTopic> topics;
    TRY_VOID(done_or(door_->ask<kafka::MetadataRequest, kafka::MetadataResponse>(
        {.operation = "admin.topics", .repeatable = true, .deadline_ns = until(*door_, timeout)}, {{"the topics"}},
        [](const Asked&) {
            auto request = metadata_request();
            request.topics.reset();  // all of them
            return request;
        },
        [&](const kafka::MetadataResponse& answer, Verdicts& verdicts) {
            topics.clear();
            for (const auto& topic : answer.topics) {
                if (topic.error_code == ErrorCode::none && topic.name) { topics.push_back(topic_of(topic)); }
            }
            verdicts.tell_all(answer.error_code);
        })));
    std::ranges::sort(topics, {}, &RemoteTopic::name);
    return topics;
}

Result<RemoteTopic> Admin::topic(std::string_view name, Timeout timeout) {
    RemoteTopic topic;
    TRY_VOID(done_or(door_->ask<kafka::MetadataRequest, kafka::MetadataResponse>(
        {.operation = "admin.topic", .repeatable = true, .deadline_ns = until(*door_, timeout)}, {{std::string(name)}},
        [&](const Asked&) {
            auto request = metadata_request();
            request.topics->push_back({.name = std::string(name)});
            return request;
        },
        [&](const kafka::MetadataResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.topics) {
                if (verdicts.tell(one.name.value_or(""), -1, one.error_code)) { topic = topic_of(one); }
            }
        })));
    return topic;
}

Result<void> Admin::delete_topic(std::string_view name, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    return done_or(door_->ask<kafka::DeleteTopicsRequest, kafka::DeleteTopicsResponse>(
        {.operation = "admin.delete_topic", .to = To::controller, .deadline_ns = deadline}, {{std::string(name)}},
        [&](const Asked&) {
            kafka::DeleteTopicsRequest request;
            request.timeout_ms = left_ms(*door_, deadline);
            request.topic_names.emplace_back(name);                 // up to version 5
            request.topics.push_back({.name = std::string(name)});  // since
            return request;
        },
        [&](const kafka::DeleteTopicsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.responses) {
                verdicts.tell(one.name.value_or(""), -1, one.error_code, one.error_message.value_or(""));
            }
        }));
}

Result<void> Admin::add_partitions(std::string_view name, int32_t total, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    return done_or(door_->ask<kafka::CreatePartitionsRequest, kafka::CreatePartitionsResponse>(
        {.operation = "admin.add_partitions", .to = To::controller, .deadline_ns = deadline}, {{std::string(name)}},
        [&](const Asked&) {
            kafka::CreatePartitionsRequest request;
            request.timeout_ms = left_ms(*door_, deadline);
            request.topics.push_back({.name = std::string(name), .count = total, .assignments = std::nullopt});
            return request;
        },
        [&](const kafka::CreatePartitionsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.results) {
                verdicts.tell(one.name, -1, one.error_code, one.error_message.value_or(""));
            }
        }));
}

// --- configurations ----------------------------------------------------------------------------------------------------

namespace {

RemoteConfig::Source source_of(int8_t number) {
    const bool known = number >= 1 && number <= static_cast<int8_t>(RemoteConfig::Source::built_in);
    return known ? static_cast<RemoteConfig::Source>(number) : RemoteConfig::Source::unknown;
}

RemoteConfig config_of(const kafka::DescribeConfigsResponse::DescribeConfigsResourceResult& told) {
    RemoteConfig config{.name = told.name,
                        .value = told.is_sensitive ? std::nullopt : told.value,
                        .source = source_of(told.config_source),
                        .default_value = std::nullopt,
                        .read_only = told.read_only,
                        .documentation = told.documentation.value_or("")};
    for (const auto& synonym : told.synonyms) {
        if (source_of(synonym.source) == RemoteConfig::Source::built_in) { config.default_value = synonym.value; }
    }
    // Kafka tells of no synonyms where its broker's is in another unit, as retention.ms is log.retention.hours there.
    if (config.source == RemoteConfig::Source::built_in && !config.default_value) {
        config.default_value = config.value;
    }
    return config;
}

// A broker by its number, which it has to go to; a topic by its name.
Thing thing_of(const ConfigOwner& owner) {
    if (owner.kind == ConfigOwner::Kind::topic) { return {owner.name}; }
    int32_t id = -1;
    std::from_chars(owner.name.data(), owner.name.data() + owner.name.size(), id);
    return {"", id};
}

std::optional<size_t> tell_of(Verdicts& verdicts, int8_t kind, const std::string& name, ErrorCode code,
                              const std::optional<std::string>& text) {
    const Thing thing = thing_of({static_cast<ConfigOwner::Kind>(kind), name});
    return verdicts.tell(thing.name, thing.number, code, text.value_or(""));
}

}  // namespace

Admin::Each<std::vector<RemoteConfig>> Admin::configs_of(const std::vector<ConfigOwner>& owners, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    std::vector<std::vector<RemoteConfig>> configs(owners.size());
    Errors errors(owners.size());
    for (const auto kind : {ConfigOwner::Kind::topic, ConfigOwner::Kind::broker}) {
        std::vector<size_t> places;
        std::vector<Thing> things;
        for (size_t i = 0; i < owners.size(); ++i) {
            if (owners[i].kind != kind) { continue; }
            places.push_back(i);
            things.push_back(thing_of(owners[i]));
        }
        const Errors some = door_->ask<kafka::DescribeConfigsRequest, kafka::DescribeConfigsResponse>(
            {.operation = "admin.configs",
             .to = kind == ConfigOwner::Kind::topic ? To::any_broker : To::broker,
             .repeatable = true,
             .deadline_ns = deadline,
             .things_max = resources_at_once_max},
            things,
            [&](const Asked& asked) {
                kafka::DescribeConfigsRequest request;
                for (const size_t i : asked) {
                    request.resources.push_back({.resource_type = static_cast<int8_t>(kind),
                                                 .resource_name = owners[places[i]].name,
                                                 .configuration_keys = std::nullopt});
                }
                request.include_synonyms = true;
                request.include_documentation = true;
                return request;
            },
            [&](const kafka::DescribeConfigsResponse& answer, Verdicts& verdicts) {
                for (const auto& one : answer.results) {
                    const auto i =
                        tell_of(verdicts, one.resource_type, one.resource_name, one.error_code, one.error_message);
                    if (!i) { continue; }
                    auto& out = configs[places[*i]];
                    out.clear();
                    for (const auto& config : one.configs) { out.push_back(config_of(config)); }
                }
            });
        for (size_t i = 0; i < some.size(); ++i) { errors[places[i]] = some[i]; }
    }
    return each(std::move(configs), errors);
}

Result<std::vector<RemoteConfig>> Admin::configs(const ConfigOwner& owner, Timeout timeout) {
    return only(configs_of({owner}, timeout));
}

Result<void> Admin::alter_configs(const ConfigOwner& owner, const ConfigMap& set, const std::vector<std::string>& unset,
                                  Timeout timeout) {
    constexpr int8_t op_set = 0;
    constexpr int8_t op_delete = 1;
    const To to = owner.kind == ConfigOwner::Kind::topic ? To::any_broker : To::broker;
    return done_or(door_->ask<kafka::IncrementalAlterConfigsRequest, kafka::IncrementalAlterConfigsResponse>(
        {.operation = "admin.alter_configs", .to = to, .deadline_ns = until(*door_, timeout)}, {thing_of(owner)},
        [&](const Asked&) {
            kafka::IncrementalAlterConfigsRequest request;
            auto& resource = request.resources.emplace_back();
            resource.resource_type = static_cast<int8_t>(owner.kind);
            resource.resource_name = owner.name;
            for (const auto& [name, value] : set) { resource.configs.push_back({name, op_set, value}); }
            for (const std::string& name : unset) { resource.configs.push_back({name, op_delete, std::nullopt}); }
            return request;
        },
        [&](const kafka::IncrementalAlterConfigsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.responses) {
                tell_of(verdicts, one.resource_type, one.resource_name, one.error_code, one.error_message);
            }
        }));
}

// --- partitions --------------------------------------------------------------------------------------------------------

namespace {

// Of each, the offset for `timestamp`, which may be one of the two above; -1 for a time after which there is nothing.
std::vector<Result<Offset>> list_offsets(AdminDoor& door, const char* operation,
                                         const std::vector<TopicPartition>& places, int64_t timestamp,
                                         int64_t deadline_ns, bool read_committed = false) {
    std::vector<Offset> offsets(places.size());
    const Errors errors = door.ask<kafka::ListOffsetsRequest, kafka::ListOffsetsResponse>(
        {.operation = operation,
         .to = To::leader,
         .repeatable = true,
         .deadline_ns = deadline_ns,
         .things_max = partitions_at_once_max},
        things_of(places),
        [&](const Asked& asked) {
            kafka::ListOffsetsRequest request;
            request.replica_id = -1;
            request.isolation_level = read_committed ? 1 : 0;
            request.timeout_ms = left_ms(door, deadline_ns);
            for (const auto& [name, some] : by_topic(places, asked)) {
                auto& topic = request.topics.emplace_back();
                topic.name = name;
                for (const size_t i : some) {
                    topic.partitions.push_back({.partition_index = places[i].partition, .timestamp = timestamp});
                }
            }
            return request;
        },
        [&](const kafka::ListOffsetsResponse& answer, Verdicts& verdicts) {
            for (const auto& topic : answer.topics) {
                for (const auto& one : topic.partitions) {
                    if (const auto i = verdicts.tell(topic.name, one.partition_index, one.error_code)) {
                        offsets[*i] = Offset{one.offset};
                    }
                }
            }
        });
    return each(std::move(offsets), errors);
}

}  // namespace

Admin::Each<PartitionOffsets> Admin::ends(const std::vector<TopicPartition>& places, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    const auto starts = list_offsets(*door_, "admin.ends", places, earliest, deadline);
    const auto ends = list_offsets(*door_, "admin.ends", places, latest, deadline);
    Each<PartitionOffsets> out;
    for (size_t i = 0; i < places.size(); ++i) {
        if (starts[i] && ends[i]) {
            out.emplace_back(PartitionOffsets{*starts[i], *ends[i]});
        } else {
            out.emplace_back(std::unexpected(starts[i] ? ends[i].error() : starts[i].error()));
        }
    }
    return out;
}

Result<PartitionOffsets> Admin::ends(const TopicPartition& place, Timeout timeout) {
    return only(ends(std::vector{place}, timeout));
}

Admin::Each<Offset> Admin::offsets_at(const std::vector<TopicPartition>& places, const From& from, Timeout timeout,
                                      bool read_committed) {
    const char* const operation = "admin.offsets_at";
    const int64_t deadline = until(*door_, timeout);
    if (std::holds_alternative<From::Beginning>(from.value())) {
        return list_offsets(*door_, operation, places, earliest, deadline);
    }
    auto ends = list_offsets(*door_, operation, places, latest, deadline, read_committed);
    if (std::holds_alternative<From::End>(from.value())) { return ends; }
    if (const auto* time = std::get_if<From::Time>(&from.value())) {
        // Below zero are Kafka's names for ends; nothing is older.
        auto found = list_offsets(*door_, operation, places, std::max<int64_t>(0, time->ms), deadline, read_committed);
        for (size_t i = 0; i < places.size(); ++i) {
            if (found[i] && found[i]->value < 0) { found[i] = std::move(ends[i]); }
        }
        return found;
    }
    const Offset offset = std::get<Offset>(from.value());
    const auto starts = list_offsets(*door_, operation, places, earliest, deadline);
    for (size_t i = 0; i < places.size(); ++i) {
        if (!starts[i] || !ends[i]) {
            if (!starts[i]) { ends[i] = starts[i]; }
        } else if (offset < *starts[i] || offset > *ends[i]) {
            ends[i] = fail(Code::out_of_range, operation,
                           fmt::format("offset {} of {}-{}: there are {} to {}", offset.value, places[i].topic,
                                       places[i].partition, starts[i]->value, ends[i]->value));
        } else {
            ends[i] = offset;
        }
    }
    return ends;
}

Result<Offset> Admin::offset_at(const TopicPartition& place, const From& from, Timeout timeout, bool read_committed) {
    return only(offsets_at({place}, from, timeout, read_committed));
}

Admin::Each<std::optional<uint64_t>> Admin::bytes(const std::vector<TopicPartition>& places, Timeout timeout) {
    std::vector<std::optional<uint64_t>> bytes(places.size());
    Errors errors = door_->ask<kafka::DescribeLogDirsRequest, kafka::DescribeLogDirsResponse>(
        {.operation = "admin.bytes",
         .to = To::leader,
         .repeatable = true,
         .deadline_ns = until(*door_, timeout),
         .things_max = partitions_at_once_max},
        things_of(places),
        [&](const Asked& asked) {
            kafka::DescribeLogDirsRequest request;
            request.topics.emplace();
            for (const auto& [name, some] : by_topic(places, asked)) {
                auto& topic = request.topics->emplace_back();
                topic.topic = name;
                for (const size_t i : some) { topic.partitions.push_back(places[i].partition); }
            }
            return request;
        },
        [&](const kafka::DescribeLogDirsResponse& answer, Verdicts& verdicts) {
            verdicts.tell_all(answer.error_code);
            if (answer.error_code != ErrorCode::none) { return; }
            for (const auto& directory : answer.results) {
                for (const auto& topic : directory.topics) {
                    for (const auto& one : topic.partitions) {
                        const auto i = verdicts.tell(topic.name, one.partition_index, ErrorCode::none);
                        if (i && one.partition_size >= 0) { bytes[*i] = static_cast<uint64_t>(one.partition_size); }
                    }
                }
            }
        });
    for (auto& error : errors) {
        if (error && error->code == Code::unsupported) { error.reset(); }
    }
    return each(std::move(bytes), errors);
}

Result<Offset> Admin::delete_records(const TopicPartition& place, Offset before, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    Offset log_start;
    TRY_VOID(done_or(door_->ask<kafka::DeleteRecordsRequest, kafka::DeleteRecordsResponse>(
        {.operation = "admin.delete_records", .to = To::leader, .repeatable = true, .deadline_ns = deadline},
        {{place.topic, place.partition}},
        [&](const Asked&) {
            kafka::DeleteRecordsRequest request;
            request.timeout_ms = left_ms(*door_, deadline);
            request.topics.push_back({place.topic, {{place.partition, before.value}}});
            return request;
        },
        [&](const kafka::DeleteRecordsResponse& answer, Verdicts& verdicts) {
            for (const auto& topic : answer.topics) {
                for (const auto& one : topic.partitions) {
                    if (verdicts.tell(topic.name, one.partition_index, one.error_code)) {
                        log_start = Offset{one.low_watermark};
                    }
                }
            }
        })));
    return log_start;
}

// --- groups ------------------------------------------------------------------------------------------------------------

Result<std::vector<RemoteGroup>> Admin::groups(Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    TRY(const RemoteCluster known, cluster(timeout));
    std::vector<Thing> brokers;
    for (const RemoteBroker& broker : known.brokers) { brokers.push_back({"", broker.id}); }
    std::map<std::string, RemoteGroup> groups;
    TRY_VOID(done_or(door_->ask<kafka::ListGroupsRequest, kafka::ListGroupsResponse>(
        {.operation = "admin.groups", .to = To::broker, .repeatable = true, .deadline_ns = deadline}, brokers,
        [](const Asked&) { return kafka::ListGroupsRequest(); },
        [&](const kafka::ListGroupsResponse& answer, Verdicts& verdicts) {
            verdicts.tell_all(answer.error_code);
            for (const auto& one : answer.groups) {
                groups[one.group_id] = {one.group_id, one.group_state, one.protocol_type};
            }
        })));
    std::vector<RemoteGroup> out;
    for (auto& [name, group] : groups) { out.push_back(std::move(group)); }
    return out;
}

namespace {

RemoteMember member_of(const kafka::DescribeGroupsResponse::DescribedGroupMember& told, bool consumer) {
    RemoteMember member{.id = told.member_id,
                        .instance = told.group_instance_id,
                        .client_id = told.client_id,
                        .host = told.client_host,
                        .assigned = {}};
    if (!consumer) { return member; }
    // What a leader of another make has written may be anything.
    if (auto assigned = decode_assignment(told.member_assignment)) { member.assigned = std::move(*assigned); }
    std::ranges::sort(member.assigned);
    return member;
}

std::vector<Thing> things_of(const std::vector<std::string>& groups) {
    std::vector<Thing> things;
    for (const std::string& group : groups) { things.push_back({group}); }
    return things;
}

}  // namespace

Admin::Each<RemoteGroupDetail> Admin::describe_groups(const std::vector<std::string>& names, Timeout timeout) {
    std::vector<RemoteGroupDetail> groups(names.size());
    const Errors errors = door_->ask<kafka::DescribeGroupsRequest, kafka::DescribeGroupsResponse>(
        {.operation = "admin.groups",
         .to = To::coordinator,
         .repeatable = true,
         .deadline_ns = until(*door_, timeout),
         .things_max = groups_at_once_max},
        things_of(names),
        [&](const Asked& asked) {
            kafka::DescribeGroupsRequest request;
            for (const size_t i : asked) { request.groups.push_back(names[i]); }
            return request;
        },
        [&](const kafka::DescribeGroupsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.groups) {
                // Up to version 5 that is how a group is told that is not there.
                const bool dead = one.error_code == ErrorCode::none && one.group_state == "Dead";
                const auto i = verdicts.tell(one.group_id, -1, dead ? ErrorCode::group_id_not_found : one.error_code,
                                             one.error_message.value_or(""));
                if (!i) { continue; }
                groups[*i] = {one.group_id, one.group_state, one.protocol_type, one.protocol_data, {}};
                for (const auto& member : one.members) {
                    groups[*i].members.push_back(member_of(member, one.protocol_type == "consumer"));
                }
            }
        });
    return each(std::move(groups), errors);
}

Result<RemoteGroupDetail> Admin::group(std::string_view name, Timeout timeout) {
    return only(describe_groups({std::string(name)}, timeout));
}

Result<void> Admin::delete_group(std::string_view name, Timeout timeout) {
    return done_or(door_->ask<kafka::DeleteGroupsRequest, kafka::DeleteGroupsResponse>(
        {.operation = "admin.delete_group", .to = To::coordinator, .deadline_ns = until(*door_, timeout)},
        {{std::string(name)}},
        [&](const Asked&) {
            kafka::DeleteGroupsRequest request;
            request.groups_names.emplace_back(name);
            return request;
        },
        [&](const kafka::DeleteGroupsResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.results) { verdicts.tell(one.group_id, -1, one.error_code); }
        }));
}

namespace {

// `told` is of one group: its topics, in whichever form. The error of a partition is the group's.
template <class Topics>
void take_offsets(const Topics& told, const std::string& group, ErrorCode code, Verdicts& verdicts,
                  std::vector<std::vector<GroupOffset>>& out) {
    std::vector<GroupOffset> offsets;
    for (const auto& topic : told) {
        for (const auto& one : topic.partitions) {
            if (code == ErrorCode::none) { code = one.error_code; }
            if (one.committed_offset < 0) { continue; }
            offsets.push_back({.topic = topic.name,
                               .partition = one.partition_index,
                               .offset = Offset{one.committed_offset},
                               .metadata = one.metadata.value_or("")});
        }
    }
    std::ranges::sort(offsets, {}, [](const GroupOffset& one) { return std::tie(one.topic, one.partition); });
    if (const auto i = verdicts.tell(group, -1, code)) { out[*i] = std::move(offsets); }
}

}  // namespace

Admin::Each<std::vector<GroupOffset>> Admin::offsets_of(const std::vector<std::string>& groups, Timeout timeout) {
    std::vector<std::vector<GroupOffset>> offsets(groups.size());
    const Errors errors = door_->ask<kafka::OffsetFetchRequest, kafka::OffsetFetchResponse>(
        {.operation = "admin.offsets",
         .to = To::coordinator,
         .repeatable = true,
         .deadline_ns = until(*door_, timeout),
         .things_max = groups_at_once_max,
         .version_max = names_not_ids},
        things_of(groups),
        [&](const Asked& asked) {
            kafka::OffsetFetchRequest request;
            request.group_id = groups[asked.front()];  // the only one, up to version 7
            request.topics = std::nullopt;             // all
            for (const size_t i : asked) {
                request.groups.push_back({.group_id = groups[i], .member_id = std::nullopt, .topics = std::nullopt});
            }
            return request;
        },
        [&](const kafka::OffsetFetchResponse& answer, Verdicts& verdicts) {
            for (const auto& one : answer.groups) {
                take_offsets(one.topics, one.group_id, one.error_code, verdicts, offsets);
            }
            if (!answer.groups.empty()) { return; }
            const std::string& first = groups[verdicts.asked().front()];
            take_offsets(answer.topics, first, answer.error_code, verdicts, offsets);
            verdicts.ask_for_the_rest();
        });
    return each(std::move(offsets), errors);
}

Result<std::vector<GroupOffset>> Admin::offsets(std::string_view group, Timeout timeout) {
    return only(offsets_of({std::string(group)}, timeout));
}

Result<void> Admin::alter_offsets(std::string_view group, const std::vector<GroupOffset>& offsets, Timeout timeout) {
    if (offsets.empty()) { return {}; }
    return done_or(door_->ask<kafka::OffsetCommitRequest, kafka::OffsetCommitResponse>(
        {.operation = "admin.alter_offsets",
         .to = To::coordinator,
         .deadline_ns = until(*door_, timeout),
         .version_max = names_not_ids},
        {{std::string(group)}},
        [&](const Asked&) {
            kafka::OffsetCommitRequest request;
            request.group_id = group;
            std::map<std::string_view, size_t> places;
            for (const GroupOffset& one : offsets) {
                const auto [place, fresh] = places.emplace(one.topic, request.topics.size());
                if (fresh) { request.topics.push_back({.name = one.topic}); }
                request.topics[place->second].partitions.push_back({.partition_index = one.partition,
                                                                    .committed_offset = one.offset.value,
                                                                    .committed_metadata = one.metadata});
            }
            return request;
        },
        [&](const kafka::OffsetCommitResponse& answer, Verdicts& verdicts) {
            verdicts.tell_all(ErrorCode::none);
            for (const auto& topic : answer.topics) {
                for (const auto& one : topic.partitions) {
                    if (one.error_code == ErrorCode::none) { continue; }
                    // Somebody who is no member may commit only where there are none.
                    const bool members = one.error_code == ErrorCode::unknown_member_id;
                    verdicts.tell_all(members ? ErrorCode::non_empty_group : one.error_code,
                                      members ? "it has members, which commit themselves; end them first"
                                              : fmt::format("{}-{}", topic.name, one.partition_index));
                    return;
                }
            }
        }));
}

Result<void> Admin::delete_offsets(std::string_view group, std::string_view topic, Timeout timeout) {
    const int64_t deadline = until(*door_, timeout);
    TRY(const auto all, offsets(group, timeout));
    kafka::OffsetDeleteRequest request;
    request.group_id = group;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    for (const GroupOffset& one : all) {
        if (one.topic == topic) { wanted.partitions.push_back({one.partition}); }
    }
    if (wanted.partitions.empty()) {
        return fail(Code::not_found, "admin.delete_offsets",
                    fmt::format("{} has committed nothing of {}", group, topic));
    }
    return done_or(door_->ask<kafka::OffsetDeleteRequest, kafka::OffsetDeleteResponse>(
        {.operation = "admin.delete_offsets", .to = To::coordinator, .deadline_ns = deadline}, {{std::string(group)}},
        [&](const Asked&) { return request; },
        [&](const kafka::OffsetDeleteResponse& answer, Verdicts& verdicts) {
            verdicts.tell_all(answer.error_code);
            for (const auto& one_topic : answer.topics) {
                for (const auto& one : one_topic.partitions) {
                    if (one.error_code == ErrorCode::none) { continue; }
                    return verdicts.tell_all(one.error_code, fmt::format("{}-{}", one_topic.name, one.partition_index));
                }
            }
        }));
}

// --- cluster -----------------------------------------------------------------------------------------------------------

Result<RemoteCluster> Admin::cluster(Timeout timeout) {
    RemoteCluster cluster;
    TRY_VOID(done_or(door_->ask<kafka::MetadataRequest, kafka::MetadataResponse>(
        {.operation = "admin.cluster", .repeatable = true, .deadline_ns = until(*door_, timeout)}, {{"the cluster"}},
        [](const Asked&) { return metadata_request(); },
        [&](const kafka::MetadataResponse& answer, Verdicts& verdicts) {
            verdicts.tell_all(answer.error_code);
            cluster = {.id = answer.cluster_id.value_or(""), .controller = answer.controller_id, .brokers = {}};
            for (const auto& one : answer.brokers) {
                if (one.port < 0 || one.port > UINT16_MAX) { continue; }
                cluster.brokers.push_back({one.node_id, one.host, static_cast<uint16_t>(one.port), one.rack});
            }
        })));
    std::ranges::sort(cluster.brokers, {}, &RemoteBroker::id);
    return cluster;
}

}  // namespace flowstone
