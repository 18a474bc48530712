// What a client of the C header holds, and what belongs to it keeps.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <flowstone/client.h>

#include "client/c/words.h"
#include "storage/lock.h"

namespace flowstone::c {

// The first record that nobody waited for and that failed, of one producer.
class Failure {
public:
    void note(const Error& error) {
        const std::lock_guard guard(lock_);
        if (!first_) { first_ = error; }
    }
    std::optional<Error> take() {
        const std::lock_guard guard(lock_);
        return std::exchange(first_, std::nullopt);
    }

private:
    Lock lock_;
    std::optional<Error> first_;
};

// A client, with what its thread writes to. What belongs to it keeps it, closed or not, until it is freed: handles may so
// be ended in any order.
class OpenClient {
public:
    explicit OpenClient(Client opened) : client(std::move(opened)) {}
    Failure& add_failure() {
        const std::lock_guard guard(lock_);
        return failures_.emplace_back();
    }

private:
    Lock lock_;
    std::deque<Failure> failures_;  // one for each producer there ever was

public:
    Client client;  // last, so that its thread ends first
};

}  // namespace flowstone::c

struct flowstone_client : flowstone::c::Handle<0x46'43'4c'49> {
    explicit flowstone_client(flowstone::Client opened)
        : open(std::make_shared<flowstone::c::OpenClient>(std::move(opened))) {}
    std::shared_ptr<flowstone::c::OpenClient> open;  // owners: this handle, and those of what belongs to it
};
