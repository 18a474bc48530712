// Members: joining, assigning, heartbeats, leaving, and how a group passes from one generation to the next.
#include <algorithm>
#include <utility>

#include "net/broker/group_coordinator.h"
#include "storage/check.h"

namespace flowstone {

// One JoinGroup on its way.
struct GroupCoordinator::Joiner {
    JoinGroup& request;
    Partition& partition;
    Group& group;
    GroupEffects& effects;

    void refuse(ErrorCode error, std::string member_id = {}) {
        effects.reply(request.token, JoinedGroup{.error = error, .member_id = std::move(member_id)});
    }
};

namespace {

// Kafka's collection of protocols is keyed by name; the first of a name counts.
void drop_repeated(std::vector<GroupProtocol>& protocols) {
    std::set<std::string> seen;
    std::erase_if(protocols, [&](const GroupProtocol& one) { return !seen.insert(one.name).second; });
}

bool contradicts(const std::optional<std::string>& said, std::string_view known) {
    return said && !known.empty() && *said != known;
}

}  // namespace

// --- JoinGroup -----------------------------------------------------------------------------------------------------

void GroupCoordinator::on(JoinGroup& join, GroupEffects& effects) {
    const auto refuse = [&](ErrorCode error) {
        effects.reply(join.token, JoinedGroup{.error = error, .member_id = join.member_id});
    };
    if (join.group.empty() || join.group.size() > group_name_bytes_max) { return refuse(ErrorCode::invalid_group_id); }
    if (join.session_timeout_ms < options_.session_timeout_min_ms ||
        join.session_timeout_ms > options_.session_timeout_max_ms) {
        return refuse(ErrorCode::invalid_session_timeout);
    }
    Partition& partition = partition_of(join.group);
    if (const ErrorCode error = availability(partition); error != ErrorCode::none) { return refuse(error); }
    Group* group = find(partition, join.group);
    if (group == nullptr) {
        if (!join.member_id.empty()) { return refuse(ErrorCode::unknown_member_id); }
        if (group_count_ >= options_.groups_max) { return refuse(ErrorCode::coordinator_not_available); }
        group = &create(partition, join.group);
    }
    if (join.rebalance_timeout_ms < 0) { join.rebalance_timeout_ms = join.session_timeout_ms; }
    drop_repeated(join.protocols);
    Joiner joiner{join, partition, *group, effects};
    if (group->is(GroupState::dead)) {
        joiner.refuse(ErrorCode::coordinator_not_available, join.member_id);
    } else if (!accepts(*group, join.member_id)) {
        remove_unaccepted(joiner);
    } else if (!group->supports(join.protocol_type, join.protocols)) {
        joiner.refuse(ErrorCode::inconsistent_group_protocol, join.member_id);
    } else if (const ErrorCode error = check_room(join); error != ErrorCode::none) {
        joiner.refuse(error, join.member_id);
    } else if (join.member_id.empty()) {
        join_new_member(joiner);
    } else {
        join_known_member(joiner);
    }
    forget_if_untouched(partition, *group);
}

// While members join, those who have are counted: of a group that is too large the last to come are left out.
bool GroupCoordinator::accepts(Group& group, std::string_view member_id) const {
    const GroupMember* const member = group.find(member_id);
    switch (group.state()) {
        case GroupState::empty:
        case GroupState::dead: return true;
        case GroupState::preparing_rebalance:
            return (member != nullptr && member->joining) || group.joining() < options_.members_per_group_max;
        case GroupState::completing_rebalance:
        case GroupState::stable: return member != nullptr || group.members().size() < options_.members_per_group_max;
    }
    CHECK(false);
}

void GroupCoordinator::remove_unaccepted(Joiner& joiner) {
    const std::string& id = joiner.request.member_id;
    joiner.refuse(ErrorCode::group_max_size_reached);
    if (joiner.group.pending.erase(id) == 0) {
        if (joiner.group.find(id) == nullptr) { return; }
        remove_member(joiner.group, id, joiner.effects);
    }
    complete_join_if_all_joined(joiner.partition, joiner.group, joiner.effects);
}

kafka::ErrorCode GroupCoordinator::check_room(const JoinGroup& join) const {
    const std::string instance = join.instance_id.value_or("");
    for (const std::string* text :
         {&join.protocol_type, &join.new_member_id, &join.client_id, &join.client_host, &instance}) {
        if (text->size() > kafka_string_bytes_max) { return ErrorCode::invalid_request; }
    }
    uint64_t bytes = 0;
    for (const GroupProtocol& protocol : join.protocols) {
        if (protocol.name.size() > kafka_string_bytes_max) { return ErrorCode::invalid_request; }
        bytes += protocol.name.size() + protocol.metadata.size();
    }
    const bool fits = bytes <= member_bytes_max && members_bytes_ + bytes <= options_.members_bytes_max;
    return fits ? ErrorCode::none : ErrorCode::group_max_size_reached;
}

void GroupCoordinator::join_new_member(Joiner& joiner) {
    JoinGroup& join = joiner.request;
    if (join.instance_id) {
        if (const std::string* const current = joiner.group.static_member(*join.instance_id)) {
            return replace_static_member(joiner, std::string(*current));
        }
    } else if (join.requires_member_id) {
        auto& pending = joiner.group.pending;
        if (pending.size() >= joins_pending_per_group_max) {
            // A client that never comes back with its ids does not keep others out: who has had the longest goes.
            pending.erase(std::ranges::min_element(pending, {}, [](const auto& one) { return one.second; }));
        }
        arm(joiner.group, pending[join.new_member_id], join.session_timeout_ms);
        return joiner.refuse(ErrorCode::member_id_required, std::move(join.new_member_id));
    }
    add_member(joiner, std::move(join.new_member_id));
}

void GroupCoordinator::join_known_member(Joiner& joiner) {
    JoinGroup& join = joiner.request;
    if (joiner.group.pending.contains(join.member_id)) {
        // Only who is not static was ever told to come back.
        if (join.instance_id) { return joiner.refuse(ErrorCode::unknown_member_id, join.member_id); }
        return add_member(joiner, join.member_id);
    }
    if (const ErrorCode error = validate_member(joiner.group, join.member_id, join.instance_id);
        error != ErrorCode::none) {
        return joiner.refuse(error, join.member_id);
    }
    join_member(joiner, *joiner.group.find(join.member_id));
}

void GroupCoordinator::join_member(Joiner& joiner, GroupMember& member) {
    const Group& group = joiner.group;
    CHECK(!group.is(GroupState::empty));  // nobody is in it
    const bool changed = member.protocols != joiner.request.protocols;
    // The leader asks again when something else has changed that it assigns by, such as the number of partitions.
    const bool leader_wants = group.is(GroupState::stable) && group.is_leader(member);
    if (group.is(GroupState::preparing_rebalance) || changed || leader_wants) { return update_member(joiner, member); }
    // It may have missed the answer to its first request.
    joiner.effects.reply(joiner.request.token, joined(group, member));
}

JoinedGroup GroupCoordinator::joined(const Group& group, const GroupMember& member) {
    JoinedGroup answer{.generation = group.generation(),
                       .protocol_type = group.protocol_type(),
                       .protocol = group.protocol(),
                       .leader = *group.leader(),
                       .member_id = member.id};
    if (!group.is_leader(member)) { return answer; }
    for (const auto& [id, one] : group.members()) {
        answer.members.push_back({id, one.instance_id, one.metadata(*group.protocol())});
    }
    return answer;
}

void GroupCoordinator::add_member(Joiner& joiner, std::string member_id) {
    JoinGroup& join = joiner.request;
    Group& group = joiner.group;
    if (group.is(GroupState::preparing_rebalance) && group.was_empty()) { group.member_added = true; }
    GroupMember& member = group.add({.id = std::move(member_id),
                                     .instance_id = std::move(join.instance_id),
                                     .client_id = std::move(join.client_id),
                                     .client_host = std::move(join.client_host),
                                     .rebalance_timeout_ms = join.rebalance_timeout_ms,
                                     .session_timeout_ms = join.session_timeout_ms,
                                     .protocols = std::move(join.protocols),
                                     .is_new = true},
                                    join.protocol_type);
    group.set_joining(member, join.token);
    // It cannot send heartbeats while it waits, and that its connection is gone is not seen either.
    arm(group, member.deadline_ms, options_.new_member_join_timeout_ms);
    rebalance_or_complete(joiner.partition, group, joiner.effects);
}

void GroupCoordinator::update_member(Joiner& joiner, GroupMember& member) {
    take_over(joiner, member);
    rebalance_or_complete(joiner.partition, joiner.group, joiner.effects);
}

// The member is as this request says, and waits for its answer.
void GroupCoordinator::take_over(Joiner& joiner, GroupMember& member) {
    JoinGroup& join = joiner.request;
    joiner.group.set_protocols(member, std::move(join.protocols));
    member.rebalance_timeout_ms = join.rebalance_timeout_ms;
    member.session_timeout_ms = join.session_timeout_ms;
    if (const auto overtaken = joiner.group.set_joining(member, join.token)) {
        joiner.effects.reply(*overtaken,
                             JoinedGroup{.error = ErrorCode::rebalance_in_progress, .member_id = member.id});
    }
}

// The same instance under a new id: it was restarted, or two run with one name. The later one stays.
void GroupCoordinator::replace_static_member(Joiner& joiner, const std::string& old_id) {
    JoinGroup& join = joiner.request;
    Group& group = joiner.group;
    GroupMember& old = *group.find(old_id);
    if (const auto token = group.set_joining(old, std::nullopt)) {
        joiner.effects.reply(*token, JoinedGroup{.error = ErrorCode::fenced_instance_id, .member_id = old_id});
    }
    if (const auto token = Group::set_syncing(old, std::nullopt)) {
        joiner.effects.reply(*token, SyncedGroup{.error = ErrorCode::fenced_instance_id});
    }
    const std::string old_leader = *group.leader();
    GroupMember& member = group.rename(old_id, std::move(join.new_member_id));
    member.client_id = std::move(join.client_id);
    member.client_host = std::move(join.client_host);
    take_over(joiner, member);
    arm_session(group, member);
    switch (group.state()) {
        case GroupState::preparing_rebalance:
            return complete_join_if_all_joined(joiner.partition, group, joiner.effects);
        case GroupState::completing_rebalance:
            // The leader may be assigning to the old id.
            return prepare_rebalance(joiner.partition, group, joiner.effects);
        case GroupState::stable: break;
        case GroupState::empty:
        case GroupState::dead: CHECK(false);
    }
    if (group.chosen_protocol() != group.protocol()) {
        return prepare_rebalance(joiner.partition, group, joiner.effects);
    }
    // Nothing changes for the others: it goes on with its assignment.
    const bool stored = append_state(joiner.partition, group, group.metadata(),
                                     StaticRejoin{.serial = group.serial(),
                                                  .group = group.id(),
                                                  .member_id = member.id,
                                                  .old_leader = old_leader,
                                                  .can_skip_assignment = join.can_skip_assignment},
                                     joiner.effects);
    if (!stored) {
        group.set_joining(member, std::nullopt);
        joiner.refuse(ErrorCode::unknown_server_error);
    }
}

void GroupCoordinator::complete_static_rejoin(Group& group, const StaticRejoin& rejoin, ErrorCode error,
                                              GroupEffects& effects) {
    GroupMember* const member = group.find(rejoin.member_id);
    // Replaced again, or drawn into a rebalance that will answer.
    if (member == nullptr || !member->joining || !group.is(GroupState::stable)) { return; }
    const RequestToken token = *group.set_joining(*member, std::nullopt);
    if (error != ErrorCode::none) { return effects.reply(token, JoinedGroup{.error = error}); }
    arm_session(group, *member);
    JoinedGroup answer = joined(group, *member);
    if (rejoin.can_skip_assignment) {
        answer.skip_assignment = group.is_leader(*member);
    } else {
        // It would assign anew if it knew that it leads.
        answer.members.clear();
        answer.leader = rejoin.old_leader;
    }
    effects.reply(token, std::move(answer));
}

// --- the phases of a rebalance -------------------------------------------------------------------------------------

void GroupCoordinator::rebalance_or_complete(Partition& partition, Group& group, GroupEffects& effects) {
    if (group.is(GroupState::preparing_rebalance)) { return complete_join_if_all_joined(partition, group, effects); }
    prepare_rebalance(partition, group, effects);
}

void GroupCoordinator::prepare_rebalance(Partition& partition, Group& group, GroupEffects& effects) {
    if (group.is(GroupState::completing_rebalance)) {
        for (auto& [id, member] : group.members()) { group.set_assignment(member, {}); }
        answer_syncing(group, ErrorCode::rebalance_in_progress, effects);
    }
    for (auto& [id, member] : group.members()) { member.owes_sync = false; }
    group.sync_deadline_ms = never_ms;
    group.storing_assignment = false;
    const bool is_initial = group.is(GroupState::empty);
    group.enter(GroupState::preparing_rebalance, wall_ms_);
    group.join_is_initial = is_initial;
    if (is_initial) {
        // The group is new: its other members are probably on their way, and each would begin a generation.
        group.member_added = false;
        group.initial_delay_ms = options_.initial_rebalance_delay_ms;
        group.initial_remaining_ms = std::max<int64_t>(group.rebalance_timeout_ms() - group.initial_delay_ms, 0);
        arm(group, group.join_deadline_ms, group.initial_delay_ms);
    } else if (group.all_joined()) {
        complete_join(partition, group, effects);
    } else {
        arm(group, group.join_deadline_ms, group.rebalance_timeout_ms());
    }
}

void GroupCoordinator::end_initial_wait(Partition& partition, Group& group, GroupEffects& effects) {
    if (!group.member_added || group.initial_remaining_ms == 0) { return complete_join(partition, group, effects); }
    group.member_added = false;
    const int64_t waited_ms = group.initial_delay_ms;
    group.initial_delay_ms = std::min<int64_t>(options_.initial_rebalance_delay_ms, group.initial_remaining_ms);
    group.initial_remaining_ms = std::max<int64_t>(group.initial_remaining_ms - waited_ms, 0);
    arm(group, group.join_deadline_ms, group.initial_delay_ms);
}

// The initial wait is not cut short: that all who are there have joined says nothing about those to come.
void GroupCoordinator::complete_join_if_all_joined(Partition& partition, Group& group, GroupEffects& effects) {
    if (group.is(GroupState::preparing_rebalance) && group.all_joined() && !group.was_empty()) {
        complete_join(partition, group, effects);
    }
}

void GroupCoordinator::complete_join(Partition& partition, Group& group, GroupEffects& effects) {
    CHECK(group.is(GroupState::preparing_rebalance));
    group.join_deadline_ms = never_ms;
    group.join_is_initial = false;
    std::vector<std::string> missing;
    for (const auto& [id, member] : group.members()) {
        if (!member.joining && !member.instance_id) { missing.push_back(id); }
    }
    for (const std::string& id : missing) { group.remove(id); }
    if (!group.elect_joined_leader() && !group.members().empty()) {
        // Only static members, and none of them came: their sessions decide.
        return arm(group, group.join_deadline_ms, group.rebalance_timeout_ms());
    }
    group.begin_generation(wall_ms_);
    if (group.is(GroupState::empty)) {
        append_state(partition, group, group.metadata(), {}, effects);
        return;
    }
    for (auto& [id, member] : group.members()) {
        member.is_new = false;
        arm_session(group, member);
        if (const auto token = group.set_joining(member, std::nullopt)) {
            effects.reply(*token, joined(group, member));
        }
    }
    arm(group, group.sync_deadline_ms, group.rebalance_timeout_ms());
}

void GroupCoordinator::end_sync_wait(Partition& partition, Group& group, GroupEffects& effects) {
    std::vector<std::string> silent;
    for (const auto& [id, member] : group.members()) {
        if (member.owes_sync) { silent.push_back(id); }
    }
    if (silent.empty()) { return; }
    for (const std::string& id : silent) { remove_member(group, id, effects); }
    prepare_rebalance(partition, group, effects);
}

// --- SyncGroup -----------------------------------------------------------------------------------------------------

void GroupCoordinator::on(SyncGroup& sync, GroupEffects& effects) {
    const auto refuse = [&](ErrorCode error) { effects.reply(sync.token, SyncedGroup{.error = error}); };
    Partition& partition = partition_of(sync.group);
    if (const ErrorCode error = availability(partition); error != ErrorCode::none) { return refuse(error); }
    Group* const group = find(partition, sync.group);
    if (group == nullptr) { return refuse(ErrorCode::unknown_member_id); }
    if (group->is(GroupState::dead)) { return refuse(ErrorCode::coordinator_not_available); }
    if (const ErrorCode error = validate_member(*group, sync.member_id, sync.instance_id); error != ErrorCode::none) {
        return refuse(error);
    }
    if (sync.generation != group->generation()) { return refuse(ErrorCode::illegal_generation); }
    if (contradicts(sync.protocol_type, group->protocol_type()) ||
        contradicts(sync.protocol, group->protocol().value_or(""))) {
        return refuse(ErrorCode::inconsistent_group_protocol);
    }
    if (group->is(GroupState::preparing_rebalance)) { return refuse(ErrorCode::rebalance_in_progress); }

    GroupMember& member = *group->find(sync.member_id);
    member.owes_sync = false;
    if (std::ranges::none_of(group->members(), [](const auto& one) { return one.second.owes_sync; })) {
        group->sync_deadline_ms = never_ms;
    }
    if (group->is(GroupState::stable)) {
        return effects.reply(sync.token, SyncedGroup{.protocol_type = group->protocol_type(),
                                                     .protocol = group->protocol(),
                                                     .assignment = member.assignment});
    }
    if (const auto overtaken = Group::set_syncing(member, sync.token)) {
        effects.reply(*overtaken, SyncedGroup{.error = ErrorCode::rebalance_in_progress});
    }
    if (group->is_leader(member) && !group->storing_assignment) { store_assignment(partition, *group, sync, effects); }
}

// Who is not in the list gets an empty assignment; who is in the list and not in the group, none.
void GroupCoordinator::store_assignment(Partition& partition, Group& group, SyncGroup& sync, GroupEffects& effects) {
    StoreAssignment store{
        .serial = group.serial(), .group = group.id(), .generation = group.generation(), .assignments = {}};
    for (auto& [id, assignment] : sync.assignments) {
        if (group.find(id) != nullptr) { store.assignments[id] = std::move(assignment); }
    }
    GroupMetadata metadata = group.metadata();
    for (GroupMetadata::Member& member : metadata.members) {
        const auto found = store.assignments.find(member.id);
        member.assignment = found == store.assignments.end() ? std::vector<std::byte>() : found->second;
    }
    group.storing_assignment = true;
    if (!append_state(partition, group, metadata, std::move(store), effects)) {
        fail_assignment(partition, group, ErrorCode::unknown_server_error, effects);
    }
}

void GroupCoordinator::complete_assignment(Group& group, StoreAssignment& stored, GroupEffects& effects) {
    group.storing_assignment = false;
    for (auto& [id, member] : group.members()) {
        const auto found = stored.assignments.find(id);
        group.set_assignment(member,
                             found == stored.assignments.end() ? std::vector<std::byte>() : std::move(found->second));
    }
    group.enter(GroupState::stable, wall_ms_);
    answer_syncing(group, ErrorCode::none, effects);
}

void GroupCoordinator::fail_assignment(Partition& partition, Group& group, ErrorCode error, GroupEffects& effects) {
    answer_syncing(group, error, effects);
    prepare_rebalance(partition, group, effects);
}

// Sessions did not run while the members waited; now they begin.
void GroupCoordinator::answer_syncing(Group& group, ErrorCode error, GroupEffects& effects) {
    for (auto& [id, member] : group.members()) {
        const auto token = Group::set_syncing(member, std::nullopt);
        if (!token) { continue; }
        arm_session(group, member);
        SyncedGroup answer{.error = error};
        if (error == ErrorCode::none) {
            answer.protocol_type = group.protocol_type();
            answer.protocol = group.protocol();
            answer.assignment = member.assignment;
        }
        effects.reply(*token, std::move(answer));
    }
}

// --- Heartbeat, sessions -------------------------------------------------------------------------------------------

void GroupCoordinator::on(const GroupHeartbeat& heartbeat, GroupEffects& effects) {
    const auto answer = [&](ErrorCode error) { effects.reply(heartbeat.token, GroupHeartbeatAnswer{error}); };
    Partition& partition = partition_of(heartbeat.group);
    switch (partition.state) {
        case PartitionState::absent: return answer(ErrorCode::not_coordinator);
        case PartitionState::loading: return answer(ErrorCode::none);  // so that nobody rejoins because of it
        case PartitionState::ready: break;
    }
    Group* const group = find(partition, heartbeat.group);
    if (group == nullptr) { return answer(ErrorCode::unknown_member_id); }
    if (group->is(GroupState::dead)) { return answer(ErrorCode::coordinator_not_available); }
    if (const ErrorCode error = validate_member(*group, heartbeat.member_id, heartbeat.instance_id);
        error != ErrorCode::none) {
        return answer(error);
    }
    if (heartbeat.generation != group->generation()) { return answer(ErrorCode::illegal_generation); }
    arm_session(*group, *group->find(heartbeat.member_id));
    answer(group->is(GroupState::preparing_rebalance) ? ErrorCode::rebalance_in_progress : ErrorCode::none);
}

void GroupCoordinator::end_session(Partition& partition, Group& group, const std::string& member_id,
                                   GroupEffects& effects) {
    if (group.pending.erase(member_id) == 0) {
        GroupMember* const member = group.find(member_id);
        if (member == nullptr || member->deadline_ms > now_ms_) { return; }  // removed or answered meanwhile
        if (!member->is_new && (member->joining || member->syncing)) {
            member->deadline_ms = never_ms;  // it waits for us, not we for it
            return;
        }
        remove_member(group, member_id, effects);
        if (!group.is(GroupState::preparing_rebalance)) { return prepare_rebalance(partition, group, effects); }
    }
    // As in Kafka this may end an initial wait early.
    if (group.is(GroupState::preparing_rebalance) && group.all_joined()) { complete_join(partition, group, effects); }
}

void GroupCoordinator::remove_member(Group& group, const std::string& member_id, GroupEffects& effects) {
    GroupMember& member = *group.find(member_id);
    if (const auto token = group.set_joining(member, std::nullopt)) {
        effects.reply(*token, JoinedGroup{.error = ErrorCode::unknown_member_id});
    }
    if (const auto token = Group::set_syncing(member, std::nullopt)) {
        effects.reply(*token, SyncedGroup{.error = ErrorCode::unknown_member_id});
    }
    group.remove(member_id);
}

// --- LeaveGroup ----------------------------------------------------------------------------------------------------

void GroupCoordinator::on(const LeaveGroup& leave, GroupEffects& effects) {
    LeftGroup answer;
    Partition& partition = partition_of(leave.group);
    answer.error = availability(partition);
    Group* const group = answer.error == ErrorCode::none ? find(partition, leave.group) : nullptr;
    if (group == nullptr) {
        if (answer.error == ErrorCode::none) {
            answer.members.assign(leave.members.size(), ErrorCode::unknown_member_id);
        }
        return effects.reply(leave.token, std::move(answer));
    }
    if (group->is(GroupState::dead)) {
        return effects.reply(leave.token, LeftGroup{.error = ErrorCode::coordinator_not_available, .members = {}});
    }
    for (const LeaveGroup::Member& member : leave.members) {
        answer.members.push_back(remove_leaver(*group, member, effects));
    }
    const int64_t appends_before = partition.appends;
    if (std::ranges::find(answer.members, ErrorCode::none) != answer.members.end()) {
        if (group->is(GroupState::stable) || group->is(GroupState::completing_rebalance)) {
            prepare_rebalance(partition, *group, effects);
        } else {
            complete_join_if_all_joined(partition, *group, effects);
        }
    }
    answer_after(partition, appends_before, leave.token, std::move(answer), effects);
    forget_if_untouched(partition, *group);
}

kafka::ErrorCode GroupCoordinator::remove_leaver(Group& group, const LeaveGroup::Member& leaver,
                                                 GroupEffects& effects) {
    if (leaver.id.empty()) {  // an administrator who knows the instance only
        const std::string* const id = leaver.instance_id ? group.static_member(*leaver.instance_id) : nullptr;
        if (id == nullptr) { return ErrorCode::unknown_member_id; }
        remove_member(group, std::string(*id), effects);
        return ErrorCode::none;
    }
    if (group.pending.erase(leaver.id) > 0) { return ErrorCode::none; }
    const ErrorCode error = validate_member(group, leaver.id, leaver.instance_id);
    if (error == ErrorCode::none) { remove_member(group, leaver.id, effects); }
    return error;
}

}  // namespace flowstone
