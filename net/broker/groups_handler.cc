#include "net/broker/groups_handler.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/consumer_offsets.h"
#include "net/broker/find_coordinator.h"
#include "storage/batch.h"
#include "storage/check.h"

namespace flowstone {

using kafka::ErrorCode;

namespace {

constexpr int16_t batched_find_since = 4;
constexpr int16_t member_id_required_since = 4;
constexpr int16_t skip_assignment_since = 9;
constexpr int16_t many_leavers_since = 3;
constexpr int16_t many_groups_since = 8;
constexpr int16_t ids_since = 10;
constexpr size_t load_bytes = 1u << 20;
constexpr int32_t group_operations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;  // read, delete, describe, configs

std::vector<std::byte> copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// A topic that is there already has the partitions that it has, whatever new ones would get.
GroupCoordinatorOptions options_of(const BrokerContext& context) {
    GroupCoordinatorOptions options = context.config.groups;
    if (const auto topic = context.served.topic(consumer_offsets_topic)) { options.partitions = topic->partitions(); }
    return options;
}

// Runs of one topic, in an answer that lists topics and, below each, partitions.
template <class Topics>
auto& topic_in(Topics& topics, const std::string& name) {
    if (topics.empty() || topics.back().name != name) { topics.emplace_back().name = name; }
    return topics.back();
}

}  // namespace

GroupsHandler::GroupsHandler(BrokerContext& context, std::function<Result<ServedTopic>()> offsets_topic,
                             std::function<void(std::string)> notice)
    : context_(context),
      coordinator_(options_of(context)),
      offsets_topic_(std::move(offsets_topic)),
      notice_(std::move(notice)) {}

// --- the coordinator ---------------------------------------------------------------------------------------------------

// What answers the token once the coordinator has replied to it.
template <class Answer, class F>
RequestToken GroupsHandler::expect(F answer) {
    const RequestToken token{next_token_++};
    answerers_.emplace(token,
                       [answer = std::move(answer)](GroupAnswer& given) mutable { answer(std::get<Answer>(given)); });
    return token;
}

Tick GroupsHandler::time() const {
    return {context_.now_ms(), context_.clock.wall_ms(), context_.served.time_believed()};
}

// Effects may bring inputs of their own, such as an append that failed at once: one after the other.
void GroupsHandler::step(GroupInput input) {
    inputs_.push_back(std::move(input));
    if (stepping_) { return; }
    stepping_ = true;
    while (!inputs_.empty()) {
        GroupInput next = std::move(inputs_.front());
        inputs_.pop_front();
        GroupEffects effects;
        coordinator_.step(time(), effects);
        coordinator_.step(std::move(next), effects);
        perform(effects);
    }
    stepping_ = false;
}

void GroupsHandler::tick(int64_t now_ms) {
    if (now_ms >= coordinator_.next_deadline_ms()) { step(time()); }
}

void GroupsHandler::perform(GroupEffects& effects) {
    for (GroupEffect& effect : effects.list) {
        if (auto* reply = std::get_if<Reply>(&effect)) {
            const auto found = answerers_.find(reply->token);
            CHECK(found != answerers_.end());
            Answerer answerer = std::move(found->second);
            answerers_.erase(found);
            answerer(reply->answer);
        } else if (auto* append = std::get_if<AppendRecords>(&effect)) {
            perform(*append);
        } else {
            notice_(std::get<Notice>(effect).text);
        }
    }
}

void GroupsHandler::perform(AppendRecords& append) {
    Part& part = parts_[append.partition];
    std::vector<Record> records;
    size_t bytes = batch_header_bytes;
    for (const GroupRecord& record : append.records) {
        Record& one = records.emplace_back();
        one.key = as_text(record.key);
        if (record.value) { one.value = as_text(*record.value); }
        bytes += BatchBuilder::record_bytes_max(one);
    }
    std::vector<std::byte> space(bytes);
    BatchBuilder builder(space, {});
    for (const Record& record : records) {
        const bool fits = builder.append(record, context_.clock.wall_ms());
        CHECK(fits);
    }
    const auto appended = context_.served.append(*topic_, append.partition, builder.close().bytes());
    if (!appended) {
        inputs_.push_back(AppendFailed{append.partition, append.append, appended.error()});
        return;
    }
    part.in_flight.push_back({append.append, appended->base_offset, appended->next_offset});
    moved(*part.place);
}

void GroupsHandler::moved(ServedPartition place) {
    const auto found = part_of_.find(place.token());
    if (found == part_of_.end()) { return; }
    Part& part = parts_[found->second];
    look_at_ends(part, found->second);
    while (!part.late.empty() && !lacks(part, part.late.front().known_to)) {
        LateFetch next = std::move(part.late.front());
        part.late.pop_front();
        fetch(std::move(next.fetch), next.group + 1);
    }
}

void GroupsHandler::look_at_ends(Part& part, int32_t number) {
    if (!part.loaded || part.reading) { return; }
    const ServedPartition place = *part.place;
    if (part.in_flight.empty() && context_.served.failure(place)) { return; }
    context_.served.watch(place);  // before looking
    const PartitionEnds ends = context_.served.ends(place);
    const auto failure = context_.served.failure(place);
    for (;;) {
        const Offset ours = part.in_flight.empty() ? ends.high_watermark : part.in_flight.front().base_offset;
        const Offset others_end = std::min(ours, ends.high_watermark);
        if (part.known_to < others_end && !ends.deleted) { return read_on(number, others_end); }
        if (part.in_flight.empty()) { return; }
        const InFlight next = part.in_flight.front();
        if (ends.high_watermark >= next.next_offset) {
            part.in_flight.pop_front();
            part.known_to = next.next_offset;
            step(Persisted{number, next.append});
        } else if (failure || ends.deleted) {
            part.in_flight.pop_front();
            const Error error = failure ? *failure : fail(Code::not_found, "group.append", "the topic is gone").error();
            step(AppendFailed{number, next.append, error});
        } else {
            return;
        }
    }
}

// --- reading the groups back ----------------------------------------------------------------------------------------------

void GroupsHandler::start() {
    if (const auto topic = context_.served.topic(consumer_offsets_topic)) {
        topic_ = *topic;
        for (int32_t i = 0; i < topic_->partitions(); ++i) { load(i); }
    }
}

// Makes the topic when there is none. False when that failed.
bool GroupsHandler::ready() {
    if (topic_) { return true; }
    const auto made = offsets_topic_();
    if (!made) {
        notice_(made.error().message());
        return false;
    }
    start();
    return true;
}

void GroupsHandler::load(int32_t number) {
    const auto place = context_.served.partition(*topic_, number);
    if (!place) { return notice_(place.error().message()); }
    parts_[number].place = *place;
    part_of_[place->token()] = number;
    step(LoadBegin{number});
    const PartitionEnds ends = context_.served.ends(*place);
    parts_[number].known_to = ends.log_start;
    read_on(number, ends.high_watermark);
}

// Tells the coordinator what is there and it does not know, up to `end`, where others' records or all of them end.
void GroupsHandler::read_on(int32_t number, Offset end) {
    Part& part = parts_[number];
    const ServedPartition place = *part.place;
    const Offset from = part.known_to;
    if (from >= end) { return end_reading(number, from, {}); }
    part.reading = true;
    context_.worker.submit([this, number, place, from, end]() -> std::function<void()> {
        auto records = std::make_shared<std::vector<LoadRecord>>();
        auto read = context_.served.read(place, from, {.bytes_max = load_bytes});
        std::optional<Error> error;
        if (!read) { error = read.error(); }
        std::vector<std::byte> scratch;
        for (size_t i = 0; read && i < read->pieces.size() && !error; ++i) {
            for (Bytes rest = read->pieces[i]; !rest.empty() && !error;) {
                const auto batch = BatchView::parse(rest);
                auto cursor = batch ? RecordCursor::open(*batch, scratch) : std::unexpected(batch.error());
                while (cursor && !error) {
                    const auto record = cursor->next();
                    if (!record) { error = record.error(); }
                    if (!record || !*record) { break; }
                    if ((*record)->offset < from || (*record)->offset >= end || !(*record)->key) { continue; }
                    LoadRecord& one = records->emplace_back();
                    one.partition = number;
                    one.key = copy(as_bytes(*(*record)->key));
                    if ((*record)->value) { one.value = copy(as_bytes(*(*record)->value)); }
                }
                if (!cursor) { error = cursor.error(); }
                rest = batch ? rest.subspan(batch->size()) : Bytes{};
            }
        }
        if (!error && read->next_offset <= from) {
            error = fail(Code::corrupt, "group.load", "there is nothing to read").error();
        }
        const Offset next = read ? std::min(read->next_offset, end) : from;
        return [this, number, next, error, records] {
            for (LoadRecord& record : *records) { step(std::move(record)); }
            end_reading(number, next, error);
        };
    });
}

void GroupsHandler::end_reading(int32_t number, Offset next, const std::optional<Error>& error) {
    Part& part = parts_[number];
    part.reading = false;
    if (error) {
        // Groups of this partition are unavailable from now on: nothing is guessed about what they had.
        notice_(fmt::format("{}-{} at offset {}: {}", consumer_offsets_topic, number, part.known_to.value,
                            error->message()));
        part.loaded = false;
        part.in_flight.clear();
        step(Unload{number});
        return moved(*part.place);
    }
    part.known_to = next;
    const PartitionEnds ends = context_.served.ends(*part.place);
    if (!part.loaded && next < ends.high_watermark) { return read_on(number, ends.high_watermark); }
    if (!part.loaded) {
        part.loaded = true;
        step(LoadEnd{number});
    }
    moved(*part.place);
}

// Whether it will know more: what is visible up to there was written by others and is not read yet.
bool GroupsHandler::lacks(const Part& part, Offset known_to) const {
    if (!part.loaded || part.known_to >= known_to) { return false; }
    return part.reading || (!context_.served.failure(*part.place) && !context_.served.ends(*part.place).deleted);
}

// A commit that somebody has seen to be done, by the log and past the broker, is in the answer. Groups before `first` have
// been looked at.
void GroupsHandler::fetch(FetchOffsets fetch, size_t first) {
    for (size_t i = first; topic_ && i < fetch.groups.size(); ++i) {
        const int32_t number = partition_for_group(fetch.groups[i].group, topic_->partitions());
        const auto found = parts_.find(number);
        if (found == parts_.end() || !found->second.loaded) { continue; }
        Part& part = found->second;
        const Offset visible = context_.served.ends(*part.place).high_watermark;
        look_at_ends(part, number);
        if (lacks(part, visible)) {
            part.late.push_back({std::move(fetch), i, visible});
            return;
        }
    }
    step(std::move(fetch));
}

// --- members -----------------------------------------------------------------------------------------------------------

void GroupsHandler::on(const Request& request, const kafka::FindCoordinatorRequest& asked) {
    const auto type = static_cast<CoordinatorType>(asked.key_type);
    std::vector<int32_t> leaders;
    if (type == CoordinatorType::group && ready()) {
        for (int32_t i = 0; i < topic_->partitions(); ++i) {
            leaders.push_back(context_.cluster.leader_of(topic_->name(), i));
        }
    }
    const auto brokers = context_.cluster.brokers(request.peer.listener, request.peer.local);
    const auto fill = [&](const FoundCoordinator& found, auto& out) {
        out.error_code = found.error;
        out.error_message = std::nullopt;
        if (found.error != ErrorCode::none) { out.error_message = found.error_message; }
        out.node_id = found.broker;
        out.port = -1;
        const auto broker = std::ranges::find(brokers, found.broker, &BrokerEndpoint::id);
        if (broker == brokers.end()) { return; }
        out.host = broker->address.host;
        out.port = broker->address.port;
    };
    kafka::FindCoordinatorResponse response;
    if (request.version() < batched_find_since) {
        fill(find_coordinators(type, {&asked.key, 1}, leaders).front(), response);
    } else {
        for (const FoundCoordinator& found : find_coordinators(type, asked.coordinator_keys, leaders)) {
            auto& out = response.coordinators.emplace_back();
            out.key = found.key;
            fill(found, out);
        }
    }
    context_.answer(request, response);
}

void GroupsHandler::on(Request request, const kafka::JoinGroupRequest& asked) {
    ready();
    JoinGroup join;
    join.group = asked.group_id;
    join.member_id = asked.member_id;
    join.instance_id = asked.group_instance_id;
    join.client_id = request.header.client_id.value_or("");
    const std::string unique = context_.random.uuid().to_string();
    join.new_member_id = fmt::format("{}-{}", asked.group_instance_id.value_or(join.client_id), unique);
    join.client_host = "/" + request.peer.address.host;
    join.session_timeout_ms = asked.session_timeout_ms;
    join.rebalance_timeout_ms = asked.rebalance_timeout_ms;
    join.protocol_type = asked.protocol_type;
    for (const auto& protocol : asked.protocols) { join.protocols.push_back({protocol.name, copy(protocol.metadata)}); }
    join.requires_member_id = request.version() >= member_id_required_since;
    join.can_skip_assignment = request.version() >= skip_assignment_since;
    request.frame = nullptr;
    join.token = expect<JoinedGroup>([this, request = std::move(request)](const JoinedGroup& joined) {
        kafka::JoinGroupResponse response;
        response.error_code = joined.error;
        response.generation_id = joined.generation;
        response.protocol_type = joined.protocol_type;
        response.protocol_name = joined.protocol;
        response.leader = joined.leader;
        response.skip_assignment = joined.skip_assignment;
        response.member_id = joined.member_id;
        for (const auto& member : joined.members) {
            response.members.push_back({member.id, member.instance_id, Bytes(member.metadata)});
        }
        context_.answer(request, response);
    });
    step(std::move(join));
}

void GroupsHandler::on(Request request, const kafka::SyncGroupRequest& asked) {
    SyncGroup sync;
    sync.group = asked.group_id;
    sync.member_id = asked.member_id;
    sync.instance_id = asked.group_instance_id;
    sync.generation = asked.generation_id;
    sync.protocol_type = asked.protocol_type;
    sync.protocol = asked.protocol_name;
    for (const auto& one : asked.assignments) { sync.assignments.emplace_back(one.member_id, copy(one.assignment)); }
    request.frame = nullptr;
    sync.token = expect<SyncedGroup>([this, request = std::move(request)](const SyncedGroup& synced) {
        kafka::SyncGroupResponse response;
        response.error_code = synced.error;
        response.protocol_type = synced.protocol_type;
        response.protocol_name = synced.protocol;
        response.assignment = synced.assignment;
        context_.answer(request, response);
    });
    step(std::move(sync));
}

void GroupsHandler::on(Request request, const kafka::HeartbeatRequest& asked) {
    GroupHeartbeat heartbeat{
        .group = asked.group_id,
        .member_id = asked.member_id,
        .instance_id = asked.group_instance_id,
        .generation = asked.generation_id,
    };
    request.frame = nullptr;
    heartbeat.token =
        expect<GroupHeartbeatAnswer>([this, request = std::move(request)](const GroupHeartbeatAnswer& is) {
            kafka::HeartbeatResponse response;
            response.error_code = is.error;
            context_.answer(request, response);
        });
    step(std::move(heartbeat));
}

void GroupsHandler::on(Request request, const kafka::LeaveGroupRequest& asked) {
    LeaveGroup leave;
    leave.group = asked.group_id;
    const bool many = request.version() >= many_leavers_since;
    if (many) {
        for (const auto& member : asked.members) {
            leave.members.push_back({member.member_id, member.group_instance_id});
        }
    } else {
        leave.members.push_back({asked.member_id, std::nullopt});
    }
    request.frame = nullptr;
    leave.token =
        expect<LeftGroup>([this, request = std::move(request), members = leave.members, many](const LeftGroup& left) {
            kafka::LeaveGroupResponse response;
            response.error_code = left.error;
            if (!many && left.error == ErrorCode::none && !left.members.empty()) {
                response.error_code = left.members.front();
            }
            for (size_t i = 0; many && i < left.members.size(); ++i) {
                response.members.push_back({members[i].id, members[i].instance_id, left.members[i]});
            }
            context_.answer(request, response);
        });
    step(std::move(leave));
}

// --- offsets -----------------------------------------------------------------------------------------------------------

void GroupsHandler::on(Request request, const kafka::OffsetCommitRequest& asked) {
    ready();
    CommitOffsets commit;
    commit.group = asked.group_id;
    commit.member_id = asked.member_id;
    commit.instance_id = asked.group_instance_id;
    commit.generation = asked.generation_id_or_member_epoch;
    commit.retention_ms = asked.retention_time_ms;
    commit.knows_group_id_not_found = request.version() >= 9;
    kafka::OffsetCommitResponse response;
    std::vector<std::pair<size_t, size_t>> places;  // in the response, of those that exist
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.name = topic.name;
        out_topic.topic_id = topic.topic_id;
        const bool by_id = request.version() >= ids_since;
        const auto found = by_id ? context_.served.topic(topic.topic_id) : context_.served.topic(topic.name);
        for (const auto& partition : topic.partitions) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition_index = partition.partition_index;
            if (!found) {
                out.error_code = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
            } else if (partition.partition_index < 0 || partition.partition_index >= found->partitions()) {
                out.error_code = ErrorCode::unknown_topic_or_partition;
            } else {
                places.emplace_back(response.topics.size() - 1, out_topic.partitions.size() - 1);
                commit.partitions.push_back({{found->name(), partition.partition_index},
                                             Offset{partition.committed_offset},
                                             partition.committed_leader_epoch,
                                             partition.committed_metadata.value_or("")});
            }
        }
    }
    request.frame = nullptr;
    commit.token = expect<CommittedOffsets>([this, request = std::move(request), response = std::move(response),
                                             places = std::move(places)](const CommittedOffsets& committed) mutable {
        for (size_t i = 0; i < places.size(); ++i) {
            response.topics[places[i].first].partitions[places[i].second].error_code = committed.partitions[i];
        }
        context_.answer(request, response);
    });
    step(std::move(commit));
}

