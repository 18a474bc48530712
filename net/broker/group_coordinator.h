// The coordinator of consumer groups of the classic protocol: members, generations, committed offsets.
//
// Pure: one input at a time, effects in order, no clock, no randomness, no I/O. What it decides is what Kafka 4.3 does
// (SERVE.md rules 28 to 35; KIP-62, 134, 211, 345, 394, 709, 800), with these differences:
//   - every request is answered: one that is overtaken by another of the same member, or whose member is removed, is
//     told so, where Kafka lets it run into the client's time-out;
//   - where Kafka follows a hash map's order (which member leads next, which of two protocols with equal votes wins),
//     ours is by member id and by the leader's preference: the same inputs give the same outputs;
//   - a group is first written when it has something to say: an assignment, an offset, its end;
//   - everything is bounded (storage/limits.h).
//
// Durability: what an answer rests on is in the log before the answer leaves. AppendRecords asks for it and Persisted
// says so; committed offsets that are read are persisted ones. State about members that is not written is what a
// restart may forget: who joined since the last assignment.
//
// Not synchronised: one thread at a time. Memory: groups and committed offsets of the partitions that are loaded.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "log/consumer_offsets.h"
#include "net/broker/group.h"
#include "net/broker/group_requests.h"
#include "storage/limits.h"

namespace flowstone {

// Kafka's name of each in brackets.
struct GroupCoordinatorOptions {
    int32_t partitions = consumer_offsets_partitions_default;  // [offsets.topic.num.partitions]
    int32_t session_timeout_min_ms = 6'000;                    // [group.min.session.timeout.ms]
    int32_t session_timeout_max_ms = 1'800'000;                // [group.max.session.timeout.ms]
    int32_t initial_rebalance_delay_ms = 3'000;                // [group.initial.rebalance.delay.ms]
    int32_t new_member_join_timeout_ms = 300'000;              // a first join that waits this long is given up
    size_t offset_metadata_length_max = offset_metadata_length_max_default;  // [offset.metadata.max.bytes]
    int64_t offsets_retention_ms = 7ll * 24 * 3'600'000;              // [offsets.retention.minutes]; negative: no end
    int64_t offsets_retention_check_ms = 600'000;                     // [offsets.retention.check.interval.ms]
    size_t members_per_group_max = flowstone::members_per_group_max;  // [group.max.size]
    size_t groups_max = flowstone::groups_max;
    uint64_t members_bytes_max = flowstone::members_bytes_max;
    size_t committed_offsets_max = flowstone::committed_offsets_max;
    size_t group_answers_waiting_max = flowstone::group_answers_waiting_max;
};

class GroupCoordinator {
public:
    explicit GroupCoordinator(GroupCoordinatorOptions options);

    // The one way in. The first input is a Tick, and a Tick comes before what happens at another time.
    void step(GroupInput input, GroupEffects& effects);

    // Monotonic: when a Tick would do something. never_ms: nothing is due ever.
    int64_t next_deadline_ms() const;

    // For metrics.
    size_t group_count() const { return group_count_; }
    size_t offset_count() const;
    // Every committed offset, in an order that is always the same.
    using OffsetVisitor = std::function<void(std::string_view group, const TopicPartition& at, Offset offset)>;
    void visit_offsets(const OffsetVisitor& visit) const;
    size_t waiting_count() const { return waiting_.size(); }  // answers that wait for the log
    uint64_t members_bytes() const { return members_bytes_; }

private:
    using ErrorCode = kafka::ErrorCode;

