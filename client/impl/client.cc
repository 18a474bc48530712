// The public handles: each call is one of the machines', run in the client's thread where it must be.
#include <flowstone/client.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/impl/admin.h"
#include "client/impl/client_loop.h"
#include "client/impl/consumer_core.h"
#include "client/impl/consumer_impl.h"
#include "client/impl/endpoint.h"
#include "client/impl/errors.h"
#include "client/impl/held_log.h"
#include "client/impl/native_producer.h"
#include "client/impl/producer_core.h"
#include "client/impl/shared_near.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr std::chrono::milliseconds missing_topic_patience{2'000};
constexpr size_t group_bytes_max = 32'767;  // what every version of the protocol can say
constexpr std::chrono::milliseconds consumer_time_max = std::chrono::hours(24);

int64_t ns_of(std::chrono::milliseconds time) {
    return std::clamp<int64_t>(time.count(), 0, INT64_MAX / 4'000'000) * 1'000'000;
}

Result<void> check(const ProducerOptions& options) {
    const auto invalid = [](std::string_view why) { return fail(Code::invalid, "client.producer", why); };
    if (options.idempotent && options.acks != Acks::all) { return invalid("idempotent needs acks of all"); }
    if (options.batch_bytes_max < 128 || options.batch_bytes_max > 64u << 20) {
        return invalid("batch_bytes_max is not between 128 bytes and 64 MiB");
    }
    if (options.buffer_bytes_max < options.batch_bytes_max) {
        return invalid("buffer_bytes_max is below batch_bytes_max");
    }
    if (options.linger.count() < 0 || options.delivery_timeout.count() <= 0) { return invalid("a time is negative"); }
    return {};
}

Result<void> check(const ConsumerOptions& options) {
    const auto invalid = [](std::string_view why) { return fail(Code::invalid, "client.consumer", why); };
    if (options.group.size() > group_bytes_max || options.instance.size() > group_bytes_max) {
        return invalid("the group's or the instance's name is too long");
    }
    if (options.group.empty() && !options.instance.empty()) { return invalid("an instance needs a group"); }
    if (options.assignors.empty()) { return invalid("there is no assignor"); }
    if (options.heartbeat_interval.count() <= 0 || options.heartbeat_interval * 3 > options.session_timeout) {
        return invalid("heartbeat_interval is not between 1 ms and a third of session_timeout");
    }
    if (options.max_poll_interval.count() <= 0 || options.topics_refresh.count() <= 0) {
        return invalid("max_poll_interval or topics_refresh is not above 0");
    }
    if (options.auto_commit.count() < 0) { return invalid("auto_commit is below 0"); }
    for (const auto time : {options.session_timeout, options.max_poll_interval, options.topics_refresh}) {
        if (time > consumer_time_max) { return invalid("a time is more than a day"); }
    }
    return {};
}

}  // namespace

// --- client ------------------------------------------------------------------------------------------------------------

Client::Client(std::unique_ptr<HeldLog> held, std::unique_ptr<ClientLoop> loop, std::string shared)
    : held_(std::move(held)), loop_(std::move(loop)), shared_(std::move(shared)) {}
Client::Client(Client&&) noexcept = default;
// What was open here ends with the value that is moved from, from the top down.
Client& Client::operator=(Client&& other) noexcept {
    std::swap(held_, other.held_);
    std::swap(loop_, other.loop_);
    std::swap(shared_, other.shared_);
    return *this;
}
Client::~Client() {
    if (loop_ != nullptr && !loop_->owned_here()) { (void)loop_.release(); }
}

Result<Client> Client::open(std::string_view endpoint, const ClientOptions& options) {
    TRY(auto opened, open_endpoint(endpoint, options));
    TRY(auto loop, ClientLoop::start(std::move(opened.brokers), options));
    return Client(std::move(opened.held), std::move(loop), std::move(opened.shared));
}

Log* Client::log() { return held_ == nullptr ? nullptr : &held_->log(); }

Result<Producer> Client::producer(ProducerOptions options) {
    TRY_VOID(check(options));
    std::shared_ptr<ProducerCore> core;
    if (!loop_->run([&](ClientEngine& engine) { core = engine.add_producer(options); })) {
        return fail(Code::closed, "client.producer", "the client is closed");
    }
    NativeProducer* native = nullptr;
    if (held_ != nullptr && NativeProducer::suits(options)) { native = &held_->add_producer(options); }
    return Producer(std::move(core), loop_.get(), native);
}

Result<Consumer> Client::consumer(ConsumerOptions options) {
    TRY_VOID(check(options));
    std::shared_ptr<ConsumerCore> core;
    std::shared_ptr<ConsumerMember> member;
    int64_t request_ms = 0;
    // Which records were committed in the end only a broker says.
    std::unique_ptr<NearLog> near;
    if (!options.read_committed && held_ != nullptr) { near = held_->near(); }
    if (!options.read_committed && !shared_.empty()) { near = std::make_unique<SharedNear>(shared_, system_clock()); }
    const bool ran = loop_->run([&](ClientEngine& engine) {
        core = engine.add_consumer(options, std::move(near));
        if (!options.group.empty()) { member = engine.add_member(core, options); }
        request_ms = engine.request_ms();
    });
    if (!ran) { return fail(Code::closed, "client.consumer", "the client is closed"); }
    return Consumer(
        std::make_unique<Consumer::Impl>(std::move(core), std::move(member), loop_.get(), options, request_ms));
}

