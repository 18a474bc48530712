// Which brokers and topics there are and who leads what, as far as somebody wants to know: kept from Metadata answers,
// asked again when something proves out of date and every five minutes.
//
// Threads: one, that of its Requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "client/impl/requests.h"
#include "net/kafka/error_code.h"
#include "net/kafka/messages/metadata.h"

namespace flowstone {

struct PartitionView {
    int32_t leader = -1;  // -1: nobody, now
    int32_t epoch = -1;
};
struct TopicView {
    Uuid id{};                              // zeros where the broker knows none
    std::vector<PartitionView> partitions;  // by number; empty when there is an error
    kafka::ErrorCode error = kafka::ErrorCode::none;
};

class ClusterView {
public:
    struct Options {
        std::vector<HostPort> bootstrap;  // one at least
        int64_t refresh_ms = 300'000;
        int64_t retry_ms = 100;  // between two askings; doubled while nothing gets better
        int64_t retry_ms_max = 1'000;
        int64_t request_ms = 30'000;
    };
    ClusterView(Requests& requests, Clock& clock, Random& random, Options options);

    // Tells of the topic from now on. `may_create`: the broker may make it, if it does such a thing.
    void want(std::string_view topic, bool may_create = false);
    // The same for a while: until it was given back as often, unless somebody wants it by then.
    void borrow(std::string_view topic);
    void give_back(std::string_view topic);
    // Null until an answer spoke of it.
    const TopicView* topic(std::string_view name) const;
    const PartitionView* partition(std::string_view topic, int32_t number) const;
    std::string_view name_of(const Uuid& id) const;  // empty: no wanted topic
    // Something was not as it is told here: asks again.
    void suspect();
    uint64_t answers() const { return answers_; }  // so far
    // Why the last asking failed, when nothing was learnt since.
    const std::optional<Error>& failure() const { return failure_; }

    // A broker that may be asked anything, one that answered before if possible.
    int32_t some_node() const;
    bool knows(int32_t node) const;  // a broker of the last answer
    std::optional<int32_t> controller() const { return controller_; }

    void turn();
    int64_t next_deadline_ns() const;

private:
    struct Wanted {
        bool kept = false;
        size_t borrowed = 0;
        bool may_create = false;
        bool told = false;  // an answer spoke of it
        TopicView view;
    };
    Wanted& add(std::string_view topic);
    int64_t next_try_ns() const;
    void ask();
    void on_answer(const kafka::MetadataResponse& answer);

    Requests& requests_;
    Clock& clock_;
    Random& random_;
    Options options_;
    std::map<std::string, Wanted, std::less<>> wanted_;
    std::vector<int32_t> brokers_;
    std::optional<int32_t> controller_;
    bool asking_ = false;
    bool suspect_ = false;
    bool unasked_ = false;  // wanted is what no asking named: nothing that a pause would help
    uint32_t tries_ = 0;    // since all that is wanted was known
    uint64_t answers_ = 0;
    int64_t asked_ns_ = INT64_MIN / 2;
    int64_t answered_ns_ = 0;
    std::optional<Error> failure_;
};

}  // namespace flowstone
