// The consumer's handle.
#include <flowstone/client.h>

#include <algorithm>
#include <regex>
#include <utility>

#include <fmt/format.h>

#include "client/impl/client_loop.h"
#include "client/impl/consumer_core.h"
#include "client/impl/consumer_impl.h"
#include "client/impl/errors.h"
#include "client/impl/group_consumer.h"
#include "net/kafka/messages/list_offsets.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t topic_bytes_max = 249;  // of a name, as Kafka has it

int64_t ns_of(std::chrono::milliseconds time) {
    return std::clamp<int64_t>(time.count(), 0, INT64_MAX / 4'000'000) * 1'000'000;
}
constexpr int64_t retry_ns = 100'000'000;

std::string text_of(const TopicPartition& place) { return fmt::format("{}-{}", place.topic, place.partition); }
int64_t now_ns() { return system_clock().monotonic_ns(); }
int64_t until_ns(std::chrono::milliseconds timeout) { return now_ns() + ns_of(timeout); }

Error invalid(const char* operation, std::string_view why) { return fail(Code::invalid, operation, why).error(); }
Error no_group(const char* operation) { return invalid(operation, "the consumer has no group"); }

// The first record at or after a time. Asks the leader until it has answered.
Result<std::optional<Offset>> offset_for_time(ClientLoop& loop, const TopicPartition& place, int64_t time_ms,
                                              int64_t until) {
    using Response = kafka::ListOffsetsResponse;
    struct Asking {
        bool under_way = false;
        int64_t not_before_ns = 0;
        std::optional<Error> error;
        std::optional<int64_t> offset;
    };
    const auto asking = std::make_shared<Asking>();  // owners: we and the request under way
    const auto on_answer = [place](Asking& state, const Result<Answered<Response>>& answer) {
        state.under_way = false;
        state.not_before_ns = now_ns() + retry_ns;
        if (!answer) {
            state.error = answer.error();
            return;
        }
        for (const auto& topic : answer->response.topics) {
            for (const auto& one : topic.partitions) {
                state.error.reset();
                if (one.error_code == kafka::ErrorCode::none) {
                    state.offset = one.offset;
                } else {
                    state.error = error_of(one.error_code, "consumer.offsets_for_times", text_of(place));
                }
            }
        }
    };
    const auto poll = [&](ClientEngine& engine) {
        if (asking->offset) { return true; }
        if (asking->under_way || now_ns() < asking->not_before_ns) { return false; }
        if (asking->error) {
            if (advice(*asking->error) != Advice::retry) { return true; }
            engine.cluster().suspect();
        }
        engine.cluster().want(place.topic);
        const TopicView* const topic = engine.cluster().topic(place.topic);
        if (topic != nullptr && !topic->partitions.empty() &&
            static_cast<size_t>(place.partition) >= topic->partitions.size()) {
            asking->error = fail(Code::not_found, "consumer.offsets_for_times", text_of(place)).error();
            return true;
        }
        const PartitionView* const view = engine.cluster().partition(place.topic, place.partition);
        if (view == nullptr || view->leader < 0) { return false; }
        asking->under_way = true;
        kafka::ListOffsetsRequest request;
        request.replica_id = -1;
        request.topics = {
            {.name = place.topic, .partitions = {{.partition_index = place.partition, .timestamp = time_ms}}}};
        engine.requests().ask<Response>(
            view->leader, std::move(request), until,
            [asking, on_answer](const Result<Answered<Response>>& answer) { on_answer(*asking, answer); });
        return false;
    };
    loop.run_until(poll, std::max<int64_t>(0, until - now_ns()));
    std::optional<int64_t> offset;
    std::optional<Error> error;
    const bool open = loop.run([&](ClientEngine&) {
        offset = asking->offset;
        error = asking->error;
    });
    if (!open) { return fail(Code::closed, "consumer.offsets_for_times", "the client is closed"); }
    if (offset) { return *offset < 0 ? std::nullopt : std::optional(Offset{*offset}); }
    if (error) { return std::unexpected(*error); }
    return fail(Code::timed_out, "consumer.offsets_for_times", text_of(place));
}

}  // namespace

Consumer::Impl::Impl(std::shared_ptr<ConsumerCore> its_core, std::shared_ptr<ConsumerMember> member,
                     ClientLoop* its_loop, const ConsumerOptions& options, int64_t request_ms)
    : core(std::move(its_core)), loop(its_loop), auto_commit(options.auto_commit.count() > 0) {
    if (member != nullptr) { group.emplace(core, std::move(member), options, system_clock(), request_ms); }
}

Consumer::Impl::~Impl() { remove(); }

void Consumer::Impl::remove() {
    if (removed) { return; }
    removed = true;
    loop->run([&](ClientEngine& engine) { engine.remove(*core); });
}

