#include "bench/broker_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include <fmt/format.h>

#include "bench/source.h"
#include "net/kafka/frame.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/produce.h"
#include "storage/batch.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t silence_ns_max = 60 * second_ns;
constexpr int16_t produce_version = 12;  // the last that names topics
constexpr int16_t fetch_version = 12;
constexpr size_t distinct_batches = 16;
constexpr size_t pieces_max = 64;  // of one write

int64_t now_ns() { return system_clock().monotonic_ns(); }

std::unexpected<Error> failed(const char* operation, const char* detail) {
    const Error error{.code = Code::io, .os_errno = errno, .operation = operation};
    return std::unexpected(error.with_detail(detail));
}

}  // namespace

// --- Wire --------------------------------------------------------------------------------------------------------------

struct Wire::Connection {
    ~Connection() {
        if (socket >= 0) { ::close(socket); }
    }
    struct Outgoing {
        kafka::Gather frame;
        std::vector<Bytes> pieces;
    };
    int socket = -1;
    bool blocked = false;  // a write took less than it was given
    bool queued = false;   // among unsent_
    std::deque<Outgoing> out;
    size_t piece = 0;       // of out.front()
    size_t piece_sent = 0;  // bytes
    std::vector<std::byte> in;
    size_t in_bytes = 0;
};

Result<std::unique_ptr<Wire>> Wire::connect(uint16_t port, size_t connections) {
    std::unique_ptr<Wire> wire(new Wire());
    wire->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wire->buffer_.resize(1u << 20);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < connections; ++i) {
        auto connection = std::make_unique<Connection>();
        connection->socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        // Connected while it still blocks: refusal shows here, not in the middle of a load.
        if (::connect(connection->socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            return failed("bench.connect", "no connection to the broker");
        }
        const int on = 1;
        ::setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.u64 = i;
        if (::epoll_ctl(wire->epoll_, EPOLL_CTL_ADD, connection->socket, &event) != 0) {
            return failed("bench.connect", "epoll");
        }
        wire->connections_.push_back(std::move(connection));
    }
    return wire;
}

Wire::~Wire() {
    if (epoll_ >= 0) { ::close(epoll_); }
}

void Wire::send(size_t connection, kafka::Gather frame) {
    Connection& to = *connections_[connection];
    to.out.push_back({std::move(frame), {}});
    to.out.back().pieces = to.out.back().frame.pieces();
    if (!to.queued && !to.blocked) { unsent_.push_back(connection); }
    to.queued = true;
}