    // What an append does once it is persisted.
    struct OffsetChange {
        std::string group;
        TopicPartition at;
        std::optional<OffsetCommit> commit;  // none: forget it
    };
    struct StoreAssignment {
        uint64_t serial;
        std::string group;
        int32_t generation;
        std::map<std::string, std::vector<std::byte>> assignments;
    };
    struct StaticRejoin {
        uint64_t serial;
        std::string group;
        std::string member_id;
        std::string old_leader;
        bool can_skip_assignment;
    };
    struct RemoveGroup {
        uint64_t serial;
        std::string group;
    };
    using Consequence = std::variant<std::monostate, StoreAssignment, StaticRejoin, RemoveGroup>;
    using WaitingId = uint64_t;
    struct InFlight {
        AppendId append;
        std::vector<OffsetChange> changes;
        Consequence consequence;
        std::vector<WaitingId> waiting;
    };
    // An answer that is ready, or a question that is to be answered, once the appends have ended.
    struct Waiting {
        RequestToken token;
        std::variant<GroupAnswer, FetchOffsets> what;
        std::vector<std::string> groups;  // of DeletedGroups: which answer is whose
        size_t appends = 0;
    };

    enum class PartitionState : uint8_t { absent, loading, ready };
    struct Partition {
        PartitionState state = PartitionState::absent;
        std::map<std::string, Group, std::less<>> groups;
        OffsetTable offsets;
        std::deque<InFlight> in_flight;
        int64_t appends = 0;  // ever: never counted again from the start, so a late answer is known as such
        uint64_t load_failures = 0;
        std::string load_failure;                        // the first
        std::vector<std::string> deleted_while_loading;  // topics
    };

    void on(const Tick& tick, GroupEffects& effects);
    void on(JoinGroup& join, GroupEffects& effects);
    void on(SyncGroup& sync, GroupEffects& effects);
    void on(const GroupHeartbeat& heartbeat, GroupEffects& effects);
    void on(const LeaveGroup& leave, GroupEffects& effects);
    void on(CommitOffsets& commit, GroupEffects& effects);
    void on(FetchOffsets& fetch, GroupEffects& effects);
    void on(const DeleteOffsets& deletion, GroupEffects& effects);
    void on(const DeleteGroups& deletion, GroupEffects& effects);
    void on(const ListGroups& list, GroupEffects& effects);
    void on(const DescribeGroups& describe, GroupEffects& effects);
    void on(const Persisted& persisted, GroupEffects& effects);
    void on(const AppendFailed& failed, GroupEffects& effects);
    void on(const LoadBegin& begin, GroupEffects& effects);
    void on(const LoadRecord& record, GroupEffects& effects);
    void on_record_of_others(Partition& partition, const LoadRecord& record);
    void on(const LoadEnd& end, GroupEffects& effects);
    void on(const Unload& unload, GroupEffects& effects);
    void on(const TopicDeleted& deleted, GroupEffects& effects);

    // Groups.
    Partition& partition_of(std::string_view group) { return partitions_[partition_index(group)]; }
    size_t partition_index(std::string_view group) const;
    static ErrorCode availability(const Partition& partition);
    static Group* find(Partition& partition, std::string_view group);
    Group& create(Partition& partition, const std::string& group);
    void erase(Partition& partition, Group& group);
    void forget_if_untouched(Partition& partition, Group& group);
    static ErrorCode validate_member(Group& group, std::string_view member_id,
                                     const std::optional<std::string>& instance_id);

    // Joining.
    struct Joiner;
    bool accepts(Group& group, std::string_view member_id) const;
    void remove_unaccepted(Joiner& joiner);
    ErrorCode check_room(const JoinGroup& join) const;
    void join_new_member(Joiner& joiner);
    void join_known_member(Joiner& joiner);
    void join_member(Joiner& joiner, GroupMember& member);
    void add_member(Joiner& joiner, std::string member_id);
    void update_member(Joiner& joiner, GroupMember& member);
    void replace_static_member(Joiner& joiner, const std::string& old_id);
    void complete_static_rejoin(Group& group, const StaticRejoin& rejoin, ErrorCode error, GroupEffects& effects);
    static void take_over(Joiner& joiner, GroupMember& member);
    static JoinedGroup joined(const Group& group, const GroupMember& member);