Result<Consumer::Impl::Turn> Consumer::Impl::take_up(Consumer& self) {
    using Kind = GroupConsumer::Step::Kind;
    if (!group) { return Turn::give; }
    for (;;) {
        TRY(const GroupConsumer::Step step, group->next());
        calling = true;
        switch (step.kind) {
            case Kind::give: calling = false; return Turn::give;
            case Kind::wait: calling = false; return Turn::wait;
            case Kind::assigned:
                if (listener.assigned) { listener.assigned(self, step.places); }
                break;
            case Kind::revoked:
                if (listener.revoked) { listener.revoked(self, step.places); }
                break;
            case Kind::lost:
                if (listener.lost) { listener.lost(self, step.places); }
                break;
            case Kind::committed:
                if (step.callback) { step.callback(step.result); }
                break;
        }
        calling = false;
        if (listener.ends_poll && step.kind != Kind::committed) { return Turn::told; }
    }
}

Result<void> Consumer::Impl::open(const char* operation) const {
    if (removed) { return fail(Code::closed, operation, "the consumer is closed"); }
    if (!loop->owned_here()) { return fail(Code::closed, operation, "the client belongs to the parent process"); }
    return {};
}

Result<void> Consumer::Impl::may_call(const char* operation) const {
    TRY_VOID(open(operation));
    if (calling) { return std::unexpected(invalid(operation, "it is called by a listener or callback of its own")); }
    return {};
}

Result<void> Consumer::Impl::leave(Consumer& self, int64_t until) {
    group->leave();
    listener.ends_poll = false;  // nobody polls
    for (;;) {
        const ConsumerCore::Ticket ticket = core->ticket();
        if (group->left()) { break; }
        // What ended the membership was poll's to tell.
        static_cast<void>(take_up(self));
        if (group->left()) { break; }
        const int64_t left = until - now_ns();
        if (left <= 0) {
            const auto had = group->abandon();
            if (!had.empty() && listener.lost) { listener.lost(self, had); }
            return fail(Code::timed_out, "consumer.unsubscribe", "the group was left without a word");
        }
        core->sleep(ticket, left);
    }
    group->ended();
    return {};
}

template <class T>
Result<T> Consumer::Impl::wait_for(const Awaited<T>& outcome, int64_t until, const char* operation) const {
    for (;;) {
        const ConsumerCore::Ticket ticket = core->ticket();
        if (outcome.done.load(std::memory_order_acquire)) { return outcome.result; }
        const int64_t left = until - now_ns();
        if (left <= 0) { return fail(Code::timed_out, operation, "the coordinator does not answer"); }
        core->sleep(ticket, left);
    }
}

Consumer::Consumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&&) noexcept = default;
Consumer::~Consumer() = default;

Result<void> Consumer::assign(const std::vector<TopicPartition>& partitions, From from) {
    if (impl_->group && impl_->group->subscribed()) {
        return std::unexpected(invalid("consumer.assign", "it is subscribed: its group assigns"));
    }
    impl_->core->assign(partitions, from);
    return {};
}
Result<void> Consumer::seek(const TopicPartition& partition, From from) { return impl_->core->seek(partition, from); }
void Consumer::pause(const TopicPartition& partition) { impl_->core->pause(partition, true); }
void Consumer::resume(const TopicPartition& partition) { impl_->core->pause(partition, false); }

Result<ConsumedBatch> Consumer::poll(Timeout timeout) {
    TRY_VOID(impl_->may_call("consumer.poll"));
    const int64_t until = until_ns(timeout);
    if (auto error = std::exchange(impl_->batch.error, std::nullopt)) { return std::unexpected(*error); }
    if (impl_->group) { impl_->group->begin_poll(); }
    auto batch = next(until);
    if (impl_->group) { impl_->group->end_poll(); }
    return batch;
}

// A ticket is for who is about to sleep: appending takes pains for sleepers, which one who reads on without a pause is not.
Result<ConsumedBatch> Consumer::next(int64_t until) {
    std::optional<ConsumerCore::Ticket> ticket;
    for (;;) {
        TRY(const auto turn, impl_->take_up(*this));
        FetchedBatch* batch = nullptr;
        if (turn == Impl::Turn::give) { TRY(batch, impl_->core->take(impl_->batch)); }
        const int64_t left = until - now_ns();
        if (batch != nullptr || turn == Impl::Turn::told || left <= 0) { return ConsumedBatch(batch); }
        if (ticket) {
            impl_->core->sleep(*ticket, left);
            ticket.reset();
        } else {
            ticket = impl_->core->ticket();
        }
    }
}

std::optional<Offset> Consumer::position(const TopicPartition& partition) const {
    return impl_->core->position(partition);
}
std::optional<int64_t> Consumer::lag(const TopicPartition& partition) const { return impl_->core->lag(partition); }

