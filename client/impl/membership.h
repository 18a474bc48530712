// One consumer's part in its group: it joins, tells the others what to read or is told, beats, joins again when the group
// changes, and leaves. Kafka's classic group protocol, as its Java client speaks it.
//
// Decides and does nothing: step() takes what happened and appends what is to be done, in order; the driver answers each
// effect that asks for something with the input of its name. While the application lets go of what it reads (`Revoke`),
// nothing goes on but the beating.
// Source: ConsumerCoordinator and AbstractCoordinator of Kafka 4.3; KIP-394 (member ids), KIP-345 (static members),
// KIP-429 (cooperative rebalances).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <flowstone/result.h>

#include "client/impl/assignors.h"
#include "net/kafka/error_code.h"

namespace flowstone {

class Membership {
public:
    struct Options {
        std::string group;
        std::optional<std::string> instance{};
        // What the group may agree on, the dearest first. All of them cooperative: what is kept is read on meanwhile.
        std::vector<Assignor> assignors{Assignor::range};
        int64_t session_ms = 45'000;
        int64_t heartbeat_ms = 3'000;
        int64_t retry_ms = 100;
    };

    // --- what happened ---
    struct Tick {
        int64_t now_ms;
    };
    struct Subscribe {  // to exactly these, from now on
        std::vector<std::string> topics;
    };
    struct Found {  // the coordinator, or not
        kafka::ErrorCode code;
    };
    struct Joined {
        kafka::ErrorCode code;
        int32_t generation = -1;
        std::string protocol{};
        std::string member{};
        bool leads = false;
        bool assigns = false;               // the leader, and the assignment of before does not do
        std::vector<Subscriber> members{};  // what they said under that protocol; for a leader
    };
    struct Counted {  // the partitions of the topics asked for, of those that exist
        PartitionCounts partitions;
    };
    struct Synced {
        kafka::ErrorCode code;
        std::vector<TopicPartition> places{};
    };
    struct Beaten {
        kafka::ErrorCode code;
    };
    struct Revoked {};  // the application has let go
    struct Rejoin {};   // topics have more partitions, or there are more of them
    struct Leave {};
    struct Lapse {};  // the application has not polled for so long that others are to read: out, until Subscribe
    using Input = std::variant<Tick, Subscribe, Found, Joined, Counted, Synced, Beaten, Revoked, Rejoin, Leave, Lapse>;

    // --- what is to be done ---
    struct Find {};
    struct Join {  // with this, under each assignor
        Subscriber self;
    };
    struct Count {
        std::vector<std::string> topics;
    };
    struct Sync {
        int32_t generation;
        std::string member;
        std::string protocol;
        GroupAssignment assignment;  // empty unless we decide
    };
    struct Beat {
        int32_t generation;
        std::string member;
    };
    struct Bye {
        std::string member;
    };
    struct Revoke {  // the application is to let go of these, and may commit before
        std::vector<TopicPartition> places;
    };
    struct Lost {  // others may read these already
        std::vector<TopicPartition> places;
    };
    struct Read {  // exactly these
        std::vector<TopicPartition> places;
    };
    struct Fail {
        kafka::ErrorCode code;
    };
    using Effect = std::variant<Find, Join, Count, Sync, Beat, Bye, Revoke, Lost, Read, Fail>;
    using Effects = std::vector<Effect>;

    explicit Membership(Options options) : options_(std::move(options)) {}

    void step(const Input& input, Effects& effects);
    int64_t next_tick_ms() const;  // INT64_MAX: none is needed

    // What a commit carries. Nothing while the group has not agreed with us in it.
    struct Identity {
        int32_t generation = -1;
        std::string member{};
    };
    std::optional<Identity> identity() const;
    bool revoking() const { return state_ == State::revoking; }  // waits for Revoked
    bool out() const { return state_ == State::out; }
    bool failed() const { return state_ == State::failed; }

private:
    enum class State : uint8_t { out, finding, waiting, revoking, joining, counting, syncing, stable, failed };

    void on(const Tick& tick, Effects& effects);
    void on(const Subscribe& subscribe, Effects& effects);
    void on(const Found& found, Effects& effects);
    void on(const Joined& joined, Effects& effects);
    void on(const Counted& counted, Effects& effects);
    void on(const Synced& synced, Effects& effects);
    void on(const Beaten& beaten, Effects& effects);
    void on(const Revoked& revoked, Effects& effects);
    void on(const Rejoin& rejoin, Effects& effects);
    void on(const Leave& leave, Effects& effects);
    void on(const Lapse& lapse, Effects& effects);

    bool cooperative() const;
    void find(Effects& effects);
    void find_later();
    void begin_join(Effects& effects);
    void join(Effects& effects);
    void lose_all(Effects& effects);
    void on_error(kafka::ErrorCode code, Effects& effects);
    void fail(kafka::ErrorCode code, Effects& effects);
    void go(Effects& effects);

    Options options_;
    State state_ = State::out;
    int64_t now_ms_ = 0;
    int64_t wake_ms_ = INT64_MAX;  // while waiting
    int64_t beat_ms_ = INT64_MAX;  // the next beat
    int64_t heard_ms_ = 0;         // of the coordinator, that we are a member
    bool beating_ = false;         // a beat is under way
    bool again_ = false;           // join once more after this
    bool leaving_ = false;
    std::vector<std::string> topics_;
    std::vector<TopicPartition> owned_;
    std::string member_;
    int32_t generation_ = -1;
    std::string protocol_;
    std::vector<Subscriber> members_;      // of the group we lead, while counting
    std::vector<TopicPartition> to_read_;  // once what had to go is gone
};

}  // namespace flowstone
