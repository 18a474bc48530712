// One call of an Admin, under way: things that each have one broker to go to, asked of it together, and asked again as
// long as that is safe and the time goes.
//
// A thing is a topic, a partition, a group or a broker. Each turn looks for the broker of those that wait, and sends each
// broker what it is asked in as few requests as there may be. The answer says of each thing that it is done, or an error:
//   wrong or not ready broker (not controller, not coordinator, not leader, loading)   looked for anew, asked again
//   retriable, or the connection was lost                                              asked again if `repeatable`
//   everything else                                                                    its verdict
// Before the next asking it waits, longer each time. At the deadline what is left has the error it met last.
//
// Threads: one, that of its Requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/result.h>

#include "client/impl/cluster_view.h"
#include "client/impl/requests.h"
#include "net/kafka/messages/find_coordinator.h"

namespace flowstone {

class BrokerCall : public std::enable_shared_from_this<BrokerCall> {
public:
    struct World {
        Requests& requests;
        ClusterView& cluster;
        Clock& clock;
        Random& random;
        int64_t request_ms = 30'000;
    };
    enum class To : uint8_t { any_broker, controller, broker, leader, coordinator };
    struct Thing {
        std::string name;     // topic or group
        int32_t number = -1;  // of the partition or broker, where that matters
    };
    struct Options {
        const char* operation = "";
        To to = To::any_broker;
        bool repeatable = false;  // done twice is as done once
        int64_t deadline_ns = 0;
        size_t things_max = SIZE_MAX;  // of one request
        int16_t version_max = INT16_MAX;
    };

    BrokerCall(const World& world, Options options, std::vector<Thing> things);
    virtual ~BrokerCall();
    BrokerCall(const BrokerCall&) = delete;
    BrokerCall& operator=(const BrokerCall&) = delete;

    void turn();
    bool done() const { return open_ == 0; }
    int64_t next_deadline_ns() const;
    void close();  // what is open ends with `closed`

    // Of each thing, once done(): why not, or nothing.
    std::vector<std::optional<Error>> errors() const;

    // What an answer says. The reader of the answer tells of every thing that was asked.
    class Verdicts {
    public:
        // Which thing that is when it succeeded: what the answer says of it is to be kept. Nothing when it did not, or
        // was not asked.
        std::optional<size_t> tell(std::string_view name, int32_t number, kafka::ErrorCode code,
                                   std::string_view text = {});
        void tell_all(kafka::ErrorCode code, std::string_view text = {});
        // An older broker took only the first: what it was not told of is asked again.
        void ask_for_the_rest() { rest_again_ = true; }
        const std::vector<size_t>& asked() const { return asked_; }

    private:
        friend class BrokerCall;
        struct Told {
            kafka::ErrorCode code;
            std::string text;
        };
        Verdicts(const BrokerCall& call, const std::vector<size_t>& asked) : call_(call), asked_(asked) {}
        const BrokerCall& call_;
        const std::vector<size_t>& asked_;
        std::map<size_t, Told> told_;
        bool rest_again_ = false;
    };

protected:
    virtual void ask(int32_t node, const std::vector<size_t>& things, int64_t deadline_ns) = 0;
    const std::vector<Thing>& things() const { return things_; }
    const World& world() const { return world_; }
    const Options& options() const { return options_; }
    void on_failure(const std::vector<size_t>& asked, const Error& error);
    Verdicts verdicts(const std::vector<size_t>& asked) const { return Verdicts(*this, asked); }
    void on_verdicts(const Verdicts& verdicts);

private:
    enum class Stage : uint8_t { waiting, asked, done };
    struct State {
        Stage stage = Stage::waiting;
        std::optional<Error> error;  // the last it met; its verdict once it is done
    };
    std::string label(size_t thing) const;
    std::optional<int32_t> node_of(size_t thing);
    std::optional<int32_t> broker_of(size_t thing);
    std::optional<int32_t> leader_of(size_t thing);
    std::optional<int32_t> coordinator_of(size_t thing);
    bool cluster_is_known();
    void find_coordinators();
    void on_coordinators(const kafka::FindCoordinatorResponse& answer, const std::vector<std::string>& groups);
    void on_code(size_t thing, kafka::ErrorCode code, std::string_view text);
    void settle(size_t thing, std::optional<Error> error);
    void wait_again(size_t thing, const Error& error);
    void look_anew();
    void expire();

    World world_;
    Options options_;
    std::vector<Thing> things_;
    std::vector<State> states_;
    std::map<std::pair<std::string_view, int32_t>, size_t> by_name_;  // views into things_
    std::map<std::string, int32_t, std::less<>> coordinators_;        // of groups
    bool finding_ = false;
    bool failed_ = false;  // since the last turn: the next asking waits
    size_t open_ = 0;
    size_t waiting_ = 0;
    uint32_t tries_ = 0;
    int64_t not_before_ns_ = 0;
    uint64_t begun_at_;        // answers of the cluster then
    uint64_t newer_than_ = 0;  // only later answers of the cluster are believed
};

// `make` turns some of the things, by their place in what was given, into a request; `read` an answer into verdicts, and
// keeps what else it says. What both refer to must live until the call is done.
template <class Request, class Response>
class RequestCall final : public BrokerCall {
public:
    using Make = std::function<Request(const std::vector<size_t>& things)>;
    using Read = std::function<void(const Response&, Verdicts&)>;
    RequestCall(const World& world, Options options, std::vector<Thing> things, Make make, Read read)
        : BrokerCall(world, options, std::move(things)), make_(std::move(make)), read_(std::move(read)) {}

private:
    void ask(int32_t node, const std::vector<size_t>& asked, int64_t deadline_ns) override {
        auto self =
            std::static_pointer_cast<RequestCall>(shared_from_this());  // owners: the engine, and what is under way
        world().requests.template ask<Response>(
            node, make_(asked), deadline_ns,
            [self = std::move(self), asked](const Result<Answered<Response>>& answer) {
                if (self->done()) { return; }
                if (!answer) { return self->on_failure(asked, answer.error()); }
                auto verdicts = self->verdicts(asked);
                self->read_(answer->response, verdicts);
                self->on_verdicts(verdicts);
            },
            options().version_max);
    }

    Make make_;
    Read read_;
};

}  // namespace flowstone
