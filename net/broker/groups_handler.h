// Drives the group coordinator: turns requests into its inputs, its effects into appends to __consumer_offsets, and its
// answers into responses. Decides nothing.
//
// The partitions of __consumer_offsets are read back, by the worker, when the broker starts or the topic is made; until
// then their groups answer COORDINATOR_LOAD_IN_PROGRESS. What others append to them later, such as a program that holds the
// log and this broker, is read as it comes. Threads: the broker's one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "net/broker/group_coordinator.h"
#include "net/broker/request.h"
#include "net/kafka/messages/delete_groups.h"
#include "net/kafka/messages/describe_groups.h"
#include "net/kafka/messages/find_coordinator.h"
#include "net/kafka/messages/heartbeat.h"
#include "net/kafka/messages/join_group.h"
#include "net/kafka/messages/leave_group.h"
#include "net/kafka/messages/list_groups.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_delete.h"
#include "net/kafka/messages/offset_fetch.h"
#include "net/kafka/messages/sync_group.h"

namespace flowstone {

class GroupsHandler {
public:
    // `offsets_topic` finds or makes __consumer_offsets. `notice` takes lines for the operator.
    GroupsHandler(BrokerContext& context, std::function<Result<ServedTopic>()> offsets_topic,
                  std::function<void(std::string)> notice);

    // Reads the groups back, if there are any yet.
    void start();

    void on(const Request& request, const kafka::FindCoordinatorRequest& asked);
    void on(Request request, const kafka::JoinGroupRequest& asked);
    void on(Request request, const kafka::SyncGroupRequest& asked);
    void on(Request request, const kafka::HeartbeatRequest& asked);
    void on(Request request, const kafka::LeaveGroupRequest& asked);
    void on(Request request, const kafka::OffsetCommitRequest& asked);
    void on(Request request, const kafka::OffsetFetchRequest& asked);
    void on(Request request, const kafka::OffsetDeleteRequest& asked);
    void on(Request request, const kafka::DescribeGroupsRequest& asked);
    void on(Request request, const kafka::ListGroupsRequest& asked);
    void on(Request request, const kafka::DeleteGroupsRequest& asked);

    void topic_deleted(const std::string& topic) { step(TopicDeleted{topic}); }
    void moved(ServedPartition partition);
    void tick(int64_t now_ms);
    int64_t next_deadline_ms() const { return coordinator_.next_deadline_ms(); }
    size_t waiting() const { return answerers_.size(); }
    const GroupCoordinator& coordinator() const { return coordinator_; }

private:
    using Answerer = std::function<void(GroupAnswer&)>;
    struct InFlight {
        AppendId append;
        Offset base_offset;
        Offset next_offset;
    };
    struct LateFetch {
        FetchOffsets fetch;
        size_t group;     // the one of its groups that waits
        Offset known_to;  // until the coordinator knows all below this
    };
    struct Part {
        std::optional<ServedPartition> place{};
        std::deque<InFlight> in_flight{};
        Offset known_to{0};    // the coordinator knows all records below it
        bool loaded = false;   // all that were there in the beginning
        bool reading = false;  // the worker is at it
        std::deque<LateFetch> late{};
    };

    template <class Answer, class F>
    RequestToken expect(F answer);
    Tick time() const;
    void step(GroupInput input);
    void perform(GroupEffects& effects);
    void perform(AppendRecords& append);
    void load(int32_t partition);
    void read_on(int32_t partition, Offset end);
    void look_at_ends(Part& part, int32_t number);
    void fetch(FetchOffsets fetch, size_t first);
    bool lacks(const Part& part, Offset known_to) const;
    void end_reading(int32_t partition, Offset next, const std::optional<Error>& error);
    bool ready();

    BrokerContext& context_;
    GroupCoordinator coordinator_;
    std::function<Result<ServedTopic>()> offsets_topic_;
    std::function<void(std::string)> notice_;
    std::optional<ServedTopic> topic_;
    std::map<int32_t, Part> parts_;
    std::map<const void*, int32_t> part_of_;  // by the partition's token
    std::map<RequestToken, Answerer> answerers_;
    int64_t next_token_ = 0;
    bool stepping_ = false;
    std::deque<GroupInput> inputs_;  // that came while one was being performed
};

}  // namespace flowstone
