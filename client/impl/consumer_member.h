// A member of a group, driven: what Membership wants done is done here, in the client's thread. What the application has
// to do with it, letting go of partitions for instance, goes to GroupConsumer as events, and comes back as calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/cluster_view.h"
#include "client/impl/consumer_core.h"
#include "client/impl/coordinator.h"
#include "client/impl/membership.h"
#include "client/impl/offset_calls.h"
#include "client/impl/requests.h"
#include "net/kafka/messages/heartbeat.h"
#include "net/kafka/messages/join_group.h"
#include "net/kafka/messages/leave_group.h"
#include "net/kafka/messages/sync_group.h"
#include "storage/clock.h"
#include "storage/lock.h"

namespace flowstone {

struct MemberEvent {
    enum class Kind : uint8_t { assigned, revoked, lost, failed };
    Kind kind = Kind::failed;
    std::vector<TopicPartition> places{};
    std::vector<ConsumerCore::Begin> begins{};  // of what is assigned
    uint64_t number = 0;                        // of a revocation, to be given back with revoked()
    Membership::Identity identity{};            // under which what is revoked may still be committed
    std::optional<Error> error{};
};

// A request under way keeps it.
class ConsumerMember : public std::enable_shared_from_this<ConsumerMember> {
public:
    struct World {
        Requests& requests;
        ClusterView& cluster;
        Clock& clock;
        std::function<void()> wake;  // from any thread: turn() has something to do
        int32_t node;                // the coordinator's in Requests; nobody else's
        int64_t request_ms = 30'000;
    };
    ConsumerMember(World world, std::shared_ptr<ConsumerCore> core, const ConsumerOptions& options);
    ~ConsumerMember();

    // --- the consumer's thread ---
    void subscribe(std::vector<std::string> topics);
    void subscribe(std::regex expression);
    void revoked(uint64_t number);  // the places of that event are let go
    void leave();                   // gives up what it has, by an event, and goes
    void abandon();                 // goes, whatever it has
    bool left() const { return left_; }
    // As this member if there is no identity given. Neither callback is called within the call; both in the client's thread.
    void commit(OffsetCalls::Commit commit, std::optional<Membership::Identity> as, OffsetCalls::Committed done);
    void fetch_committed(std::vector<TopicPartition> places, int64_t deadline_ns, OffsetCalls::Fetched done);
    void polling(bool begins);  // poll() begins or ends
    std::optional<MemberEvent> next_event();

    // --- the client's thread ---
    void turn();
    int64_t next_deadline_ns() const;
    bool gone() const { return left_ && byes_ == 0; }
    void close();

private:
    using M = Membership;

    bool post(std::function<void()> task);  // false: the client is closed, and it never runs
    void run_tasks();
    void begin();  // a new membership, of what is wanted now
    void end();    // it is out for good
    void step(M::Input input);
    void perform(const M::Find& find);
    void perform(const M::Join& join);
    void perform(const M::Count& count);
    void perform(const M::Sync& sync);
    void perform(const M::Beat& beat);
    void perform(const M::Bye& bye);
    void perform(const M::Revoke& revoke);
    void perform(const M::Lost& lost);
    void perform(const M::Read& read);
    void perform(const M::Fail& fail);
    template <class Response, class Request>
    void ask(Request request, int64_t patience_ms, std::function<void(kafka::ErrorCode, const Response&)> done);
    M::Joined joined(const kafka::JoinGroupResponse& response) const;
    void on_joined(kafka::ErrorCode code, const kafka::JoinGroupResponse& response);
    void send_beat(const M::Beat& beat);
    void fetch_begins(std::vector<TopicPartition> places);
    void give_begins(const std::vector<TopicPartition>& places, const std::vector<GroupOffset>& offsets);
    void lapse_when_due(int64_t now_ns);
    void look_when_due(int64_t now_ns);
    void on_topics(const kafka::MetadataResponse& answer);
    std::optional<PartitionCounts> counts(const std::vector<std::string>& topics) const;
    void count();
    void watch_counts();
    void tell(MemberEvent event);
    void lose_what_is_revoked();

    World world_;
    std::shared_ptr<ConsumerCore> core_;  // owners: the engine, the handle and this
    const ConsumerOptions options_;
    std::shared_ptr<Coordinator> coordinator_;  // owners: this and its requests under way
    std::shared_ptr<OffsetCalls> offsets_;      // owners: as the coordinator's

    Lock lock_;  // guards the three below
    bool closed_ = false;
    std::vector<std::function<void()>> tasks_;
    std::deque<MemberEvent> events_;
    std::atomic<int64_t> polled_ns_;  // when poll() ended; INT64_MAX while it goes on
    std::atomic<bool> lapsed_ = false;
    std::atomic<bool> left_ = true;

    // The client's thread's.
    std::optional<Membership> machine_;
    std::deque<M::Input> inputs_;
    bool stepping_ = false;
    bool leaving_ = false;
    uint64_t era_ = 0;         // answers to what was asked in an earlier one are worthless
    bool asked_long_ = false;  // a request that may be answered late is under way
    int byes_ = 0;             // under way
    std::vector<std::string> topics_;
    std::optional<std::regex> expression_;
    bool looking_ = false;
    bool looked_ = false;
    int64_t look_ns_ = INT64_MAX;             // when topics are looked for again
    std::vector<std::string> counting_;       // their partitions are to be counted, by
    int64_t count_by_ns_ = INT64_MAX;         // this time
    std::optional<PartitionCounts> counted_;  // what the group was shared by, while we lead it
    std::vector<std::string> counted_topics_;
    std::set<TopicPartition> given_;  // by events, and not taken back by one
    uint64_t reading_ = 0;            // number of the last Read
    uint64_t revoking_ = 0;           // number of the last revocation
};

}  // namespace flowstone
