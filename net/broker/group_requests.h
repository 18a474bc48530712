// What GroupCoordinator is told, what it answers, and what it wants done: plain structs, no wire.
//
// Lists of partitions are flat, and answers are in the order of the question. Text that Kafka calls a group id is a
// group's name here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "log/consumer_offsets.h"
#include "net/broker/group.h"
#include "net/kafka/error_code.h"

namespace flowstone {

// The only clock. Monotonic time never goes back and runs every time-out; wall time is what is written down, and what
// offsets expire by, unless it is not to be believed (ClockGuard).
struct Tick {
    int64_t now_ms = 0;
    int64_t wall_ms = 0;
    bool wall_believed = true;
};

// --- members -------------------------------------------------------------------------------------------------------

struct JoinGroup {
    RequestToken token{};
    std::string group{};
    std::string member_id{};                   // empty: it has none yet
    std::optional<std::string> instance_id{};  // of a static member
    std::string new_member_id{};               // to be its id when it has none; never given twice
    std::string client_id{};
    std::string client_host{};
    int32_t session_timeout_ms = 0;
    int32_t rebalance_timeout_ms = -1;  // -1, from version 0: as the session's
    std::string protocol_type{};
    std::vector<GroupProtocol> protocols{};  // the dearest first
    bool requires_member_id = true;          // version 4 up: comes back with the id it was told
    bool can_skip_assignment = true;         // version 9 up: knows what that means
};
struct JoinedGroup {
    struct Member {
        std::string id{};
        std::optional<std::string> instance_id{};
        std::vector<std::byte> metadata{};
    };
    kafka::ErrorCode error = kafka::ErrorCode::none;
    int32_t generation = -1;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol{};
    std::string leader{};
    bool skip_assignment = false;
    std::string member_id{};
    std::vector<Member> members{};  // for the leader only
};

struct SyncGroup {
    RequestToken token{};
    std::string group{};
    std::string member_id{};
    std::optional<std::string> instance_id{};
    int32_t generation = -1;
    std::optional<std::string> protocol_type{};  // version 5 up
    std::optional<std::string> protocol{};
    std::vector<std::pair<std::string, std::vector<std::byte>>> assignments{};  // by member id; from the leader
};
struct SyncedGroup {
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::optional<std::string> protocol_type{};
    std::optional<std::string> protocol{};
    std::vector<std::byte> assignment{};
};

struct GroupHeartbeat {
    RequestToken token{};
    std::string group{};
    std::string member_id{};
    std::optional<std::string> instance_id{};
    int32_t generation = -1;
};
struct GroupHeartbeatAnswer {
    kafka::ErrorCode error = kafka::ErrorCode::none;
};

struct LeaveGroup {
    struct Member {
        std::string id{};  // may be empty when the instance is named
        std::optional<std::string> instance_id{};
    };
    RequestToken token{};
    std::string group{};
    std::vector<Member> members{};
};
struct LeftGroup {
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::vector<kafka::ErrorCode> members{};  // up to version 2 the only one is the request's error
};

// --- offsets -------------------------------------------------------------------------------------------------------

struct CommitOffsets {
    struct Partition {
        TopicPartition at;
        Offset offset;
        int32_t leader_epoch = -1;
        std::string metadata{};
    };
    RequestToken token{};
    std::string group{};
    std::string member_id{};
    std::optional<std::string> instance_id{};
    int32_t generation = -1;
    int64_t retention_ms = -1;             // versions 2 to 4 may ask for one; -1: the broker's
    bool knows_group_id_not_found = true;  // version 9 up
    std::vector<Partition> partitions{};   // that exist
};
struct CommittedOffsets {
    std::vector<kafka::ErrorCode> partitions{};
};

struct FetchOffsets {
    struct Of {
        std::string group{};
        std::optional<std::vector<TopicPartition>> partitions{};  // none: all that have an offset
    };
    RequestToken token{};
    std::vector<Of> groups{};
    bool require_stable = false;  // waits for what is being written
};
struct FetchedOffsets {
    struct Partition {
        TopicPartition at;
        Offset offset;  // -1: none
        int32_t leader_epoch = -1;
        std::string metadata{};
    };
    struct Of {
        std::string group{};
        kafka::ErrorCode error = kafka::ErrorCode::none;
        std::vector<Partition> partitions{};
    };
    std::vector<Of> groups{};
};

struct DeleteOffsets {
    RequestToken token{};
    std::string group{};
    std::vector<TopicPartition> partitions{};  // that exist
};
struct DeletedOffsets {
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::vector<kafka::ErrorCode> partitions{};
};

// --- administration ------------------------------------------------------------------------------------------------

struct DeleteGroups {
    RequestToken token{};
    std::vector<std::string> groups{};
};
struct DeletedGroups {
    std::vector<kafka::ErrorCode> groups{};
};

struct ListGroups {
    RequestToken token{};
    std::vector<std::string> states{};  // Kafka's words, in any case; empty: all
    std::vector<std::string> types{};   // "classic" is the only one here; empty: all
};
struct ListedGroups {
    struct Of {
        std::string group{};
        std::string protocol_type{};
        GroupState state = GroupState::empty;
    };
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::vector<Of> groups{};
};
constexpr const char* classic_group_type = "classic";

struct DescribeGroups {
    RequestToken token{};
    std::vector<std::string> groups{};
    bool knows_group_id_not_found = true;  // version 6 up
};
struct DescribedGroups {
    struct Member {
        std::string id{};
        std::optional<std::string> instance_id{};
        std::string client_id{};
        std::string client_host{};
        std::vector<std::byte> metadata{};  // in a stable group only
        std::vector<std::byte> assignment{};
    };
    struct Of {
        std::string group{};
        kafka::ErrorCode error = kafka::ErrorCode::none;
        std::string error_message{};
        std::string state{};  // empty with an error about the coordinator
        std::string protocol_type{};
        std::string protocol{};  // in a stable group only
        std::vector<Member> members{};
    };
    std::vector<Of> groups{};
};

// --- the log below -------------------------------------------------------------------------------------------------

// Numbers the appends to one partition of __consumer_offsets, upwards.
using AppendId = Id<struct AppendIdTag>;

// What became of an AppendRecords effect: told in the order of the effects, for each partition.
struct Persisted {
    int32_t partition = -1;
    AppendId append;
};
struct AppendFailed {
    int32_t partition = -1;
    AppendId append;
    Error error;  // its fate says whether the records may turn up later
};

// A partition of __consumer_offsets becomes ours: begin, its records from the log start on, end. And is ours no more.
struct LoadBegin {
    int32_t partition = -1;
};
// A record of the partition: one of those that are loaded or, once that has ended, one that others appended.
struct LoadRecord {
    int32_t partition = -1;
    std::vector<std::byte> key{};
    std::optional<std::vector<std::byte>> value{};
};
struct LoadEnd {
    int32_t partition = -1;
};
struct Unload {
    int32_t partition = -1;
};

struct TopicDeleted {
    std::string topic{};
};

using GroupInput = std::variant<Tick, JoinGroup, SyncGroup, GroupHeartbeat, LeaveGroup, CommitOffsets, FetchOffsets,
                                DeleteOffsets, DeleteGroups, ListGroups, DescribeGroups, Persisted, AppendFailed,
                                LoadBegin, LoadRecord, LoadEnd, Unload, TopicDeleted>;

using GroupAnswer = std::variant<JoinedGroup, SyncedGroup, GroupHeartbeatAnswer, LeftGroup, CommittedOffsets,
                                 FetchedOffsets, DeletedOffsets, DeletedGroups, ListedGroups, DescribedGroups>;

struct Reply {
    RequestToken token{};
    GroupAnswer answer;
};
// Append in one batch, and say what became of it.
struct AppendRecords {
    int32_t partition = -1;
    AppendId append;
    std::vector<GroupRecord> records{};
};
struct Notice {  // one line for the operator
    std::string text{};
};
using GroupEffect = std::variant<Reply, AppendRecords, Notice>;

// To be performed in order.
struct GroupEffects {
    std::vector<GroupEffect> list{};

    void reply(RequestToken token, GroupAnswer answer) { list.emplace_back(Reply{token, std::move(answer)}); }
    void append(AppendRecords append) { list.emplace_back(std::move(append)); }
    void notice(std::string text) { list.emplace_back(Notice{std::move(text)}); }
};

}  // namespace flowstone