    // Rebalancing.
    void rebalance_or_complete(Partition& partition, Group& group, GroupEffects& effects);
    void prepare_rebalance(Partition& partition, Group& group, GroupEffects& effects);
    void complete_join_if_all_joined(Partition& partition, Group& group, GroupEffects& effects);
    void complete_join(Partition& partition, Group& group, GroupEffects& effects);
    void store_assignment(Partition& partition, Group& group, SyncGroup& sync, GroupEffects& effects);
    void complete_assignment(Group& group, StoreAssignment& stored, GroupEffects& effects);
    void fail_assignment(Partition& partition, Group& group, ErrorCode error, GroupEffects& effects);
    void answer_syncing(Group& group, ErrorCode error, GroupEffects& effects);
    static void remove_member(Group& group, const std::string& member_id, GroupEffects& effects);
    static ErrorCode remove_leaver(Group& group, const LeaveGroup::Member& leaver, GroupEffects& effects);

    // Timers.
    void arm(Group& group, int64_t& deadline_ms, int64_t delay_ms);
    void arm_session(Group& group, GroupMember& member) { arm(group, member.deadline_ms, member.session_timeout_ms); }
    void set_wake(Group& group, int64_t wake_ms);
    void wake(Partition& partition, Group& group, GroupEffects& effects);
    void end_initial_wait(Partition& partition, Group& group, GroupEffects& effects);
    void end_sync_wait(Partition& partition, Group& group, GroupEffects& effects);
    void end_session(Partition& partition, Group& group, const std::string& member_id, GroupEffects& effects);

    // Offsets.
    ErrorCode validate_commit(Partition& partition, const CommitOffsets& commit, Group*& group);
    FetchedOffsets::Of fetch(const FetchOffsets::Of& question);
    void append_tombstones(Partition& partition, Group& group, const std::vector<TopicPartition>& places,
                           bool and_group, GroupEffects& effects);
    static std::vector<TopicPartition> places_of(const Partition& partition, const Group& group);
    void forget_topic(Partition& partition, const std::string& topic, GroupEffects& effects);
    void expire(Partition& partition, GroupEffects& effects);
    void expire(Partition& partition, Group& group, GroupEffects& effects);
    bool is_expired(const Group& group, const OffsetCommit& commit) const;
    static std::optional<int64_t> unused_since_ms(const Group& group, const OffsetCommit& commit);

    // The log.
    InFlight& append(Partition& partition, std::vector<GroupRecord> records, GroupEffects& effects);
    bool append_state(Partition& partition, Group& group, const GroupMetadata& metadata, Consequence consequence,
                      GroupEffects& effects);
    WaitingId wait(RequestToken token, std::variant<GroupAnswer, FetchOffsets> what);
    void wait_for(InFlight& in_flight, WaitingId waiting);
    void wait_since(Partition& partition, int64_t appends_before, WaitingId waiting);
    void answer_after(Partition& partition, int64_t appends_before, RequestToken token, GroupAnswer answer,
                      GroupEffects& effects);
    void answer_if_settled(WaitingId waiting, GroupEffects& effects);
    void settle(Partition& partition, InFlight in_flight, ErrorCode error, GroupEffects& effects);
    void settle_consequence(Partition& partition, Consequence& consequence, ErrorCode error, GroupEffects& effects);
    void settled(WaitingId waiting, const Partition& partition, ErrorCode error, GroupEffects& effects);
    void fail(Waiting& waiting, const Partition& partition, ErrorCode error);
    void drop(Partition& partition, GroupEffects& effects);

    const GroupCoordinatorOptions options_;
    int64_t now_ms_ = 0;
    int64_t wall_ms_ = 0;
    bool wall_believed_ = true;
    std::vector<Partition> partitions_;
    std::set<std::pair<int64_t, std::string>> wakes_;  // every group with a deadline, once
    std::map<WaitingId, Waiting> waiting_;
    WaitingId next_waiting_ = 0;
    uint64_t next_serial_ = 0;
    size_t group_count_ = 0;
    uint64_t members_bytes_ = 0;
    int64_t expiry_deadline_ms_ = never_ms;  // then the next partition's offsets are looked through
    size_t expiry_partition_ = 0;
};

}  // namespace flowstone