void GroupsHandler::on(Request request, const kafka::OffsetFetchRequest& asked) {
    ready();
    FetchOffsets wanted;
    wanted.require_stable = asked.require_stable;
    const int16_t version = request.version();
    if (version < many_groups_since) {
        FetchOffsets::Of& of = wanted.groups.emplace_back();
        of.group = asked.group_id;
        if (asked.topics) {
            of.partitions.emplace();
            for (const auto& topic : *asked.topics) {
                for (const int32_t partition : topic.partition_indexes) {
                    of.partitions->push_back({topic.name, partition});
                }
            }
        }
    }
    // Ids that nobody knows are answered from here.
    std::vector<std::vector<kafka::OffsetFetchResponse::OffsetFetchResponseTopics>> unknown;
    for (const auto& group : asked.groups) {
        FetchOffsets::Of& of = wanted.groups.emplace_back();
        auto& not_there = unknown.emplace_back();
        of.group = group.group_id;
        if (!group.topics) { continue; }
        of.partitions.emplace();
        for (const auto& topic : *group.topics) {
            std::string name = topic.name;
            if (version >= ids_since) {
                const auto found = context_.served.topic(topic.topic_id);
                if (!found) {
                    auto& out = not_there.emplace_back();
                    out.topic_id = topic.topic_id;
                    for (const int32_t partition : topic.partition_indexes) {
                        out.partitions.push_back({partition, -1, -1, "", ErrorCode::unknown_topic_id});
                    }
                    continue;
                }
                name = found->name();
            }
            for (const int32_t partition : topic.partition_indexes) { of.partitions->push_back({name, partition}); }
        }
    }
    request.frame = nullptr;
    wanted.token = expect<FetchedOffsets>(
        [this, request = std::move(request), unknown = std::move(unknown)](const FetchedOffsets& fetched) mutable {
            kafka::OffsetFetchResponse response;
            if (request.version() < many_groups_since) {
                const FetchedOffsets::Of& of = fetched.groups.front();
                response.error_code = of.error;
                for (const auto& one : of.partitions) {
                    topic_in(response.topics, one.at.topic)
                        .partitions.push_back(
                            {one.at.partition, one.offset.value, one.leader_epoch, one.metadata, of.error});
                }
                return context_.answer(request, response);
            }
            for (size_t i = 0; i < fetched.groups.size(); ++i) {
                const FetchedOffsets::Of& of = fetched.groups[i];
                auto& group = response.groups.emplace_back();
                group.group_id = of.group;
                group.error_code = of.error;
                if (of.error == ErrorCode::none) { group.topics = std::move(unknown[i]); }
                for (const auto& one : of.partitions) {
                    const auto topic = context_.served.topic(one.at.topic);
                    if (request.version() >= ids_since && !topic) {
                        continue;
                    }  // deleted since: it has no id to be named by
                    auto& out = topic_in(group.topics, one.at.topic);
                    if (topic) { out.topic_id = topic->id(); }
                    out.partitions.push_back(
                        {one.at.partition, one.offset.value, one.leader_epoch, one.metadata, ErrorCode::none});
                }
            }
            context_.answer(request, response);
        });
    fetch(std::move(wanted), 0);
}