namespace {

class LoopDoor final : public AdminDoor {
public:
    explicit LoopDoor(ClientLoop& loop) : loop_(loop) {}
    int64_t now_ns() override { return system_clock().monotonic_ns(); }
    bool carry_out(const std::function<std::shared_ptr<BrokerCall>(ClientEngine&)>& begin) override {
        std::shared_ptr<BrokerCall> call;
        const bool begun = loop_.run([&](ClientEngine& engine) {
            call = begin(engine);
            engine.add(call);
        });
        // Its own deadline ends it.
        return begun && loop_.run_until([&](ClientEngine&) { return call->done(); }, -1);
    }

private:
    ClientLoop& loop_;
};

}  // namespace

Admin Client::admin() { return Admin(std::make_shared<LoopDoor>(*loop_)); }

Result<void> Client::close(std::chrono::milliseconds timeout) {
    if (!loop_->owned_here()) { return fail(Code::closed, "client.close", "the client belongs to the parent process"); }
    const int64_t until = system_clock().monotonic_ns() + ns_of(timeout);
    const bool delivered = loop_->close(ns_of(timeout));
    if (held_ != nullptr) { TRY_VOID(held_->close(std::max<int64_t>(0, until - system_clock().monotonic_ns()))); }
    if (delivered) { return {}; }
    return fail(Code::timed_out, "client.close", "records are not acknowledged");
}

// --- producer ----------------------------------------------------------------------------------------------------------

Result<ProducerTopic> Producer::topic(std::string_view name, std::chrono::milliseconds timeout) {
    ProducerTopicQueue& queue = core_->queue(name);
    std::optional<Error> error;
    // Some brokers make a topic that is asked for, and say so only later.
    const int64_t missing_after = system_clock().monotonic_ns() + ns_of(missing_topic_patience);
    const bool known = loop_->run_until(
        [&](ClientEngine& engine) {
            engine.cluster().want(name, true);
            error.reset();
            if (const TopicView* const view = engine.cluster().topic(name); view != nullptr) {
                if (view->error != kafka::ErrorCode::none) { error = error_of(view->error, "producer.topic", name); }
            } else if (engine.cluster().failure()) {
                error = engine.cluster().failure()->with_fate(Fate::none);
            }
            const bool missing =
                error && error->code == Code::not_found && system_clock().monotonic_ns() >= missing_after;
            return queue.partition_count > 0 || missing || (error && error->code == Code::invalid);
        },
        ns_of(timeout));
    if (known && !error) {
        NativeTopic* native = nullptr;
        if (native_ != nullptr) { TRY(native, native_->topic(name)); }
        return ProducerTopic(core_, &queue, native);
    }
    if (error) { return std::unexpected(*error); }
    return fail(Code::timed_out, "producer.topic", fmt::format("no broker tells of {}", name));
}

Result<void> Producer::flush(std::chrono::milliseconds timeout) {
    if (native_ != nullptr) {
        if (native_->flush(ns_of(timeout))) { return {}; }
        return fail(Code::timed_out, "producer.flush", "records are not acknowledged");
    }
    const uint64_t mark = core_->flush_begin();
    if (core_->wait_flushed(mark, ns_of(timeout))) { return {}; }
    return fail(Code::timed_out, "producer.flush", "records are not acknowledged");
}

Result<Delivery> ProducerTopic::send(const Record& record, std::optional<int32_t> partition) {
    if (native_ != nullptr) {
        TRY(const Position at, native_->send(record, partition));
        return Delivery(native_, at);
    }
    TRY(auto sent, core_->send_waiting(*queue_, record, partition, {}));
    return Delivery(std::move(sent.batch), sent.index);
}

Result<void> ProducerTopic::send(const Record& record, DeliveryCallback done, std::optional<int32_t> partition) {
    if (native_ != nullptr) { return native_->send(record, std::move(done), partition); }
    TRY_VOID(core_->send_waiting(*queue_, record, partition, std::move(done)));
    return {};
}

int32_t ProducerTopic::partitions() const {
    return native_ != nullptr ? native_->partitions() : queue_->partition_count.load();
}
const std::string& ProducerTopic::name() const { return queue_->name; }

Result<Position> Delivery::wait(std::chrono::milliseconds timeout) const {
    return native_ != nullptr ? native_->wait_for(at_, timeout) : batch_->wait(index_, ns_of(timeout));
}
bool Delivery::done() const { return native_ != nullptr ? native_->done(at_) : batch_->done(); }

// --- consumer ----------------------------------------------------------------------------------------------------------

const std::string& ConsumedBatch::topic() const { return batch_->place.topic; }
int32_t ConsumedBatch::partition() const { return batch_->place.partition; }
Offset ConsumedBatch::next_offset() const { return batch_->batch->next_offset(); }
std::span<const std::byte> ConsumedBatch::bytes() const { return batch_->batch->bytes(); }

void ConsumedBatch::Iterator::advance() {
    while (batch_ != nullptr) {
        if (!batch_->cursor) {
            auto cursor = RecordCursor::open(*batch_->batch, batch_->scratch);
            if (!cursor) {
                batch_->error = cursor.error();
                batch_ = nullptr;
                return;
            }
            batch_->cursor = std::move(*cursor);
        }
        auto record = batch_->cursor->next();
        if (!record) { batch_->error = record.error(); }  // for the next poll
        if (!record || !*record) {
            batch_ = nullptr;
            return;
        }
        record_ = **record;
        if (record_.offset >= batch_->from) { return; }
    }
}

}  // namespace flowstone
