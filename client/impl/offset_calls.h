// A group's committed offsets: committing and looking them up, with its coordinator.
//
// Each asking ends by its deadline: with an answer, or with the error it met last. What may be done again is, if that was
// asked for, as soon as the coordinator is known again.
//
// Threads: one, that of its Requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/log.h>

#include "client/impl/coordinator.h"
#include "client/impl/membership.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_fetch.h"

namespace flowstone {

// A request under way keeps it.
class OffsetCalls : public std::enable_shared_from_this<OffsetCalls> {
public:
    OffsetCalls(Requests& requests, std::shared_ptr<Coordinator> coordinator, Clock& clock, std::string group,
                bool stable, int64_t request_ms);

    // Never called within the call that hands them over, and once.
    using Committed = std::function<void(const Result<void>&)>;
    using Fetched = std::function<void(Result<std::vector<GroupOffset>>)>;  // of those that have one

    struct Commit {
        Membership::Identity identity{};  // the default: of no member
        std::optional<std::string> instance{};
        std::vector<GroupOffset> offsets{};
        int64_t deadline_ns = 0;
        bool again = true;  // while that may help
    };
    void commit(Commit commit, Committed done);
    void fetch(std::vector<TopicPartition> places, int64_t deadline_ns, Fetched done);

    void turn();
    int64_t next_deadline_ns() const;
    void close();  // what is left ends as closed

private:
    struct Work {
        const char* operation = "";
        int64_t deadline_ns = 0;
        bool again = true;
        std::function<void(uint64_t id, int32_t node)> send;
        std::function<void(const Error&)> fail;
        bool asking = false;  // the coordinator, or who it is
        int64_t not_before_ns = 0;
        std::optional<Error> met{};
    };

    void find(uint64_t id);
    void met(uint64_t id, kafka::ErrorCode code, std::string_view what);
    void end(uint64_t id, const Error& error);
    void send_commit(uint64_t id, int32_t node, const Commit& commit, const Committed& done);
    void send_fetch(uint64_t id, int32_t node, const std::vector<TopicPartition>& places, const Fetched& done);
    int64_t request_deadline_ns(uint64_t id) const;

    Requests& requests_;
    std::shared_ptr<Coordinator> coordinator_;  // owners: the member and this
    Clock& clock_;
    const std::string group_;
    const bool stable_;
    const int64_t request_ms_;
    std::map<uint64_t, Work> works_;  // by number, as they came
    uint64_t next_ = 0;
    bool closed_ = false;
};

}  // namespace flowstone