void GroupsHandler::on(Request request, const kafka::OffsetDeleteRequest& asked) {
    DeleteOffsets deletion;
    deletion.group = asked.group_id;
    kafka::OffsetDeleteResponse response;
    std::vector<std::pair<size_t, size_t>> places;
    for (const auto& topic : asked.topics) {
        auto& out_topic = response.topics.emplace_back();
        out_topic.name = topic.name;
        const auto found = context_.served.topic(topic.name);
        for (const auto& partition : topic.partitions) {
            auto& out = out_topic.partitions.emplace_back();
            out.partition_index = partition.partition_index;
            if (!found || partition.partition_index < 0 || partition.partition_index >= found->partitions()) {
                out.error_code = ErrorCode::unknown_topic_or_partition;
                continue;
            }
            places.emplace_back(response.topics.size() - 1, out_topic.partitions.size() - 1);
            deletion.partitions.push_back({topic.name, partition.partition_index});
        }
    }
    request.frame = nullptr;
    deletion.token = expect<DeletedOffsets>([this, request = std::move(request), response = std::move(response),
                                             places = std::move(places)](const DeletedOffsets& deleted) mutable {
        response.error_code = deleted.error;
        if (deleted.error != ErrorCode::none) { response.topics.clear(); }
        for (size_t i = 0; deleted.error == ErrorCode::none && i < places.size(); ++i) {
            response.topics[places[i].first].partitions[places[i].second].error_code = deleted.partitions[i];
        }
        context_.answer(request, response);
    });
    step(std::move(deletion));
}

