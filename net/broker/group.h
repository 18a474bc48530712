// One consumer group of the classic protocol: who is in it, what all of them speak, in which state it is.
//
//   Empty -> PreparingRebalance -> CompletingRebalance -> Stable, and back to PreparingRebalance at every change
//            members join           the leader assigns
//
// Data and its rules. What happens when is decided by GroupCoordinator, which owns the groups.
// Vocabulary and states: Kafka's classic protocol (KIP-62, 134, 345, 394).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/ids.h>

#include "log/consumer_offsets.h"
#include "storage/bytes.h"

namespace flowstone {

// Names a request until it is answered; chosen by whoever asks.
using RequestToken = Id<struct RequestTokenTag>;

constexpr int64_t never_ms = std::numeric_limits<int64_t>::max();

enum class GroupState : uint8_t { empty, preparing_rebalance, completing_rebalance, stable, dead };
const char* name(GroupState state);  // Kafka's word: "PreparingRebalance"

// One assignor that a member knows, with what it has to tell it. The coordinator does not look inside.
struct GroupProtocol {
    std::string name;
    std::vector<std::byte> metadata;
    friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};

struct GroupMember {
    std::string id{};
    std::optional<std::string> instance_id{};  // of a static member
    std::string client_id{};
    std::string client_host{};
    int32_t rebalance_timeout_ms = 0;
    int32_t session_timeout_ms = 0;
    std::vector<GroupProtocol> protocols{};  // the dearest first
    std::vector<std::byte> assignment{};
    bool is_new = false;                    // has not been told a generation yet, so it cannot send heartbeats
    bool owes_sync = false;                 // was told this generation and has not asked for its assignment
    int64_t deadline_ms = never_ms;         // when its session ends; never while a request of it waits
    std::optional<RequestToken> joining{};  // requests that wait for an answer: changed by Group::set_joining and
    std::optional<RequestToken> syncing{};  // set_syncing only

    const std::vector<std::byte>& metadata(std::string_view protocol) const;  // empty when it does not know it
    uint64_t bytes() const;                                                   // what it costs to remember, about
};

class Group {
public:
    // `serial` tells this group from an earlier one of the same name. `members_bytes`, which outlives the group, counts
    // what the members of all groups cost.
    Group(std::string id, uint64_t serial, int64_t wall_ms, uint64_t& members_bytes);
    ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // Whether a record of a group's state makes sense. If so restore() makes a new group what it says; sessions of
    // its members are not running then.
    static bool is_sound(const GroupMetadata& metadata);
    void restore(const GroupMetadata& metadata);
    GroupMetadata metadata() const;  // to be written; assignments as the members have them

    const std::string& id() const { return id_; }
    uint64_t serial() const { return serial_; }
    GroupState state() const { return state_; }
    bool is(GroupState state) const { return state_ == state; }
    bool was_empty() const { return previous_ == GroupState::empty; }  // before its present state
    int32_t generation() const { return generation_; }
    int64_t state_timestamp_ms() const { return state_timestamp_ms_; }  // -1: not known
    const std::string& protocol_type() const { return protocol_type_; }
    const std::optional<std::string>& protocol() const { return protocol_; }
    const std::optional<std::string>& leader() const { return leader_; }
    void enter(GroupState state, int64_t wall_ms);

    // Members, sorted by id.
    std::map<std::string, GroupMember, std::less<>>& members() { return members_; }
    const std::map<std::string, GroupMember, std::less<>>& members() const { return members_; }
    GroupMember* find(std::string_view member_id);
    const std::string* static_member(std::string_view instance_id) const;  // the id of who has that place
    bool is_leader(const GroupMember& member) const { return leader_ == member.id; }
    // Requires that no member has its id or instance id, and supports(). The first one leads.
    GroupMember& add(GroupMember member, std::string_view protocol_type);
    void remove(std::string_view member_id);  // requires that no request of it waits
    // The place of `old_id`, with all that belongs to it, goes to `new_id`. Requires that no request of it waits.
    GroupMember& rename(std::string_view old_id, std::string new_id);
    void set_protocols(GroupMember& member, std::vector<GroupProtocol> protocols);
    void set_assignment(GroupMember& member, std::vector<std::byte> assignment);

    // Requests of members that wait for an answer. Setting one returns the one that waited before.
    std::optional<RequestToken> set_joining(GroupMember& member, std::optional<RequestToken> token);
    static std::optional<RequestToken> set_syncing(GroupMember& member, std::optional<RequestToken> token);
    size_t joining() const { return joining_; }
    // Nobody is missing: neither a member that has not asked yet nor one that was told its id and has not come back.
    bool all_joined() const { return joining_ == members_.size() && pending.empty(); }
    int32_t rebalance_timeout_ms() const;  // the largest of its members

    // Whether a member of that kind can be in the group: at least one of its protocols is known to all.
    bool supports(std::string_view protocol_type, const std::vector<GroupProtocol>& protocols) const;
    // The protocol with most votes among those that all know; each member votes for the dearest of these. A tie goes to
    // the leader's dearest. Requires members.
    std::string chosen_protocol() const;

    // True when a member that has joined leads now: the leader, or else another.
    bool elect_joined_leader();
    void begin_generation(int64_t wall_ms);

    // Whether the group reads the topic. Who calls itself a consumer and does not say what it reads, reads all.
    bool subscribed_to(std::string_view topic) const;
    bool knows_subscriptions() const { return subscribed_.has_value(); }
    bool is_consumer() const { return protocol_type_ == "consumer"; }

    // Timers, all in monotonic time.
    std::map<std::string, int64_t, std::less<>> pending;  // told an id, not come back with it: until when
    int64_t join_deadline_ms = never_ms;                  // the join phase ends then at the latest
    bool join_is_initial = false;                         // a new group: more members are waited for
    bool member_added = false;                            // since the initial wait began or was extended
    int64_t initial_delay_ms = 0;                         // of the initial wait that is running
    int64_t initial_remaining_ms = 0;                     // how much longer it may be made
    int64_t sync_deadline_ms = never_ms;                  // who owes a sync then is removed
    int64_t wake_ms = never_ms;                           // Invariant: not after any deadline of the group

    bool storing_assignment = false;             // the leader's assignment of this generation is being written
    bool is_written = false;                     // a record of its state exists
    std::map<TopicPartition, uint32_t> writing;  // commits and deletions on their way to the log, by partition

private:
    void count_protocols(const GroupMember& member, int32_t by);
    void find_subscriptions();

    const std::string id_;
    const uint64_t serial_;
    uint64_t& members_bytes_;
    GroupState state_ = GroupState::empty;
    GroupState previous_ = GroupState::dead;
    int64_t state_timestamp_ms_ = -1;
    int32_t generation_ = 0;
    std::string protocol_type_;
    std::optional<std::string> protocol_;
    std::optional<std::string> leader_;  // Invariant: a member
    std::map<std::string, GroupMember, std::less<>> members_;
    std::map<std::string, std::string, std::less<>> static_members_;  // instance id to member id
    std::map<std::string, size_t, std::less<>> protocol_counts_;      // how many members know it; no zeros
    size_t joining_ = 0;
    std::optional<std::set<std::string, std::less<>>> subscribed_;
};

// The topics in a consumer's subscription (ConsumerProtocolSubscription, any version: the first one begins all of
// them). Empty when it is not one.
std::optional<std::vector<std::string>> subscribed_topics(Bytes subscription);

}  // namespace flowstone
