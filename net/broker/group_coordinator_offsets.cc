// Committed offsets, their expiry, and the administration of groups.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "net/broker/group_coordinator.h"
#include "storage/check.h"

namespace flowstone {
namespace {

bool equal_in_any_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

bool passes(const std::vector<std::string>& filter, std::string_view word) {
    return filter.empty() ||
           std::ranges::any_of(filter, [&](const std::string& one) { return equal_in_any_case(one, word); });
}

}  // namespace

// --- OffsetCommit --------------------------------------------------------------------------------------------------

// Sets `group`, which is made when none is needed to commit.
kafka::ErrorCode GroupCoordinator::validate_commit(Partition& partition, const CommitOffsets& commit, Group*& group) {
    if (commit.group.size() > group_name_bytes_max) { return ErrorCode::invalid_group_id; }
    if (const ErrorCode error = availability(partition); error != ErrorCode::none) { return error; }
    if (waiting_.size() >= options_.group_answers_waiting_max) { return ErrorCode::coordinator_not_available; }
    group = find(partition, commit.group);
    if (group == nullptr) {
        if (commit.generation >= 0) {
            return commit.knows_group_id_not_found ? ErrorCode::group_id_not_found : ErrorCode::illegal_generation;
        }
        if (group_count_ >= options_.groups_max) { return ErrorCode::coordinator_not_available; }
        group = &create(partition, commit.group);
    }
    if (group->is(GroupState::dead)) { return ErrorCode::coordinator_not_available; }
    if (commit.generation < 0 && group->is(GroupState::empty)) { return ErrorCode::none; }  // keeps offsets only
    if (commit.generation < 0 && commit.member_id.empty() && !commit.instance_id) {
        return ErrorCode::unknown_member_id;  // the group has members: only they may
    }
    if (const ErrorCode error = validate_member(*group, commit.member_id, commit.instance_id);
        error != ErrorCode::none) {
        return error;
    }
    if (commit.generation != group->generation()) { return ErrorCode::illegal_generation; }
    // It has learnt of the generation and not of its assignment: what it read belongs to the one before.
    return group->is(GroupState::completing_rebalance) ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

void GroupCoordinator::on(CommitOffsets& commit, GroupEffects& effects) {
    Partition& partition = partition_of(commit.group);
    Group* group = nullptr;
    const ErrorCode error = validate_commit(partition, commit, group);
    CommittedOffsets answer;
    answer.partitions.assign(commit.partitions.size(), error);
    if (error != ErrorCode::none) { return effects.reply(commit.token, std::move(answer)); }
    if (GroupMember* const member = group->find(commit.member_id)) { arm_session(*group, *member); }

    const bool expires = commit.retention_ms >= 0;
    const int64_t expire_ms = expires ? wall_ms_ + std::min(commit.retention_ms, never_ms - wall_ms_) : -1;
    const bool is_full = offset_count() >= options_.committed_offsets_max;
    std::vector<GroupRecord> records;
    std::vector<OffsetChange> changes;
    for (size_t i = 0; i < commit.partitions.size(); ++i) {
        CommitOffsets::Partition& one = commit.partitions[i];
        if (java_string_length(one.metadata) > options_.offset_metadata_length_max) {
            answer.partitions[i] = ErrorCode::offset_metadata_too_large;
            continue;
        }
        OffsetCommit value{.offset = one.offset,
                           .leader_epoch = expires ? -1 : one.leader_epoch,
                           .metadata = std::move(one.metadata),
                           .commit_timestamp_ms = wall_ms_,
                           .expire_timestamp_ms = expire_ms};
        auto key_bytes = encode(OffsetCommitKey{group->id(), one.at.topic, one.at.partition});
        auto value_bytes = encode(value);
        const bool is_new = partition.offsets.find(group->id(), one.at.topic, one.at.partition) == nullptr;
        if (!key_bytes || !value_bytes || (is_full && is_new)) {
            answer.partitions[i] = ErrorCode::invalid_commit_offset_size;
            continue;
        }
        records.push_back({std::move(*key_bytes), std::move(*value_bytes)});
        ++group->writing[one.at];
        changes.push_back({group->id(), std::move(one.at), std::move(value)});
    }
    const int64_t appends_before = partition.appends;
    if (!records.empty()) { append(partition, std::move(records), effects).changes = std::move(changes); }
    answer_after(partition, appends_before, commit.token, std::move(answer), effects);
    forget_if_untouched(partition, *group);
}

// --- OffsetFetch ---------------------------------------------------------------------------------------------------

void GroupCoordinator::on(FetchOffsets& fetch, GroupEffects& effects) {
    const bool waits = fetch.require_stable && waiting_.size() < options_.group_answers_waiting_max;
    const WaitingId id = wait(fetch.token, std::move(fetch));
    for (const FetchOffsets::Of& question : std::get<FetchOffsets>(waiting_.at(id).what).groups) {
        Partition& partition = partition_of(question.group);
        const Group* const group = find(partition, question.group);
        // What is being written may turn out to be the truth: whoever began from the offset before would read twice.
        if (waits && group != nullptr && !group->writing.empty()) { wait_for(partition.in_flight.back(), id); }
    }
    answer_if_settled(id, effects);
}

FetchedOffsets::Of GroupCoordinator::fetch(const FetchOffsets::Of& question) {
    FetchedOffsets::Of answer{.group = question.group, .error = ErrorCode::none, .partitions = {}};
    Partition& partition = partition_of(question.group);
    answer.error = availability(partition);
    if (answer.error != ErrorCode::none) { return answer; }
    const auto add = [&](const TopicPartition& at, const OffsetCommit& commit) {
        answer.partitions.push_back({at, commit.offset, commit.leader_epoch, commit.metadata});
    };
    if (!question.partitions) {
        for (const auto& [at, commit] : partition.offsets.offsets(question.group)) { add(at, commit); }
        return answer;
    }
    for (const TopicPartition& at : *question.partitions) {
        const OffsetCommit* const commit = partition.offsets.find(question.group, at.topic, at.partition);
        add(at, commit != nullptr ? *commit : OffsetCommit{});
    }
    return answer;
}

// --- deletion ------------------------------------------------------------------------------------------------------

// In as many appends as it takes. `and_group`: the group is dead from here on, and gone when the last one is written.
void GroupCoordinator::append_tombstones(Partition& partition, Group& group, const std::vector<TopicPartition>& places,
                                         bool and_group, GroupEffects& effects) {
    size_t done = 0;
    while (done < places.size() || and_group) {
        std::vector<GroupRecord> records;
        std::vector<OffsetChange> changes;
        for (; done < places.size() && records.size() < tombstones_per_append_max; ++done) {
            auto key = encode(OffsetCommitKey{group.id(), places[done].topic, places[done].partition});
            CHECK(key);  // it was read or written as one
            records.push_back({std::move(*key), std::nullopt});
            changes.push_back({group.id(), places[done], std::nullopt});
            ++group.writing[places[done]];
        }
        Consequence consequence;
        if (and_group && done == places.size() && records.size() < tombstones_per_append_max) {
            auto key = encode(GroupMetadataKey{group.id()});
            CHECK(key);
            records.push_back({std::move(*key), std::nullopt});
            consequence = RemoveGroup{group.serial(), group.id()};
            group.enter(GroupState::dead, group.state_timestamp_ms());
            and_group = false;
        }
        InFlight& in_flight = append(partition, std::move(records), effects);
        in_flight.changes = std::move(changes);
        in_flight.consequence = std::move(consequence);
    }
}

// Every partition that the group has an offset of, or will when what is being written is written.
std::vector<TopicPartition> GroupCoordinator::places_of(const Partition& partition, const Group& group) {
    std::set<TopicPartition> places;
    for (const auto& [at, commit] : partition.offsets.offsets(group.id())) { places.insert(at); }
    for (const auto& [at, count] : group.writing) { places.insert(at); }
    return {places.begin(), places.end()};
}

void GroupCoordinator::on(const DeleteOffsets& deletion, GroupEffects& effects) {
    const auto refuse = [&](ErrorCode error) {
        effects.reply(deletion.token, DeletedOffsets{.error = error, .partitions = {}});
    };
    if (deletion.group.empty()) { return refuse(ErrorCode::invalid_group_id); }
    Partition& partition = partition_of(deletion.group);
    if (const ErrorCode error = availability(partition); error != ErrorCode::none) { return refuse(error); }
    Group* const group = find(partition, deletion.group);
    if (group == nullptr || group->is(GroupState::dead)) { return refuse(ErrorCode::group_id_not_found); }
    if (!group->is(GroupState::empty) && !group->is_consumer()) { return refuse(ErrorCode::non_empty_group); }
    DeletedOffsets answer;
    std::set<TopicPartition> gone;
    for (const TopicPartition& at : deletion.partitions) {
        const bool subscribed = group->subscribed_to(at.topic);
        answer.partitions.push_back(subscribed ? ErrorCode::group_subscribed_to_topic : ErrorCode::none);
        const bool exists = partition.offsets.find(group->id(), at.topic, at.partition) != nullptr;
        if (!subscribed && (exists || group->writing.contains(at))) { gone.insert(at); }
    }
    const int64_t appends_before = partition.appends;
    append_tombstones(partition, *group, {gone.begin(), gone.end()}, false, effects);
    answer_after(partition, appends_before, deletion.token, std::move(answer), effects);
}

void GroupCoordinator::on(const DeleteGroups& deletion, GroupEffects& effects) {
    const WaitingId id = wait(deletion.token, GroupAnswer(DeletedGroups{}));
    std::vector<ErrorCode> errors;
    for (const std::string& name : deletion.groups) {
        Partition& partition = partition_of(name);
        ErrorCode& error = errors.emplace_back(availability(partition));
        if (error != ErrorCode::none) { continue; }
        Group* const group = find(partition, name);
        if (group == nullptr || group->is(GroupState::dead)) {
            error = ErrorCode::group_id_not_found;
        } else if (!group->is(GroupState::empty)) {
            error = ErrorCode::non_empty_group;
        } else {
            const int64_t appends_before = partition.appends;
            append_tombstones(partition, *group, places_of(partition, *group), true, effects);
            wait_since(partition, appends_before, id);
        }
    }
    Waiting& waiting = waiting_.at(id);
    std::get<DeletedGroups>(std::get<GroupAnswer>(waiting.what)).groups = std::move(errors);
    waiting.groups = deletion.groups;
    answer_if_settled(id, effects);
}

void GroupCoordinator::on(const TopicDeleted& deleted, GroupEffects& effects) {
    for (Partition& partition : partitions_) {
        if (partition.state == PartitionState::loading) { partition.deleted_while_loading.push_back(deleted.topic); }
        if (partition.state == PartitionState::ready) { forget_topic(partition, deleted.topic, effects); }
    }
}

void GroupCoordinator::forget_topic(Partition& partition, const std::string& topic, GroupEffects& effects) {
    const TopicPartition first{topic, INT32_MIN};
    const auto collect = [&](const auto& map, std::set<TopicPartition>& into) {
        for (auto at = map.lower_bound(first); at != map.end() && at->first.topic == topic; ++at) {
            into.insert(at->first);
        }
    };
    for (auto& [id, group] : partition.groups) {
        if (group.is(GroupState::dead)) { continue; }  // its offsets are going already
        std::set<TopicPartition> gone;
        collect(partition.offsets.offsets(id), gone);
        collect(group.writing, gone);
        append_tombstones(partition, group, {gone.begin(), gone.end()}, false, effects);
    }
}

// --- expiry --------------------------------------------------------------------------------------------------------

void GroupCoordinator::expire(Partition& partition, GroupEffects& effects) {
    if (partition.state != PartitionState::ready || !wall_believed_) { return; }
    for (auto at = partition.groups.begin(); at != partition.groups.end();) {
        Group& group = at->second;
        ++at;  // the group may go
        expire(partition, group, effects);
    }
}

// Since when the offset counts as unused; none: it is in use.
std::optional<int64_t> GroupCoordinator::unused_since_ms(const Group& group, const OffsetCommit& commit) {
    if (group.protocol_type().empty()) { return commit.commit_timestamp_ms; }
    if (group.is(GroupState::empty)) {
        return group.state_timestamp_ms() >= 0 ? group.state_timestamp_ms() : commit.commit_timestamp_ms;
    }
    // Members read other topics than this one.
    const bool known = group.is(GroupState::stable) && group.is_consumer() && group.knows_subscriptions();
    return known ? std::optional(commit.commit_timestamp_ms) : std::nullopt;
}

bool GroupCoordinator::is_expired(const Group& group, const OffsetCommit& commit) const {
    const auto since_ms = unused_since_ms(group, commit);
    if (!since_ms) { return false; }
    if (commit.expire_timestamp_ms >= 0) { return commit.expire_timestamp_ms <= wall_ms_; }
    return options_.offsets_retention_ms >= 0 && *since_ms <= wall_ms_ - options_.offsets_retention_ms;
}

void GroupCoordinator::expire(Partition& partition, Group& group, GroupEffects& effects) {
    if (group.is(GroupState::dead)) { return; }
    const auto& offsets = partition.offsets.offsets(group.id());
    std::vector<TopicPartition> gone;
    for (const auto& [at, commit] : offsets) {
        if (group.subscribed_to(at.topic) || group.writing.contains(at)) { continue; }
        if (is_expired(group, commit)) { gone.push_back(at); }
    }
    const bool nothing_left = gone.size() == offsets.size() && group.writing.empty();
    const bool and_group = nothing_left && group.is(GroupState::empty) && group.pending.empty();
    append_tombstones(partition, group, gone, and_group, effects);
}

// --- ListGroups, DescribeGroups ------------------------------------------------------------------------------------

void GroupCoordinator::on(const ListGroups& list, GroupEffects& effects) {
    ListedGroups answer;
    const bool wanted = passes(list.types, classic_group_type);
    for (const Partition& partition : partitions_) {
        if (partition.state == PartitionState::loading) { answer.error = ErrorCode::coordinator_load_in_progress; }
        for (const auto& [id, group] : partition.groups) {
            if (!wanted || !passes(list.states, name(group.state()))) { continue; }
            answer.groups.push_back({id, group.protocol_type(), group.state()});
        }
    }
    if (answer.error != ErrorCode::none) { answer.groups.clear(); }  // half a list looks like a whole one
    std::ranges::sort(answer.groups, {}, &ListedGroups::Of::group);
    effects.reply(list.token, std::move(answer));
}

void GroupCoordinator::on(const DescribeGroups& describe, GroupEffects& effects) {
    DescribedGroups answer;
    for (const std::string& id : describe.groups) {
        DescribedGroups::Of& of = answer.groups.emplace_back();
        of.group = id;
        Partition& partition = partition_of(id);
        of.error = availability(partition);
        if (of.error != ErrorCode::none) { continue; }
        const Group* const group = find(partition, id);
        of.state = name(group == nullptr ? GroupState::dead : group->state());
        if (group == nullptr) {
            if (!describe.knows_group_id_not_found) { continue; }
            of.error = ErrorCode::group_id_not_found;
            of.error_message = fmt::format("Group {} not found.", id);
            continue;
        }
        of.protocol_type = group->protocol_type();
        const bool is_stable = group->is(GroupState::stable);
        if (is_stable) { of.protocol = *group->protocol(); }
        for (const auto& [member_id, member] : group->members()) {
            of.members.push_back({.id = member_id,
                                  .instance_id = member.instance_id,
                                  .client_id = member.client_id,
                                  .client_host = member.client_host,
                                  .metadata = is_stable ? member.metadata(of.protocol) : std::vector<std::byte>(),
                                  .assignment = member.assignment});
        }
    }
    effects.reply(describe.token, std::move(answer));
}

}  // namespace flowstone