Result<std::vector<std::optional<Offset>>> Consumer::offsets_for_times(
    const std::vector<std::pair<TopicPartition, int64_t>>& times, Timeout timeout) {
    std::vector<std::optional<Offset>> out;
    const int64_t until = until_ns(timeout);
    for (const auto& [place, time_ms] : times) {
        TRY(const auto offset, offset_for_time(*impl_->loop, place, std::max<int64_t>(time_ms, 0), until));
        out.push_back(offset);
    }
    return out;
}

// --- groups ------------------------------------------------------------------------------------------------------------

Result<void> Consumer::subscribe(std::vector<std::string> topics, RebalanceListener listener) {
    TRY_VOID(may_subscribe());
    if (topics.empty()) { return std::unexpected(invalid("consumer.subscribe", "there are no topics")); }
    for (const std::string& topic : topics) {
        if (!topic.empty() && topic.size() <= topic_bytes_max) { continue; }
        return std::unexpected(invalid("consumer.subscribe", "the name of a topic is empty or too long"));
    }
    std::ranges::sort(topics);
    topics.erase(std::ranges::unique(topics).begin(), topics.end());
    impl_->listener = std::move(listener);
    impl_->group->subscribe(std::move(topics));
    return {};
}

Result<void> Consumer::subscribe_matching(std::string_view expression, RebalanceListener listener) {
    TRY_VOID(may_subscribe());
    std::optional<std::regex> parsed;
    try {
        parsed.emplace(std::string(expression), std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error& error) {
        return std::unexpected(invalid("consumer.subscribe", fmt::format("\"{}\": {}", expression, error.what())));
    }
    impl_->listener = std::move(listener);
    impl_->group->subscribe(std::move(*parsed));
    return {};
}

Result<void> Consumer::may_subscribe() const {
    TRY_VOID(impl_->open("consumer.subscribe"));
    if (!impl_->group) { return std::unexpected(no_group("consumer.subscribe")); }
    if (!impl_->group->subscribed() && !impl_->core->places().empty()) {
        return std::unexpected(invalid("consumer.subscribe", "partitions are assigned to it"));
    }
    return {};
}

Result<void> Consumer::unsubscribe(Timeout timeout) {
    TRY_VOID(impl_->may_call("consumer.unsubscribe"));
    if (!impl_->group || !impl_->group->subscribed()) { return {}; }
    return impl_->leave(*this, until_ns(timeout));
}

std::vector<TopicPartition> Consumer::assignment() const { return impl_->core->places(); }

Result<void> Consumer::commit(Timeout timeout) { return commit(impl_->core->positions(), timeout); }

Result<void> Consumer::commit(const std::vector<GroupOffset>& offsets, Timeout timeout) {
    TRY_VOID(impl_->open("consumer.commit"));
    if (!impl_->group) { return std::unexpected(no_group("consumer.commit")); }
    const int64_t until = until_ns(timeout);
    TRY(const auto outcome, impl_->group->commit(offsets, true, until));
    return impl_->wait_for(*outcome, until, "consumer.commit");
}

void Consumer::commit_async(CommitCallback done) { commit_async(impl_->core->positions(), std::move(done)); }

void Consumer::commit_async(const std::vector<GroupOffset>& offsets, CommitCallback done) {
    const auto open = impl_->open("consumer.commit_async");
    if (open && impl_->group) {
        static_cast<void>(impl_->group->commit_async(offsets, std::move(done)));
    } else if (done) {
        done(open ? std::unexpected(no_group("consumer.commit_async")) : open);
    }
}

Result<std::vector<std::optional<GroupOffset>>> Consumer::committed(const std::vector<TopicPartition>& places,
                                                                    Timeout timeout) {
    TRY_VOID(impl_->open("consumer.committed"));
    if (!impl_->group) { return std::unexpected(no_group("consumer.committed")); }
    const int64_t until = until_ns(timeout);
    std::vector<std::optional<GroupOffset>> out(places.size());
    if (places.empty()) { return out; }
    const auto outcome = impl_->group->committed(places, until);
    TRY(const auto found, impl_->wait_for(*outcome, until, "consumer.committed"));
    for (size_t i = 0; i < places.size(); ++i) {
        for (const GroupOffset& one : found) {
            if (one.topic == places[i].topic && one.partition == places[i].partition) { out[i] = one; }
        }
    }
    return out;
}

Result<void> Consumer::close(Timeout timeout) {
    if (impl_->removed) { return {}; }
    TRY_VOID(impl_->may_call("consumer.close"));
    const int64_t until = until_ns(timeout);
    Result<void> left;
    if (impl_->group && impl_->group->subscribed()) {
        left = impl_->leave(*this, until);  // which commits, if that is automatic
    } else if (impl_->group && impl_->auto_commit) {
        left = commit(timeout);
    }
    impl_->remove();
    // Commits that nobody waits for any more.
    if (impl_->group) { static_cast<void>(impl_->take_up(*this)); }
    return left;
}

}  // namespace flowstone