// --- administration ----------------------------------------------------------------------------------------------------

void GroupsHandler::on(Request request, const kafka::DescribeGroupsRequest& asked) {
    ready();
    DescribeGroups describe;
    describe.groups = asked.groups;
    describe.knows_group_id_not_found = request.version() >= 6;
    request.frame = nullptr;
    const bool with_operations = asked.include_authorized_operations;
    describe.token = expect<DescribedGroups>(
        [this, request = std::move(request), with_operations](const DescribedGroups& described) {
            kafka::DescribeGroupsResponse response;
            for (const DescribedGroups::Of& of : described.groups) {
                auto& group = response.groups.emplace_back();
                group.error_code = of.error;
                if (!of.error_message.empty()) { group.error_message = of.error_message; }
                group.group_id = of.group;
                group.group_state = of.state;
                group.protocol_type = of.protocol_type;
                group.protocol_data = of.protocol;
                if (with_operations) { group.authorized_operations = group_operations; }
                for (const auto& member : of.members) {
                    group.members.push_back({member.id, member.instance_id, member.client_id, member.client_host,
                                             Bytes(member.metadata), Bytes(member.assignment)});
                }
            }
            context_.answer(request, response);
        });
    step(std::move(describe));
}

void GroupsHandler::on(Request request, const kafka::ListGroupsRequest& asked) {
    ListGroups list;
    list.states = asked.states_filter;
    list.types = asked.types_filter;
    request.frame = nullptr;
    list.token = expect<ListedGroups>([this, request = std::move(request)](const ListedGroups& listed) {
        kafka::ListGroupsResponse response;
        response.error_code = listed.error;
        for (const ListedGroups::Of& of : listed.groups) {
            response.groups.push_back({of.group, of.protocol_type, name(of.state), classic_group_type});
        }
        context_.answer(request, response);
    });
    step(std::move(list));
}

void GroupsHandler::on(Request request, const kafka::DeleteGroupsRequest& asked) {
    ready();
    DeleteGroups deletion;
    deletion.groups = asked.groups_names;
    request.frame = nullptr;
    deletion.token = expect<DeletedGroups>(
        [this, request = std::move(request), names = asked.groups_names](const DeletedGroups& deleted) {
            kafka::DeleteGroupsResponse response;
            for (size_t i = 0; i < names.size(); ++i) { response.results.push_back({names[i], deleted.groups[i]}); }
            context_.answer(request, response);
        });
    step(std::move(deletion));
}

}  // namespace flowstone
