// What a member of a group does in its application's thread: before a poll gives records, it takes up what its group wants
// of it, and commits what is to be committed by itself.
//
// Nothing here waits: whoever drives it does, between two calls of next(), by ConsumerCore::ticket() and sleep().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include <flowstone/client.h>

#include "client/impl/consumer_core.h"
#include "client/impl/consumer_member.h"
#include "storage/clock.h"
#include "storage/lock.h"

namespace flowstone {

// What an asking of the client's thread came to.
template <class T>
struct Awaited {
    std::atomic<bool> done = false;  // `result` is written before
    Result<T> result{};
};

class GroupConsumer {
public:
    struct Step {
        enum class Kind : uint8_t {
            give,      // records may be given
            wait,      // until something was told
            assigned,  // the listener is to be told of `places`, and next() to be called again
            revoked,
            lost,
            committed,  // `callback` is to be called with `result`, and next()
        };
        Kind kind = Kind::give;
        std::vector<TopicPartition> places{};
        CommitCallback callback{};
        Result<void> result{};
    };

    GroupConsumer(std::shared_ptr<ConsumerCore> core, std::shared_ptr<ConsumerMember> member,
                  const ConsumerOptions& options, Clock& clock, int64_t request_ms);

    void subscribe(std::vector<std::string> topics);
    void subscribe(std::regex expression);
    bool subscribed() const { return subscribed_; }

    // Around each poll.
    void begin_poll();
    void end_poll() { member_->polling(false); }
    // Errors: those that end a membership, each time.
    Result<Step> next();

    // Errors, at once: stale_epoch, for what this member does not read.
    using Commit = std::shared_ptr<Awaited<void>>;
    Result<Commit> commit(std::vector<GroupOffset> offsets, bool again, int64_t deadline_ns);
    Result<void> commit_async(std::vector<GroupOffset> offsets, CommitCallback done);
    std::vector<GroupOffset> positions() const { return core_->positions(); }
    std::shared_ptr<Awaited<std::vector<GroupOffset>>> committed(std::vector<TopicPartition> places,
                                                                 int64_t deadline_ns);

    void leave() { member_->leave(); }  // then next() until left()
    bool left() const { return member_->left(); }
    // When the time for that is over. What it still had.
    std::vector<TopicPartition> abandon();
    void ended();  // it has left

private:
    struct Told {  // by the client's thread
        std::vector<GroupOffset> offsets;
        CommitCallback callback;
        Result<void> result;
    };
    struct Mailbox {
        Lock lock;
        std::deque<Told> told;
    };
    Step take(MemberEvent event);
    void finish_revoking();
    void note_committed(const std::vector<GroupOffset>& offsets);
    std::vector<GroupOffset> uncommitted() const;
    Result<void> check(const std::vector<GroupOffset>& offsets) const;
    void start(OffsetCalls::Commit commit, OffsetCalls::Committed done);

    std::shared_ptr<ConsumerCore> core_;      // owners: the engine, the handle, the member and this
    std::shared_ptr<ConsumerMember> member_;  // owners: the engine and this
    std::shared_ptr<Mailbox> mailbox_;        // owners: this and commits under way
    const ConsumerOptions options_;
    Clock& clock_;
    const int64_t request_ms_;
    bool subscribed_ = false;
    std::set<TopicPartition> owned_;              // as the listener knows it
    std::map<TopicPartition, Offset> committed_;  // as far as we know
    std::optional<MemberEvent> revoking_;         // what is being let go
    bool listener_told_ = false;                  // of that
    Commit last_commit_;                          // before that
    bool auto_committing_ = false;
    int64_t auto_commit_ns_ = 0;  // when it is due
    std::optional<Error> failure_;
};

}  // namespace flowstone
