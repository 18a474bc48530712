// GroupCoordinator as the golden scripts speak of it (tests/net/broker/groups): commands in, effects out as lines.
//
//   at 3000                                              monotonic and wall time, in ms; wall=N sets the wall apart
//   join a group=g member=c-1 protocols=range:x,sticky:y a request named a; its answer is the line "a: ..."
//   sync a group=g member=c-1 generation=1 assign=c-1:p0,c-2:p1
//   heartbeat, leave, commit, fetch, delete-offsets, delete-groups, list, describe, find, topic-deleted
//   round 3000                                           the same until the offsets of all partitions were looked at
//   hold / persist / fail code=no_space                  appends are persisted at once unless held
//   restart                                              a new coordinator that loads what was persisted
//
// Member ids are made up as <client or instance>-<n>, n counting up.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "net/broker/find_coordinator.h"
#include "net/broker/group_coordinator.h"
#include "storage/bytes.h"
#include "tests/script.h"
#include "tests/storage/value_of.h"

namespace flowstone {

// What a consumer says it reads: ConsumerProtocolSubscription version 0.
inline std::vector<std::byte> subscription_of(const std::vector<std::string>& topics) {
    ByteWriter out;
    out.be<int16_t>(0);
    out.be(static_cast<int32_t>(topics.size()));
    for (const std::string& topic : topics) {
        out.be(static_cast<int16_t>(topic.size()));
        out.text(topic);
    }
    out.be<int32_t>(-1);  // no user data
    return out.take();
}

inline std::vector<std::byte> bytes_of(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

class GroupScript {
public:
    std::string run(const ScriptCommand& c) {
        out_.clear();
        const std::map<std::string, void (GroupScript::*)(const ScriptCommand&)> commands = {
            {"options", &GroupScript::options},
            {"at", &GroupScript::at},
            {"round", &GroupScript::round},
            {"join", &GroupScript::join},
            {"sync", &GroupScript::sync},
            {"heartbeat", &GroupScript::heartbeat},
            {"leave", &GroupScript::leave},
            {"commit", &GroupScript::commit},
            {"fetch", &GroupScript::fetch},
            {"delete-offsets", &GroupScript::delete_offsets},
            {"delete-groups", &GroupScript::delete_groups},
            {"list", &GroupScript::list},
            {"describe", &GroupScript::describe},
            {"find", &GroupScript::find},
            {"topic-deleted", &GroupScript::topic_deleted},
            {"hold", &GroupScript::hold},
            {"persist", &GroupScript::persist},
            {"fail", &GroupScript::fail_append},
            {"unload", &GroupScript::unload},
            {"load", &GroupScript::load},
            {"restart", &GroupScript::restart},
            {"record", &GroupScript::record},
            {"due", &GroupScript::due},
            {"count", &GroupScript::count},
        };
        const auto found = commands.find(c.name);
        if (found == commands.end()) { return "unknown command " + c.name + "\n"; }
        if (coordinator_ == nullptr && c.name != "options") { start(); }
        (this->*found->second)(c);
        return out_.empty() ? "nothing\n" : out_;
    }

private:
    static std::string error(kafka::ErrorCode code) { return std::string(name(code)); }
    static int32_t number(const ScriptCommand& c, const std::string& key, int64_t otherwise) {
        return static_cast<int32_t>(c.number(key, otherwise));
    }
    static std::optional<std::string> optional(const ScriptCommand& c, const std::string& key) {
        return c.has(key) ? std::optional(c.text(key)) : std::nullopt;
    }
    static std::vector<std::string> split(const std::string& text, char by) {
        std::vector<std::string> parts;
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(by, at), text.size());
            parts.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        return parts;
    }
    static TopicPartition place(const std::string& text) {  // "topic-3"
        const size_t dash = text.rfind('-');
        return {text.substr(0, dash), std::stoi(text.substr(dash + 1))};
    }
    static std::string print(const TopicPartition& at) { return fmt::format("{}-{}", at.topic, at.partition); }
    static std::string print(const std::vector<std::byte>& bytes) {
        const auto topics = subscribed_topics(bytes);
        return topics ? fmt::format("reads {}", fmt::join(*topics, "+")) : std::string(as_text(bytes));
    }
    RequestToken token(const ScriptCommand& c) {
        EXPECT_FALSE(c.words.empty()) << c.name << " needs a name";
        names_.push_back(c.words.empty() ? "?" : c.words[0]);
        return {static_cast<int64_t>(names_.size()) - 1};
    }

    // --- commands ---------------------------------------------------------------------------------------------------

    void options(const ScriptCommand& c) {
        set_options(c);
        out_ += "ok\n";
    }
    void set_options(const ScriptCommand& c) {
        options_.initial_rebalance_delay_ms = number(c, "delay", options_.initial_rebalance_delay_ms);
        const auto size = [&](const char* key, size_t& value) {
            value = static_cast<size_t>(c.number(key, static_cast<int64_t>(value)));
        };
        size("size", options_.members_per_group_max);
        size("groups", options_.groups_max);
        size("bytes", options_.members_bytes_max);
        size("offsets", options_.committed_offsets_max);
        size("waiting", options_.group_answers_waiting_max);
        options_.new_member_join_timeout_ms = number(c, "join_timeout", options_.new_member_join_timeout_ms);
        options_.offsets_retention_ms = c.number("retention", options_.offsets_retention_ms);
        options_.offsets_retention_check_ms = c.number("check", options_.offsets_retention_check_ms);
    }
    void at(const ScriptCommand& c) {
        now_ms_ = std::stoll(c.words.at(0));
        step(Tick{.now_ms = now_ms_, .wall_ms = c.number("wall", now_ms_)});
    }
    // At that time, and as much later as the check of offsets takes to go once round the partitions; wall time stands.
    void round(const ScriptCommand& c) {
        const int64_t wall_ms = std::stoll(c.words.at(0));
        const bool believed = std::ranges::find(c.words, "doubt") == c.words.end();
        now_ms_ = std::max(now_ms_, wall_ms);
        for (int32_t i = 0; i < options_.partitions; ++i) {
            now_ms_ += options_.offsets_retention_check_ms / options_.partitions;
            step(Tick{.now_ms = now_ms_, .wall_ms = wall_ms, .wall_believed = believed});
        }
    }
    void join(const ScriptCommand& c) {
        const int64_t version = c.number("version", 9);
        const std::string client = c.text("client", "c");
        JoinGroup join{.token = token(c),
                       .group = c.text("group"),
                       .member_id = c.text("member"),
                       .instance_id = optional(c, "instance"),
                       .client_id = client,
                       .client_host = "/host",
                       .session_timeout_ms = number(c, "session", 10'000),
                       .rebalance_timeout_ms = number(c, "rebalance", version == 0 ? -1 : 60'000),
                       .protocol_type = c.text("type", "consumer"),
                       .requires_member_id = version >= 4,
                       .can_skip_assignment = version >= 9};
        if (join.member_id.empty()) {
            join.new_member_id = fmt::format("{}-{}", join.instance_id.value_or(client), ++members_made_);
        }
        for (const std::string& one : c.has("protocols") ? c.list("protocols") : std::vector<std::string>{"range:x"}) {
            const auto parts = split(one, ':');
            join.protocols.push_back({parts[0], c.has("topics") ? subscription_of(split(c.text("topics"), '+'))
                                                                : bytes_of(parts.size() > 1 ? parts[1] : "")});
        }
        if (c.text("protocols") == "none") { join.protocols.clear(); }
        step(std::move(join));
    }
    void sync(const ScriptCommand& c) {
        SyncGroup sync{.token = token(c),
                       .group = c.text("group"),
                       .member_id = c.text("member"),
                       .instance_id = optional(c, "instance"),
                       .generation = number(c, "generation", -1),
                       .protocol_type = optional(c, "type"),
                       .protocol = optional(c, "protocol")};
        for (const std::string& one : c.list("assign")) {
            const auto parts = split(one, ':');
            sync.assignments.emplace_back(parts[0], bytes_of(parts.at(1)));
        }
        step(std::move(sync));
    }
    void heartbeat(const ScriptCommand& c) {
        step(GroupHeartbeat{.token = token(c),
                            .group = c.text("group"),
                            .member_id = c.text("member"),
                            .instance_id = optional(c, "instance"),
                            .generation = number(c, "generation", -1)});
    }
    void leave(const ScriptCommand& c) {
        LeaveGroup leave{.token = token(c), .group = c.text("group")};
        for (const std::string& one : c.list("members")) {  // "id", "id/instance" or "/instance"
            const auto parts = split(one, '/');
            leave.members.push_back({parts[0], parts.size() > 1 ? std::optional(parts[1]) : std::nullopt});
        }
        step(std::move(leave));
    }
    void commit(const ScriptCommand& c) {
        CommitOffsets commit{.token = token(c),
                             .group = c.text("group"),
                             .member_id = c.text("member"),
                             .instance_id = optional(c, "instance"),
                             .generation = number(c, "generation", -1),
                             .retention_ms = c.number("retention", -1),
                             .knows_group_id_not_found = c.number("version", 10) >= 9};
        for (const std::string& one : c.list("offsets")) {  // "topic-0:5" or "topic-0:5:metadata"
            const auto parts = split(one, ':');
            std::string metadata = parts.size() > 2 ? parts[2] : "";
            if (c.has("metadata_length")) { metadata.assign(static_cast<size_t>(c.number("metadata_length")), 'm'); }
            commit.partitions.push_back({.at = place(parts[0]),
                                         .offset = {std::stoll(parts.at(1))},
                                         .leader_epoch = number(c, "epoch", -1),
                                         .metadata = std::move(metadata)});
        }
        step(std::move(commit));
    }
    void fetch(const ScriptCommand& c) {
        FetchOffsets fetch{.token = token(c), .require_stable = c.number("stable", 0) != 0};
        for (const std::string& group : c.list("groups")) {
            FetchOffsets::Of of{.group = group};
            if (c.has("partitions")) {
                of.partitions.emplace();
                for (const std::string& one : c.list("partitions")) { of.partitions->push_back(place(one)); }
            }
            fetch.groups.push_back(std::move(of));
        }
        step(std::move(fetch));
    }
    void delete_offsets(const ScriptCommand& c) {
        DeleteOffsets deletion{.token = token(c), .group = c.text("group")};
        for (const std::string& one : c.list("partitions")) { deletion.partitions.push_back(place(one)); }
        step(std::move(deletion));
    }
    void delete_groups(const ScriptCommand& c) { step(DeleteGroups{.token = token(c), .groups = c.list("groups")}); }
    void list(const ScriptCommand& c) {
        step(ListGroups{.token = token(c), .states = c.list("states"), .types = c.list("types")});
    }
    void describe(const ScriptCommand& c) {
        step(DescribeGroups{
            .token = token(c), .groups = c.list("groups"), .knows_group_id_not_found = c.number("version", 6) >= 6});
    }
    void find(const ScriptCommand& c) {
        std::vector<int32_t> leaders;
        for (const std::string& leader : c.list("leaders")) { leaders.push_back(std::stoi(leader)); }
        if (c.has("all")) { leaders.assign(50, number(c, "all", 0)); }
        const auto type = static_cast<CoordinatorType>(c.number("type", 0));
        for (const FoundCoordinator& one : find_coordinators(type, c.list("keys"), leaders)) {
            out_ += one.error == kafka::ErrorCode::none
                        ? fmt::format("{}: broker {}\n", one.key, one.broker)
                        : fmt::format("{}: {} \"{}\"\n", one.key, error(one.error), one.error_message);
        }
    }
    void topic_deleted(const ScriptCommand& c) { step(TopicDeleted{c.words.at(0)}); }

    void hold(const ScriptCommand&) {
        holding_ = true;
        out_ += "ok\n";
    }
    void persist(const ScriptCommand& c) {
        for (int64_t left = c.number("count", 1'000'000); left > 0 && !held_.empty(); --left) { persist_one(); }
        if (!c.has("count")) { holding_ = false; }
    }
    void fail_append(const ScriptCommand& c) {
        const AppendRecords append = std::move(held_.front());
        held_.pop_front();
        Error error = fail(c.text("code") == "too_large" ? Code::too_large
                           : c.text("code") == "io"      ? Code::io
                                                         : Code::no_space,
                           "partition.append")
                          .error();
        error.fate = c.has("unknown") ? Fate::unknown_until_reopen : Fate::not_appended;
        step(AppendFailed{append.partition, append.append, error});
    }
    void unload(const ScriptCommand& c) { step(Unload{partition_for_group(c.text("group"))}); }
    void load(const ScriptCommand& c) {
        const int32_t partition = partition_for_group(c.text("group"));
        if (!c.has("end")) { step(LoadBegin{partition}); }
        if (c.has("begin")) { return; }
        for (const GroupRecord& record : log_[partition]) { step(LoadRecord{partition, record.key, record.value}); }
        step(LoadEnd{partition});
    }
    void restart(const ScriptCommand& c) {
        set_options(c);
        held_.clear();
        holding_ = false;
        start();
    }
    // As somebody else may have left it in the log.
    void record(const ScriptCommand& c) {
        const std::string group = c.text("group");
        log_[partition_for_group(group)].push_back(
            {value_of(encode(GroupMetadataKey{group})), bytes_of(c.text("value", "junk"))});
        out_ += "ok\n";
    }
    void due(const ScriptCommand&) {
        const int64_t due_ms = coordinator_->next_deadline_ms();
        out_ += due_ms == never_ms ? "never\n" : fmt::format("{}\n", due_ms);
    }
    void count(const ScriptCommand&) {
        out_ += fmt::format("{} groups, {} offsets, {} answers waiting\n", coordinator_->group_count(),
                            coordinator_->offset_count(), coordinator_->waiting_count());
    }

    // --- effects ----------------------------------------------------------------------------------------------------

    void start() {
        coordinator_ = std::make_unique<GroupCoordinator>(options_);
        step(Tick{.now_ms = now_ms_, .wall_ms = now_ms_});
        for (int32_t i = 0; i < options_.partitions; ++i) {
            step(LoadBegin{i});
            for (const GroupRecord& record : log_[i]) { step(LoadRecord{i, record.key, record.value}); }
            step(LoadEnd{i});
        }
    }
    void step(GroupInput input) {
        GroupEffects effects;
        coordinator_->step(std::move(input), effects);
        for (GroupEffect& effect : effects.list) {
            if (auto* const reply = std::get_if<Reply>(&effect)) {
                const std::string& name = names_.at(static_cast<size_t>(reply->token.value));
                out_ +=
                    fmt::format("{}: {}", name, std::visit([](const auto& one) { return print(one); }, reply->answer));
            } else if (auto* const append = std::get_if<AppendRecords>(&effect)) {
                for (const GroupRecord& record : append->records) { out_ += "write " + print(record) + "\n"; }
                held_.push_back(std::move(*append));
            } else {
                out_ += "notice: " + std::get<Notice>(effect).text + "\n";
            }
        }
        while (!holding_ && !held_.empty()) { persist_one(); }
    }
    void persist_one() {
        AppendRecords append = std::move(held_.front());
        held_.pop_front();
        auto& log = log_[append.partition];
        std::ranges::move(append.records, std::back_inserter(log));
        step(Persisted{append.partition, append.append});
    }

    // --- printing ---------------------------------------------------------------------------------------------------

    static std::string print(const GroupRecord& record) {
        const auto key = value_of(decode_group_key(record.key));
        if (const auto* const at = std::get_if<OffsetCommitKey>(&key)) {
            const std::string place = fmt::format("{} {}-{}", at->group, at->topic, at->partition);
            if (!record.value) { return place + " forgotten"; }
            const auto commit = value_of(decode_offset_commit(*record.value));
            std::string text = fmt::format("{} offset={}", place, commit.offset.value);
            if (commit.leader_epoch >= 0) { text += fmt::format(" epoch={}", commit.leader_epoch); }
            if (commit.expire_timestamp_ms >= 0) { text += fmt::format(" expires={}", commit.expire_timestamp_ms); }
            return text + fmt::format(" time={}", commit.commit_timestamp_ms);
        }
        const std::string& group = std::get<GroupMetadataKey>(key).group;
        if (!record.value) { return group + " deleted"; }
        const auto state = value_of(decode_group_metadata(*record.value));
        std::string text = fmt::format("{} generation={} time={}", group, state.generation, state.state_timestamp_ms);
        if (state.members.empty()) { return text + " empty"; }
        text += fmt::format(" protocol={} leader={}", *state.protocol, *state.leader);
        for (const auto& member : state.members) {
            text += fmt::format(" {}({})={}", member.id, print(member.subscription), print(member.assignment));
        }
        return text;
    }
    static std::string print(const JoinedGroup& joined) {
        if (joined.error != kafka::ErrorCode::none) {
            return fmt::format("{}{}\n", error(joined.error),
                               joined.member_id.empty() ? "" : " member=" + joined.member_id);
        }
        std::string text = fmt::format("joined generation={} member={} leader={} protocol={}", joined.generation,
                                       joined.member_id, joined.leader, *joined.protocol);
        if (joined.skip_assignment) { text += " skip_assignment"; }
        for (const auto& member : joined.members) { text += fmt::format(" {}({})", member.id, print(member.metadata)); }
        return text + "\n";
    }
    static std::string print(const SyncedGroup& synced) {
        if (synced.error != kafka::ErrorCode::none) { return error(synced.error) + "\n"; }
        return fmt::format("synced assignment={}\n", print(synced.assignment));
    }
    static std::string print(const GroupHeartbeatAnswer& answer) { return error(answer.error) + "\n"; }
    static std::string print(const std::vector<kafka::ErrorCode>& errors) {
        std::string text;
        for (const kafka::ErrorCode code : errors) { text += " " + error(code); }
        return text;
    }
    static std::string print(const LeftGroup& left) {
        if (left.error != kafka::ErrorCode::none) { return error(left.error) + "\n"; }
        return "left" + print(left.members) + "\n";
    }
    static std::string print(const CommittedOffsets& committed) {
        return "committed" + print(committed.partitions) + "\n";
    }
    static std::string print(const FetchedOffsets& fetched) {
        std::string text = "fetched\n";
        for (const auto& of : fetched.groups) {
            text += "  " + of.group;
            if (of.error != kafka::ErrorCode::none) { text += " " + error(of.error); }
            for (const auto& one : of.partitions) {
                text += fmt::format(" {}={}", print(one.at), one.offset.value);
                if (one.leader_epoch >= 0) { text += fmt::format("@{}", one.leader_epoch); }
                const bool is_long = one.metadata.size() > 16;
                if (is_long) { text += fmt::format("({}...)", one.metadata.substr(0, 16)); }
                if (!is_long && !one.metadata.empty()) { text += fmt::format("({})", one.metadata); }
            }
            text += "\n";
        }
        return text;
    }
    static std::string print(const DeletedOffsets& deleted) {
        if (deleted.error != kafka::ErrorCode::none) { return error(deleted.error) + "\n"; }
        return "deleted" + print(deleted.partitions) + "\n";
    }
    static std::string print(const DeletedGroups& deleted) { return "deleted" + print(deleted.groups) + "\n"; }
    static std::string print(const ListedGroups& listed) {
        std::string text = listed.error == kafka::ErrorCode::none ? "listed\n" : error(listed.error) + "\n";
        for (const auto& of : listed.groups) {
            text += fmt::format("  {} {} {}\n", of.group, name(of.state),
                                of.protocol_type.empty() ? "-" : of.protocol_type);
        }
        return text;
    }
    static std::string print(const DescribedGroups& described) {
        std::string text = "described\n";
        for (const auto& of : described.groups) {
            text += "  " + of.group;
            if (of.error != kafka::ErrorCode::none) { text += " " + error(of.error); }
            text += of.state.empty() ? "" : " " + of.state;
            text += of.protocol_type.empty() ? "" : " type=" + of.protocol_type;
            text += of.protocol.empty() ? "" : " protocol=" + of.protocol;
            text += "\n";
            for (const auto& member : of.members) {
                text += fmt::format("    {}{} client={} host={} ({})={}\n", member.id,
                                    member.instance_id ? " instance=" + *member.instance_id : "", member.client_id,
                                    member.client_host, print(member.metadata), print(member.assignment));
            }
        }
        return text;
    }

    std::string out_;  // of the command that runs
    GroupCoordinatorOptions options_;
    std::unique_ptr<GroupCoordinator> coordinator_;
    int64_t now_ms_ = 0;
    std::vector<std::string> names_;  // of requests, by token
    int members_made_ = 0;
    bool holding_ = false;
    std::deque<AppendRecords> held_;
    std::map<int32_t, std::vector<GroupRecord>> log_;  // persisted records, by partition
};

}  // namespace flowstone