Result<void> Wire::flush(size_t index) {
    Connection& to = *connections_[index];
    while (!to.out.empty()) {
        std::array<iovec, pieces_max> pieces;
        size_t count = 0;
        size_t wanted = 0;
        for (size_t frame = 0; frame < to.out.size() && count < pieces_max; ++frame) {
            const auto& of = to.out[frame].pieces;
            for (size_t i = frame == 0 ? to.piece : 0; i < of.size() && count < pieces_max; ++i) {
                const Bytes rest = of[i].subspan(frame == 0 && i == to.piece ? to.piece_sent : 0);
                pieces[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
                wanted += rest.size();
            }
        }
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(to.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) { return failed("bench.send", "the broker closed the connection"); }
        size_t left = sent < 0 ? 0 : static_cast<size_t>(sent);
        to.blocked = left < wanted;
        while (left > 0) {
            const auto& of = to.out.front().pieces;
            const size_t take = std::min(left, of[to.piece].size() - to.piece_sent);
            left -= take;
            to.piece_sent += take;
            if (to.piece_sent < of[to.piece].size()) { break; }
            to.piece_sent = 0;
            if (++to.piece == of.size()) {
                to.piece = 0;
                to.out.pop_front();
            }
        }
        if (to.blocked) { return {}; }  // told when there is room
    }
    to.queued = false;
    return {};
}

Result<void> Wire::receive(size_t index, const OnFrame& on_frame) {
    Connection& from = *connections_[index];
    for (;;) {
        if (from.in.size() - from.in_bytes < buffer_.size()) { from.in.resize(from.in_bytes + buffer_.size()); }
        const size_t room = from.in.size() - from.in_bytes;
        const ssize_t got = ::recv(from.socket, from.in.data() + from.in_bytes, room, MSG_DONTWAIT);
        if (got == 0) { return fail(Code::io, "bench.receive", "the broker closed the connection"); }
        if (got < 0 && errno != EAGAIN) { return failed("bench.receive", "the broker closed the connection"); }
        from.in_bytes += got < 0 ? 0 : static_cast<size_t>(got);
        size_t at = 0;
        while (from.in_bytes - at >= kafka::frame_length_bytes) {
            const auto size = static_cast<size_t>(load_be<int32_t>(from.in.data() + at));
            if (from.in_bytes - at - kafka::frame_length_bytes < size) { break; }
            TRY_VOID(on_frame(index, Bytes(from.in).subspan(at + kafka::frame_length_bytes, size)));
            at += kafka::frame_length_bytes + size;
        }
        if (at > 0) {
            std::memmove(from.in.data(), from.in.data() + at, from.in_bytes - at);
            from.in_bytes -= at;
        }
        if (got < 0 || static_cast<size_t>(got) < room) { return {}; }
    }
}

Result<void> Wire::turn(int64_t until_ns, const OnFrame& on_frame) {
    for (const size_t index : std::exchange(unsent_, {})) { TRY_VOID(flush(index)); }
    std::array<epoll_event, 64> events;
    const int64_t wait_ns = std::clamp<int64_t>(until_ns - now_ns(), 0, second_ns);
    const timespec wait{wait_ns / second_ns, wait_ns % second_ns};
    const int count = ::epoll_pwait2(epoll_, events.data(), events.size(), &wait, nullptr);
    if (count < 0 && errno != EINTR) { return failed("bench.wait", "epoll"); }
    for (int i = 0; i < count; ++i) {
        const size_t index = events[static_cast<size_t>(i)].data.u64;
        const uint32_t what = events[static_cast<size_t>(i)].events;
        if ((what & EPOLLOUT) != 0 && connections_[index]->blocked) {
            connections_[index]->blocked = false;
            TRY_VOID(flush(index));
        }
        if ((what & ~uint32_t{EPOLLOUT}) != 0) { TRY_VOID(receive(index, on_frame)); }
    }
    return {};
}

// --- batches -----------------------------------------------------------------------------------------------------------

BatchShape batch_of(uint32_t record_bytes, uint32_t batch_bytes) {
    constexpr uint32_t record_overhead = 10;  // lengths, deltas, no key: about
    const uint32_t records = (batch_bytes - batch_header_bytes) / (record_bytes + record_overhead);
    return {record_bytes, std::max(records, 1u)};
}

namespace {

std::vector<std::byte> make_batch(const Source& source, const BatchShape& shape, uint64_t first,
                                  std::optional<int64_t> stamp_ns = {}) {
    std::vector<std::byte> space(batch_header_bytes + shape.records * (shape.record_bytes + 64));
    BatchBuilder builder(space, {});
    for (uint32_t i = 0; i < shape.records; ++i) {
        Record record = source.record(first + i);
        std::string stamped;
        if (i == 0 && stamp_ns) {
            stamped = *record.value;
            store_be(reinterpret_cast<std::byte*>(stamped.data()), *stamp_ns);
            record.value = stamped;
        }
        builder.append(record, fixed_time_ms);
    }
    space.resize(builder.close().size());
    return space;
}

// --- producing -------------------------------------------------------------------------------------------------------

class Producer {
public:
    Producer(Wire& wire, const ProduceLoad& load)
        : wire_(wire), load_(load), source_(load.batch.record_bytes), asked_(load.connections) {
        for (size_t i = 0; i < distinct_batches; ++i) {
            batches_.push_back(make_batch(source_, load.batch, i * load.batch.records));
        }
        request_.acks = -1;
        request_.timeout_ms = 60'000;
        auto& topic = request_.topic_data.emplace_back();
        topic.name = load.topic;
        topic.partition_data.emplace_back();
    }

    Result<Outcome> run() {
        Outcome outcome;
        const Pace pace{now_ns(), load_.batches_per_s};
        int64_t heard_ns = pace.began_ns;
        const auto on_frame = [&](size_t connection, Bytes frame) { return on_answer(connection, frame, outcome); };
        while (answered_ < load_.batches) {
            const int64_t now = now_ns();
            const uint64_t answered_before = answered_;
            if (load_.batches_per_s > 0) {
                send_due(pace, now);
                const int64_t last_ns = pace.intended_ns(load_.batches) + load_.late_s_max * second_ns;
                if (now > last_ns) { break; }
            } else {
                fill();
            }
            const bool more = load_.batches_per_s > 0 && sent_ < load_.batches;
            TRY_VOID(wire_.turn(more ? pace.intended_ns(sent_) : now + second_ns, on_frame));
            if (answered_ > answered_before) { heard_ns = now_ns(); }
            if (now_ns() - heard_ns > silence_ns_max) {
                return fail(Code::timed_out, "bench.produce", "no answer for a minute");
            }
        }
        outcome.ns = now_ns() - pace.began_ns;
        count_unanswered(outcome);
        outcome.records = answered_ * load_.batch.records;
        outcome.bytes = outcome.records * load_.batch.record_bytes;
        return outcome;
    }

private:
    void send_due(const Pace& pace, int64_t now) {
        const uint64_t due = std::min(load_.batches, pace.due(now));
        while (sent_ < due) { send(sent_ % load_.connections, pace.intended_ns(sent_)); }
    }
    void fill() {
        for (size_t connection = 0; connection < load_.connections; ++connection) {
            while (sent_ < load_.batches && asked_[connection].size() < load_.in_flight) { send(connection, now_ns()); }
        }
    }

    void send(size_t connection, int64_t intended_ns) {
        Bytes batch = batches_[sent_ % distinct_batches];
        kafka::Gather frame;
        std::vector<std::byte> stamped;
        if (load_.stamped) {
            stamped = make_batch(source_, load_.batch, sent_, intended_ns);
            batch = stamped;
        }
        auto& data = request_.topic_data[0].partition_data[0];
        data.index = static_cast<int32_t>(sent_ % static_cast<uint64_t>(load_.partitions));
        data.records = batch;
        kafka::frame_request({.api_version = produce_version,
                              .correlation_id = static_cast<int32_t>(sent_),
                              .client_id = "broker_bench"},
                             request_, frame);
        if (load_.stamped) {  // that batch is gone when this function returns
            kafka::Gather owned;
            owned.bytes(frame.flat());
            frame = std::move(owned);
        }
        wire_.send(connection, std::move(frame));
        asked_[connection].push_back(intended_ns);
        ++sent_;
    }

    Result<void> on_answer(size_t connection, Bytes frame, Outcome& outcome) {
        TRY(const auto parsed, kafka::parse_response(frame, kafka::ApiKey::produce, produce_version));
        TRY(const auto response, kafka::decode<kafka::ProduceResponse>(parsed.body, produce_version));
        if (asked_[connection].empty() || response.responses.size() != 1 ||
            response.responses[0].partition_responses.size() != 1) {
            return fail(Code::invalid, "bench.produce", "an answer to nothing that was asked");
        }
        const auto& answered = response.responses[0].partition_responses[0];
        if (answered.error_code != kafka::ErrorCode::none) {
            return fail(Code::invalid, "bench.produce",
                        fmt::format("error {}: {}", static_cast<int>(answered.error_code),
                                    answered.error_message.value_or("")));
        }
        outcome.latency_ns.record(static_cast<uint64_t>(now_ns() - asked_[connection].front()));
        outcome.hash = outcome.hash * 31 + static_cast<uint64_t>(answered.base_offset);
        asked_[connection].pop_front();
        ++answered_;
        return {};
    }
    void count_unanswered(Outcome& outcome) {
        const int64_t now = now_ns();
        for (const auto& asked : asked_) {
            for (const int64_t intended : asked) { outcome.latency_ns.record(static_cast<uint64_t>(now - intended)); }
        }
    }

    Wire& wire_;
    ProduceLoad load_;
    Source source_;
    std::vector<std::vector<std::byte>> batches_;
    kafka::ProduceRequest request_;
    std::vector<std::deque<int64_t>> asked_;  // by connection: intended times of what is not answered
    uint64_t sent_ = 0;
    uint64_t answered_ = 0;
};

// --- consuming -------------------------------------------------------------------------------------------------------

class Consumer {
public:
    Consumer(Wire& wire, const ConsumeLoad& load) : wire_(wire), load_(load) {
        request_.max_wait_ms = static_cast<int32_t>(load.wait_ms);
        request_.min_bytes = 1;
        request_.max_bytes = 50 << 20;
        auto& topic = request_.topics.emplace_back();
        topic.topic = load.topic;
        for (int32_t partition = 0; partition < load.partitions; ++partition) {
            topic.partitions.push_back({.partition = partition, .partition_max_bytes = 1 << 20});
        }
    }

    Result<Outcome> run() {
        const int64_t began_ns = now_ns();
        int64_t heard_ns = began_ns;
        const auto on_frame = [&](size_t, Bytes frame) -> Result<void> {
            TRY_VOID(on_answer(frame));
            if (outcome_.records < load_.records) { ask(); }
            return {};
        };
        ask();
        while (outcome_.records < load_.records) {
            const uint64_t before = outcome_.records;
            TRY_VOID(wire_.turn(now_ns() + second_ns, on_frame));
            if (outcome_.records > before) { heard_ns = now_ns(); }
            if (now_ns() - heard_ns > silence_ns_max) {
                return fail(Code::timed_out, "bench.consume", "no records for a minute");
            }
        }
        outcome_.ns = now_ns() - began_ns;
        return std::move(outcome_);
    }

private:
    void ask() {
        kafka::Gather frame;
        kafka::frame_request({.api_version = fetch_version, .correlation_id = 0, .client_id = "broker_bench"}, request_,
                             frame);
        wire_.send(0, std::move(frame));
    }

    Result<void> on_answer(Bytes frame) {
        TRY(const auto parsed, kafka::parse_response(frame, kafka::ApiKey::fetch, fetch_version));
        TRY(const auto response, kafka::decode<kafka::FetchResponse>(parsed.body, fetch_version));
        if (response.error_code != kafka::ErrorCode::none) {
            return fail(Code::invalid, "bench.consume", fmt::format("error {}", static_cast<int>(response.error_code)));
        }
        const int64_t now = now_ns();
        for (const auto& topic : response.responses) {
            for (const auto& data : topic.partitions) {
                if (data.error_code != kafka::ErrorCode::none) {
                    return fail(Code::invalid, "bench.consume",
                                fmt::format("error {}", static_cast<int>(data.error_code)));
                }
                for (const Bytes piece : data.records.pieces) {
                    TRY_VOID(
                        take(piece, request_.topics[0].partitions.at(static_cast<size_t>(data.partition_index)), now));
                }
            }
        }
        return {};
    }

    // Whole batches; the last may be cut off where the answer was full.
    Result<void> take(Bytes batches, kafka::FetchRequest::FetchPartition& asked, int64_t now) {
        while (!batches.empty()) {
            const auto batch = BatchView::parse(batches);
            if (!batch) { return {}; }
            outcome_.records += static_cast<uint64_t>(batch->record_count());
            outcome_.bytes += batch->size();
            outcome_.hash = outcome_.hash * 31 + batch->crc();
            asked.fetch_offset = batch->next_offset().value;
            if (load_.stamped) {
                TRY(auto cursor, RecordCursor::open(*batch, scratch_));
                TRY(const auto record, cursor.next());
                const auto value = record.has_value() ? record->value : std::nullopt;
                if (!value || value->size() < sizeof(int64_t)) {
                    return fail(Code::corrupt, "bench.consume", "no stamp");
                }
                const auto stamp = load_be<int64_t>(reinterpret_cast<const std::byte*>(value->data()));
                outcome_.latency_ns.record(static_cast<uint64_t>(now - stamp));
            }
            batches = batches.subspan(batch->size());
        }
        return {};
    }

    Wire& wire_;
    ConsumeLoad load_;
    kafka::FetchRequest request_;
    std::vector<std::byte> scratch_;
    Outcome outcome_;
};

}  // namespace

Result<Outcome> produce(uint16_t port, const ProduceLoad& load) {
    TRY(const auto wire, Wire::connect(port, load.connections));
    return Producer(*wire, load).run();
}

Result<Outcome> consume(uint16_t port, const ConsumeLoad& load) {
    TRY(const auto wire, Wire::connect(port, 1));
    return Consumer(*wire, load).run();
}

Result<void> ask_each(Wire& wire, size_t connections) {
    constexpr int16_t metadata_version = 9;
    for (size_t connection = 0; connection < connections; ++connection) {
        kafka::Gather frame;
        kafka::frame_request({.api_version = metadata_version, .correlation_id = 0, .client_id = "broker_bench"},
                             kafka::MetadataRequest{}, frame);
        wire.send(connection, std::move(frame));
    }
    size_t answers = 0;
    const auto on_frame = [&](size_t, Bytes) -> Result<void> {
        ++answers;
        return {};
    };
    const int64_t until = now_ns() + silence_ns_max;
    while (answers < connections && now_ns() < until) { TRY_VOID(wire.turn(now_ns() + second_ns, on_frame)); }
    if (answers < connections) { return fail(Code::timed_out, "bench.ask", "no answer for a minute"); }
    return {};
}

}  // namespace flowstone::bench
