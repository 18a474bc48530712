// What a consumer's handle holds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <flowstone/client.h>

#include "client/impl/client_loop.h"
#include "client/impl/consumer_core.h"
#include "client/impl/group_consumer.h"

namespace flowstone {

struct [[gnu::visibility("hidden")]] Consumer::Impl {
    // `member`: null without a group.
    Impl(std::shared_ptr<ConsumerCore> its_core, std::shared_ptr<ConsumerMember> member, ClientLoop* its_loop,
         const ConsumerOptions& options, int64_t request_ms);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void remove();  // from the client: nothing is fetched any more
    enum class Turn : uint8_t {
        give,  // records may be given
        wait,  // something is to be waited for
        told,  // the listener was called, and that ends a poll
    };
    // Takes up what the group wants, calling the listener.
    Result<Turn> take_up(Consumer& self);
    Result<void> open(const char* operation) const;
    Result<void> may_call(const char* operation) const;    // by the application, not by a listener of its own
    Result<void> leave(Consumer& self, int64_t until_ns);  // of one that is subscribed
    template <class T>
    Result<T> wait_for(const Awaited<T>& outcome, int64_t until_ns, const char* operation) const;

    std::shared_ptr<ConsumerCore> core;  // owners: the client, and this handle
    ClientLoop* loop;
    const bool auto_commit;
    FetchedBatch batch;
    std::optional<GroupConsumer> group;
    RebalanceListener listener;
    bool calling = false;  // of the listener, or a callback
    bool removed = false;
};

}  // namespace flowstone
