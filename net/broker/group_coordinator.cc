// The machine's frame: its one way in, timers, the log below, and loading. Members are in group_coordinator_members.cc,
// offsets and administration in group_coordinator_offsets.cc.
#include "net/broker/group_coordinator.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/check.h"

namespace flowstone {
namespace {

// What a client is told about an append that failed.
kafka::ErrorCode answer_for(const Error& error) {
    switch (error.code) {
        case Code::busy:
        case Code::no_space:
        case Code::timed_out:
        case Code::not_found: return kafka::ErrorCode::coordinator_not_available;
        case Code::too_large: return kafka::ErrorCode::unknown_server_error;
        case Code::io:
        case Code::corrupt:
        case Code::out_of_range:
        case Code::stale_epoch:
        case Code::closed:
        case Code::invalid:
        case Code::exists:
        case Code::locked:
        case Code::read_only:
        case Code::offline:
        case Code::out_of_order:
        case Code::unsupported: return kafka::ErrorCode::not_coordinator;
    }
    CHECK(false);
}

}  // namespace

GroupCoordinator::GroupCoordinator(GroupCoordinatorOptions options)
    : options_(options), partitions_(static_cast<size_t>(options.partitions)) {
    CHECK(options_.partitions > 0);
    CHECK(options_.session_timeout_min_ms <= options_.session_timeout_max_ms);
}

void GroupCoordinator::step(GroupInput input, GroupEffects& effects) {
    std::visit([&](auto& one) { on(one, effects); }, input);
}

size_t GroupCoordinator::offset_count() const {
    size_t count = 0;
    for (const Partition& partition : partitions_) { count += partition.offsets.size(); }
    return count;
}

void GroupCoordinator::visit_offsets(const OffsetVisitor& visit) const {
    for (const Partition& partition : partitions_) {
        for (const std::string& group : partition.offsets.groups()) {
            for (const auto& [at, commit] : partition.offsets.offsets(group)) { visit(group, at, commit.offset); }
        }
    }
}

// --- groups --------------------------------------------------------------------------------------------------------

size_t GroupCoordinator::partition_index(std::string_view group) const {
    return static_cast<size_t>(partition_for_group(group, options_.partitions));
}

kafka::ErrorCode GroupCoordinator::availability(const Partition& partition) {
    switch (partition.state) {
        case PartitionState::absent: return ErrorCode::not_coordinator;
        case PartitionState::loading: return ErrorCode::coordinator_load_in_progress;
        case PartitionState::ready: return ErrorCode::none;
    }
    CHECK(false);
}

Group* GroupCoordinator::find(Partition& partition, std::string_view group) {
    const auto found = partition.groups.find(group);
    return found == partition.groups.end() ? nullptr : &found->second;
}

Group& GroupCoordinator::create(Partition& partition, const std::string& group) {
    const auto [at, is_new] = partition.groups.try_emplace(group, group, next_serial_++, wall_ms_, members_bytes_);
    CHECK(is_new);
    ++group_count_;
    return at->second;
}

void GroupCoordinator::erase(Partition& partition, Group& group) {
    set_wake(group, never_ms);
    --group_count_;
    partition.groups.erase(partition.groups.find(group.id()));
}

// A group that nothing was written of and nobody is in leaves no trace.
void GroupCoordinator::forget_if_untouched(Partition& partition, Group& group) {
    const bool untouched = group.is(GroupState::empty) && !group.is_written && group.pending.empty() &&
                           group.writing.empty() && partition.offsets.offsets(group.id()).empty();
    if (untouched) { erase(partition, group); }
}

kafka::ErrorCode GroupCoordinator::validate_member(Group& group, std::string_view member_id,
                                                   const std::optional<std::string>& instance_id) {
    if (instance_id) {
        const std::string* const current = group.static_member(*instance_id);
        if (current == nullptr) { return ErrorCode::unknown_member_id; }
        if (*current != member_id) { return ErrorCode::fenced_instance_id; }
    }
    return group.find(member_id) == nullptr ? ErrorCode::unknown_member_id : ErrorCode::none;
}

// --- timers --------------------------------------------------------------------------------------------------------

int64_t GroupCoordinator::next_deadline_ms() const {
    return std::min(expiry_deadline_ms_, wakes_.empty() ? never_ms : wakes_.begin()->first);
}

// A deadline that moves away, as a session's does with every heartbeat, leaves the wake where it is: the group is then
// looked at once too often, and heartbeats cost no sorting.
void GroupCoordinator::arm(Group& group, int64_t& deadline_ms, int64_t delay_ms) {
    deadline_ms = now_ms_ + delay_ms;
    if (deadline_ms < group.wake_ms) { set_wake(group, deadline_ms); }
}

void GroupCoordinator::set_wake(Group& group, int64_t wake_ms) {
    if (group.wake_ms != never_ms) { wakes_.erase({group.wake_ms, group.id()}); }
    group.wake_ms = wake_ms;
    if (group.wake_ms != never_ms) { wakes_.emplace(group.wake_ms, group.id()); }
}

void GroupCoordinator::on(const Tick& tick, GroupEffects& effects) {
    now_ms_ = std::max(now_ms_, tick.now_ms);
    wall_ms_ = tick.wall_ms;
    wall_believed_ = tick.wall_believed;
    // What is armed while this runs is due at the next tick at the earliest: a delay of nothing does not go in circles.
    std::vector<std::string> due;
    for (const auto& [at, group] : wakes_) {
        if (at > now_ms_) { break; }
        due.push_back(group);
    }
    for (const std::string& id : due) {
        Partition& partition = partition_of(id);
        if (Group* const group = find(partition, id)) { wake(partition, *group, effects); }
    }
    const int64_t check_ms = std::max<int64_t>(1, options_.offsets_retention_check_ms / options_.partitions);
    if (expiry_deadline_ms_ == never_ms) { expiry_deadline_ms_ = now_ms_ + check_ms; }
    if (expiry_deadline_ms_ > now_ms_) { return; }
    // One partition at a time, so that the check of many groups is no pause.
    expire(partitions_[expiry_partition_], effects);
    expiry_partition_ = (expiry_partition_ + 1) % partitions_.size();
    expiry_deadline_ms_ = now_ms_ + check_ms;
}

// Everything of the group that is due: first the phases, which may make a member's end irrelevant, then sessions in
// the order of the ids.
void GroupCoordinator::wake(Partition& partition, Group& group, GroupEffects& effects) {
    if (group.join_deadline_ms <= now_ms_) {
        group.join_deadline_ms = never_ms;
        if (group.join_is_initial) {
            end_initial_wait(partition, group, effects);
        } else {
            complete_join(partition, group, effects);
        }
    }
    if (group.sync_deadline_ms <= now_ms_) {
        group.sync_deadline_ms = never_ms;
        end_sync_wait(partition, group, effects);
    }
    std::vector<std::string> ended;
    for (const auto& [id, deadline_ms] : group.pending) {
        if (deadline_ms <= now_ms_) { ended.push_back(id); }
    }
    for (const auto& [id, member] : group.members()) {
        if (member.deadline_ms <= now_ms_) { ended.push_back(id); }
    }
    for (const std::string& id : ended) { end_session(partition, group, id, effects); }

    int64_t next_ms = std::min(group.join_deadline_ms, group.sync_deadline_ms);
    for (const auto& [id, deadline_ms] : group.pending) { next_ms = std::min(next_ms, deadline_ms); }
    for (const auto& [id, member] : group.members()) { next_ms = std::min(next_ms, member.deadline_ms); }
    set_wake(group, next_ms);
    forget_if_untouched(partition, group);
}

// --- the log -------------------------------------------------------------------------------------------------------

GroupCoordinator::InFlight& GroupCoordinator::append(Partition& partition, std::vector<GroupRecord> records,
                                                     GroupEffects& effects) {
    const AppendId id{partition.appends++};
    effects.append({.partition = static_cast<int32_t>(&partition - partitions_.data()),
                    .append = id,
                    .records = std::move(records)});
    return partition.in_flight.emplace_back(InFlight{.append = id, .changes = {}, .consequence = {}, .waiting = {}});
}

// False: the state does not fit into a record. Then nothing is appended.
bool GroupCoordinator::append_state(Partition& partition, Group& group, const GroupMetadata& metadata,
                                    Consequence consequence, GroupEffects& effects) {
    auto key = encode(GroupMetadataKey{group.id()});
    auto value = encode(metadata);
    if (!key || !value) {
        effects.notice(fmt::format("the state of group {} cannot be written: {}", group.id(),
                                   (key ? value.error() : key.error()).message()));
        return false;
    }
    std::vector<GroupRecord> records;
    records.push_back({std::move(*key), std::move(*value)});
    append(partition, std::move(records), effects).consequence = std::move(consequence);
    group.is_written = true;
    return true;
}

GroupCoordinator::WaitingId GroupCoordinator::wait(RequestToken token, std::variant<GroupAnswer, FetchOffsets> what) {
    const WaitingId id = next_waiting_++;
    waiting_.emplace(id, Waiting{.token = token, .what = std::move(what), .groups = {}, .appends = 0});
    return id;
}

void GroupCoordinator::wait_for(InFlight& in_flight, WaitingId waiting) {
    in_flight.waiting.push_back(waiting);
    ++waiting_.at(waiting).appends;
}

// For everything that was appended since the partition had seen `appends_before`.
void GroupCoordinator::wait_since(Partition& partition, int64_t appends_before, WaitingId waiting) {
    for (auto at = partition.in_flight.rbegin(); at != partition.in_flight.rend(); ++at) {
        if (at->append.value < appends_before) { break; }
        wait_for(*at, waiting);
    }
}

void GroupCoordinator::answer_after(Partition& partition, int64_t appends_before, RequestToken token,
                                    GroupAnswer answer, GroupEffects& effects) {
    const WaitingId id = wait(token, std::move(answer));
    wait_since(partition, appends_before, id);
    answer_if_settled(id, effects);
}

void GroupCoordinator::answer_if_settled(WaitingId id, GroupEffects& effects) {
    const auto at = waiting_.find(id);
    CHECK(at != waiting_.end());
    if (at->second.appends > 0) { return; }
    const Waiting done = std::move(at->second);
    waiting_.erase(at);
    if (const auto* const answer = std::get_if<GroupAnswer>(&done.what)) { return effects.reply(done.token, *answer); }
    FetchedOffsets fetched;
    for (const FetchOffsets::Of& question : std::get<FetchOffsets>(done.what).groups) {
        fetched.groups.push_back(fetch(question));
    }
    effects.reply(done.token, std::move(fetched));
}

void GroupCoordinator::on(const Persisted& persisted, GroupEffects& effects) {
    Partition& partition = partitions_.at(static_cast<size_t>(persisted.partition));
    if (partition.in_flight.empty() || persisted.append < partition.in_flight.front().append) { return; }  // dropped
    CHECK(partition.in_flight.front().append == persisted.append);
    InFlight in_flight = std::move(partition.in_flight.front());
    partition.in_flight.pop_front();
    settle(partition, std::move(in_flight), ErrorCode::none, effects);
}

void GroupCoordinator::on(const AppendFailed& failed, GroupEffects& effects) {
    Partition& partition = partitions_.at(static_cast<size_t>(failed.partition));
    if (partition.in_flight.empty() || failed.append < partition.in_flight.front().append) { return; }
    CHECK(partition.in_flight.front().append == failed.append);
    const ErrorCode error = answer_for(failed.error);
    if (failed.error.fate != Fate::not_appended || error == ErrorCode::not_coordinator) {
        // The records may turn up later: until the partition is loaded again nobody can say what is committed.
        effects.notice(fmt::format("partition {} of {} is given up until it is loaded again: {}", failed.partition,
                                   consumer_offsets_topic, failed.error.message()));
        return drop(partition, effects);
    }
    InFlight in_flight = std::move(partition.in_flight.front());
    partition.in_flight.pop_front();
    settle(partition, std::move(in_flight), error, effects);
}

void GroupCoordinator::settle(Partition& partition, InFlight in_flight, ErrorCode error, GroupEffects& effects) {
    for (OffsetChange& change : in_flight.changes) {
        if (error == ErrorCode::none) {
            if (change.commit) {
                partition.offsets.set(change.group, change.at, std::move(*change.commit));
            } else {
                partition.offsets.erase(change.group, change.at);
            }
        }
        Group* const group = find(partition, change.group);
        CHECK(group != nullptr);  // what is being written holds it
        const auto writing = group->writing.find(change.at);
        if (--writing->second == 0) { group->writing.erase(writing); }
    }
    settle_consequence(partition, in_flight.consequence, error, effects);
    for (const WaitingId waiting : in_flight.waiting) { settled(waiting, partition, error, effects); }
    for (const OffsetChange& change : in_flight.changes) {
        if (Group* const group = find(partition, change.group)) { forget_if_untouched(partition, *group); }
    }
}

void GroupCoordinator::settle_consequence(Partition& partition, Consequence& consequence, ErrorCode error,
                                          GroupEffects& effects) {
    const auto target = [&](const auto& of) -> Group* {
        Group* const group = find(partition, of.group);
        return group != nullptr && group->serial() == of.serial ? group : nullptr;
    };
    if (auto* const stored = std::get_if<StoreAssignment>(&consequence)) {
        Group* const group = target(*stored);
        // Another rebalance may have begun meanwhile, and told everyone so.
        const bool is_current = group != nullptr && group->is(GroupState::completing_rebalance) &&
                                group->generation() == stored->generation;
        if (!is_current) { return; }
        if (error != ErrorCode::none) { return fail_assignment(partition, *group, error, effects); }
        complete_assignment(*group, *stored, effects);
    } else if (const auto* const rejoin = std::get_if<StaticRejoin>(&consequence)) {
        if (Group* const group = target(*rejoin)) { complete_static_rejoin(*group, *rejoin, error, effects); }
    } else if (const auto* const removal = std::get_if<RemoveGroup>(&consequence)) {
        Group* const group = target(*removal);
        if (group == nullptr) { return; }
        if (error == ErrorCode::none) { return erase(partition, *group); }
        group->enter(GroupState::empty, group->state_timestamp_ms());
    }
}

// One append of those that `id` waits for has ended.
void GroupCoordinator::settled(WaitingId id, const Partition& partition, ErrorCode error, GroupEffects& effects) {
    Waiting& waiting = waiting_.at(id);
    if (error != ErrorCode::none) { fail(waiting, partition, error); }
    --waiting.appends;
    answer_if_settled(id, effects);
}

void GroupCoordinator::fail(Waiting& waiting, const Partition& partition, ErrorCode error) {
    auto* const answer = std::get_if<GroupAnswer>(&waiting.what);
    if (answer == nullptr) { return; }  // a question about offsets: the answer is what is persisted, whatever that is
    if (auto* const committed = std::get_if<CommittedOffsets>(answer)) {
        const bool too_large = error == ErrorCode::unknown_server_error;
        const ErrorCode code = too_large ? ErrorCode::invalid_commit_offset_size : error;
        std::ranges::replace(committed->partitions, ErrorCode::none, code);
    } else if (auto* const left = std::get_if<LeftGroup>(answer)) {
        left->error = error;
    } else if (auto* const offsets = std::get_if<DeletedOffsets>(answer)) {
        offsets->error = error;
    } else {
        auto& groups = std::get<DeletedGroups>(*answer).groups;  // no other answer waits for the log
        for (size_t i = 0; i < groups.size(); ++i) {
            const bool is_here = &partitions_[partition_index(waiting.groups[i])] == &partition;
            if (is_here && groups[i] == ErrorCode::none) { groups[i] = error; }
        }
    }
}

// --- loading -------------------------------------------------------------------------------------------------------

void GroupCoordinator::on(const LoadBegin& begin, GroupEffects& effects) {
    Partition& partition = partitions_.at(static_cast<size_t>(begin.partition));
    drop(partition, effects);
    partition.state = PartitionState::loading;
}

void GroupCoordinator::on(const LoadRecord& record, GroupEffects&) {
    Partition& partition = partitions_.at(static_cast<size_t>(record.partition));
    if (partition.state == PartitionState::absent) { return; }  // unloaded meanwhile
    if (partition.state == PartitionState::ready) { return on_record_of_others(partition, record); }
    const auto applied =
        partition.offsets.apply(record.key, record.value ? std::optional(Bytes(*record.value)) : std::nullopt);
    if (!applied && partition.load_failures++ == 0) { partition.load_failure = applied.error().message(); }
}

// Offsets count, whoever wrote them; of members nobody knows more than we.
void GroupCoordinator::on_record_of_others(Partition& partition, const LoadRecord& record) {
    const auto key = decode_group_key(record.key);
    const auto* const at = key ? std::get_if<OffsetCommitKey>(&*key) : nullptr;
    if (at == nullptr) { return; }
    const auto applied =
        partition.offsets.apply(record.key, record.value ? std::optional(Bytes(*record.value)) : std::nullopt);
    if (!applied) { return; }
    Group* const group = find(partition, at->group);
    if (group != nullptr) { return forget_if_untouched(partition, *group); }
    if (!partition.offsets.offsets(at->group).empty()) { create(partition, at->group); }
}

void GroupCoordinator::on(const LoadEnd& end, GroupEffects& effects) {
    Partition& partition = partitions_.at(static_cast<size_t>(end.partition));
    if (partition.state != PartitionState::loading) { return; }
    partition.state = PartitionState::ready;
    for (const auto& [id, value] : partition.offsets.take_group_metadata()) {
        Group& group = create(partition, id);
        const auto metadata = decode_group_metadata(value);
        const bool sound = metadata && Group::is_sound(*metadata);
        if (!sound && partition.load_failures++ == 0) {
            partition.load_failure = fmt::format("the state of group {} makes no sense", id);
        }
        // Members of a state that cannot be read are unknown, so they join again, under new ids: none is mistaken for
        // one of before even if generations are counted from the start.
        group.restore(sound ? *metadata : GroupMetadata{.state_timestamp_ms = wall_ms_});
        for (auto& [member_id, member] : group.members()) { arm_session(group, member); }
    }
    for (const std::string& id : partition.offsets.groups()) {
        if (find(partition, id) == nullptr) { create(partition, id); }
    }
    if (partition.load_failures > 0) {
        effects.notice(fmt::format("partition {} of {}: {} records were passed over, the first because {}",
                                   end.partition, consumer_offsets_topic, partition.load_failures,
                                   partition.load_failure));
    }
    for (auto& [id, group] : partition.groups) {  // the limit may have been lowered
        if (group.members().size() > options_.members_per_group_max) { prepare_rebalance(partition, group, effects); }
    }
    for (const std::string& topic : std::exchange(partition.deleted_while_loading, {})) {
        on(TopicDeleted{topic}, effects);
    }
}

void GroupCoordinator::on(const Unload& unload, GroupEffects& effects) {
    drop(partitions_.at(static_cast<size_t>(unload.partition)), effects);
}

// Whoever waits is told to look for the coordinator elsewhere. Appends that are on their way end unheard.
void GroupCoordinator::drop(Partition& partition, GroupEffects& effects) {
    for (auto& [id, group] : partition.groups) {
        for (auto& [member_id, member] : group.members()) {
            if (const auto token = group.set_joining(member, std::nullopt)) {
                effects.reply(*token, JoinedGroup{.error = ErrorCode::not_coordinator, .member_id = member_id});
            }
            if (const auto token = Group::set_syncing(member, std::nullopt)) {
                effects.reply(*token, SyncedGroup{.error = ErrorCode::not_coordinator});
            }
        }
        set_wake(group, never_ms);
    }
    const auto in_flight = std::exchange(partition.in_flight, {});
    group_count_ -= partition.groups.size();
    partition.groups.clear();
    partition.offsets = OffsetTable();
    partition.state = PartitionState::absent;
    partition.load_failures = 0;
    partition.load_failure.clear();
    partition.deleted_while_loading.clear();
    for (const InFlight& one : in_flight) {
        for (const WaitingId waiting : one.waiting) {
            settled(waiting, partition, ErrorCode::not_coordinator, effects);
        }
    }
}

}  // namespace flowstone
