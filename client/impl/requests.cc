#include "client/impl/requests.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include <flowstone/version.h>

#include "storage/check.h"
#include "storage/limits.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr size_t read_buffer_bytes = 64u << 10;
constexpr size_t written_at_once_max = 1u << 20;

std::unexpected<Error> not_sent(const Error& why) { return std::unexpected(why.with_fate(Fate::not_appended)); }

}  // namespace

Requests::Requests(Network& network, Clock& clock, Random& random, Options options)
    : network_(network),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      read_buffer_(read_buffer_bytes) {}

Requests::~Requests() {
    for (const auto& [connection, node] : by_connection_) { network_.close(connection); }
}

void Requests::begin_at(int32_t node, const HostPort& address) {
    CHECK(node < 0);
    learn(node, address);
}

bool Requests::know(int32_t node, const HostPort& address) {
    if (node < 0) { return false; }
    if (!is_path(address)) {
        learn(node, address);
        return true;
    }
    const auto given = nodes_.find({-1, 0});
    if (given == nodes_.end() || !is_path(given->second.address)) { return false; }
    learn(node, HostPort(given->second.address));
    return true;
}

void Requests::learn(int32_t id, const HostPort& address) {
    nodes_.try_emplace({id, 0});
    for (auto at = nodes_.find({id, 0}); at != nodes_.end() && at->first.first == id; ++at) {
        Node& known = at->second;
        if (known.address == address) { continue; }
        if (known.connection) { lose(known, fail(Code::io, "client.request", "the broker moved").error()); }
        known.address = address;
        known.attempts = 0;
        known.not_before_ns = 0;
    }
}

void Requests::hang_up(int32_t node) {
    if (const auto found = nodes_.find({node, 0}); found != nodes_.end()) { hang_up(found->second); }
}

void Requests::hang_up_lane(int32_t lane) {
    for (auto& [id, node] : nodes_) {
        if (id.second == lane) { hang_up(node); }
    }
}

void Requests::hang_up(Node& node) {
    const Error why = fail(Code::closed, "client.request", "it is no longer wanted").error();
    for (Asked& asked : node.waiting) { finish(asked, not_sent(why)); }
    node.waiting.clear();
    lose(node, why);
    node.attempts = 0;
    node.not_before_ns = 0;
}

bool Requests::failing(int32_t node) const {
    const auto found = nodes_.find({node, 0});
    return found != nodes_.end() && found->second.attempts > 0;
}

void Requests::ask_erased(int32_t node, int32_t lane, Asked asked) {
    const auto known = nodes_.find({node, 0});
    if (closed_) { return finish(asked, not_sent(fail(Code::closed, "client.request").error())); }
    if (known == nodes_.end()) {
        const auto text = fmt::format("broker {} is not known", node);
        return finish(asked, not_sent(fail(Code::not_found, "client.request", text).error()));
    }
    Node& on = nodes_[{node, lane}];
    on.address = known->second.address;
    on.waiting.push_back(std::move(asked));
    if (on.knows_versions) { send_waiting(on); }
}

void Requests::finish(Asked& asked, Result<AnswerBytes> answer) {
    finished_.emplace_back(std::move(asked.done), std::move(answer));
}

std::optional<int16_t> Requests::version_for(const Node& node, kafka::ApiKey key, int16_t version_max) {
    const kafka::Api* const api = kafka::find_api(key);
    const auto theirs =
        std::ranges::find(node.versions, static_cast<int16_t>(key), &kafka::ApiVersionsResponse::ApiVersion::api_key);
    if (api == nullptr || theirs == node.versions.end()) { return {}; }
    const int16_t version = std::min({api->versions.max, theirs->max_version, version_max});
    if (version < std::max(api->versions.min, theirs->min_version)) { return {}; }
    return version;
}

// --- connections -------------------------------------------------------------------------------------------------------

void Requests::connect(Node& node) {
    const int64_t now = clock_.monotonic_ns();
    node.connected_by_ns = now + options_.connect_ms_max * ms_ns;
    const auto connection = network_.connect(node.address, node.attempts);
    if (!connection) { return lose(node, connection.error()); }
    node.connection = *connection;
    by_connection_[*connection] = &node;
    ask_versions(node, kafka::find_api(kafka::ApiKey::api_versions)->versions.max);
}

void Requests::ask_versions(Node& node, int16_t version) {
    kafka::ApiVersionsRequest request;
    request.client_software_name = "flowstone";
    request.client_software_version = FLOWSTONE_VERSION;
    Node* const asked = &node;
    const ConnectionId on = *node.connection;
    send_one(node,
             {.key = kafka::ApiKey::api_versions,
              .deadline_ns = node.connected_by_ns,
              .frame = framing(std::move(request)),
              .done =
                  [this, asked, on](const Result<AnswerBytes>& answer) {
                      if (answer && asked->connection == on) { on_versions(*asked, *answer); }
                  }},
             version);
}

void Requests::on_versions(Node& node, const AnswerBytes& answer) {
    // Who knows no such version answers in version 0 (KIP-511).
    auto response = kafka::decode<kafka::ApiVersionsResponse>(answer.body, answer.version);
    if (!response) { response = kafka::decode<kafka::ApiVersionsResponse>(answer.body, 0); }
    if (!response) { return lose(node, response.error()); }
    if (response->error_code == kafka::ErrorCode::unsupported_version && answer.version > 0) {
        return ask_versions(node, 0);
    }
    if (response->error_code != kafka::ErrorCode::none) {
        return lose(node, fail(Code::unsupported, "client.connect",
                               fmt::format("{}: {}", node.address.to_string(), kafka::name(response->error_code)))
                              .error());
    }
    node.versions = std::move(response->api_keys);
    node.knows_versions = true;
    node.attempts = 0;
    node.failure.reset();
    send_waiting(node);
}

void Requests::send_waiting(Node& node) {
    while (!node.waiting.empty() && node.connection) {
        Asked asked = std::move(node.waiting.front());
        node.waiting.pop_front();
        const auto version = version_for(node, asked.key, asked.version_max);
        if (!version) {
            const auto text = fmt::format("{} does not serve {}", node.address.to_string(), kafka::name(asked.key));
            finish(asked, not_sent(fail(Code::unsupported, "client.request", text).error()));
            continue;
        }
        send_one(node, std::move(asked), *version);
    }
    if (node.connection) { write(node); }
}

void Requests::send_one(Node& node, Asked asked, int16_t version) {
    const int32_t correlation_id = next_correlation_id_++;
    if (next_correlation_id_ < 0) { next_correlation_id_ = 1; }
    kafka::Gather out;
    asked.frame({.api_version = version, .correlation_id = correlation_id, .client_id = options_.client_id}, out);
    node.output.add(std::move(out));
    if (!asked.answered) { return finish(asked, AnswerBytes()); }
    node.in_flight.push_back({correlation_id, version, std::move(asked)});
}

void Requests::write(Node& node) {
    while (node.writable && node.connection && !node.output.empty()) {
        const auto written = node.output.write(network_, *node.connection, written_at_once_max);
        if (!written) { return lose(node, written.error()); }
        if (written->full) { node.writable = false; }
    }
}

void Requests::read(Node& node) {
    while (node.connection) {
        const size_t missing = node.frame_size - node.frame_bytes;
        const bool direct = node.frame != nullptr && missing >= read_buffer_.size();
        const MutableBytes into =
            direct ? MutableBytes(node.frame.get() + node.frame_bytes, missing) : MutableBytes(read_buffer_);
        const auto got = network_.read(*node.connection, into);
        if (!got) { return lose(node, got.error()); }
        if (got->end) {
            return lose(node, fail(Code::io, "client.request",
                                   fmt::format("{} closed the connection", node.address.to_string()))
                                  .error());
        }
        if (direct) {
            node.frame_bytes += got->bytes;
            if (node.frame_bytes == node.frame_size) { on_frame(node); }
        } else {
            take(node, Bytes(read_buffer_.data(), got->bytes));
        }
        if (got->bytes < into.size()) { return; }
    }
}

void Requests::take(Node& node, Bytes bytes) {
    while (!bytes.empty() && node.connection) {
        if (node.frame == nullptr) {
            const size_t part = std::min(bytes.size(), node.length.size() - node.length_bytes);
            std::memcpy(node.length.data() + node.length_bytes, bytes.data(), part);
            node.length_bytes += part;
            bytes = bytes.subspan(part);
            if (node.length_bytes < node.length.size()) { return; }
            const auto length = load_be<int32_t>(node.length.data());
            if (length <= 0 || static_cast<size_t>(length) > frame_bytes_max) {
                return lose(node,
                            fail(Code::corrupt, "client.request",
                                 fmt::format("{} answers with a frame of {} bytes", node.address.to_string(), length))
                                .error());
            }
            node.frame_size = static_cast<size_t>(length);
            node.frame_bytes = 0;
            node.frame = std::make_shared_for_overwrite<std::byte[]>(node.frame_size);
        }
        const size_t part = std::min(bytes.size(), node.frame_size - node.frame_bytes);
        std::memcpy(node.frame.get() + node.frame_bytes, bytes.data(), part);
        node.frame_bytes += part;
        bytes = bytes.subspan(part);
        if (node.frame_bytes == node.frame_size) { on_frame(node); }
    }
}

void Requests::on_frame(Node& node) {
    const Bytes frame(node.frame.get(), node.frame_size);
    const std::shared_ptr<std::byte[]> kept = std::exchange(node.frame, nullptr);
    node.length_bytes = 0;
    if (node.in_flight.empty()) {
        return lose(node, fail(Code::corrupt, "client.request",
                               fmt::format("{} answers what was not asked", node.address.to_string()))
                              .error());
    }
    InFlight& first = node.in_flight.front();
    const auto response = kafka::parse_response(frame, first.asked.key, first.version);
    if (!response || response->correlation_id != first.correlation_id) {
        return lose(
            node, fail(Code::corrupt, "client.request", fmt::format("{} answers out of turn", node.address.to_string()))
                      .error());
    }
    finish(first.asked, AnswerBytes{first.version, kept, response->body});
    node.in_flight.pop_front();
}

// What has not been sent waits for the next connection; unless there was none: then whoever asked may know another broker.
void Requests::lose(Node& node, const Error& why) {
    if (node.connection) {
        network_.close(*node.connection);
        by_connection_.erase(*node.connection);
    }
    node.connection.reset();
    if (!node.knows_versions) {
        for (Asked& asked : node.waiting) { finish(asked, not_sent(why)); }
        node.waiting.clear();
    }
    node.knows_versions = false;
    node.writable = false;
    node.output.clear();
    node.frame.reset();
    node.length_bytes = 0;
    for (InFlight& one : node.in_flight) {
        finish(one.asked, std::unexpected(why.with_fate(Fate::unknown_until_reopen)));
    }
    node.in_flight.clear();
    node.failure = why;
    const size_t doublings = std::min<size_t>(node.attempts++, 20);
    const int64_t wait_ms = std::min(options_.reconnect_ms_max, options_.reconnect_ms << doublings);
    const auto blurred = wait_ms / 2 + static_cast<int64_t>(random_.next() % static_cast<uint64_t>(wait_ms));
    node.not_before_ns = clock_.monotonic_ns() + blurred * ms_ns;
}

// A request that is late takes its connection with it: an answer that came after all would be another one's.
void Requests::expire(Node& node, int64_t now_ns) {
    const auto late = [&](const Asked& asked) { return asked.deadline_ns <= now_ns; };
    const bool waited = std::ranges::any_of(node.waiting, late);
    const bool unanswered = std::ranges::any_of(node.in_flight, late, &InFlight::asked);
    if (!waited && !unanswered) { return; }
    const std::string name = node.address.to_string();
    const Error timed_out =
        fail(Code::timed_out, "client.request",
             node.failure ? fmt::format("{}: {}", name, node.failure->message()) : name + " does not answer")
            .error();
    for (Asked& asked : node.waiting) {
        if (late(asked)) { finish(asked, not_sent(timed_out)); }
    }
    std::erase_if(node.waiting, late);
    if (unanswered) { lose(node, timed_out); }
}

bool Requests::turn(std::span<const NetworkEvent> events) {
    for (const NetworkEvent& event : events) {
        const auto found = by_connection_.find(event.id);
        if (found == by_connection_.end()) { continue; }
        Node& node = *found->second;
        if (event.writable) { node.writable = true; }
        if (event.readable) { read(node); }
        if (node.connection) { write(node); }
    }
    const int64_t now = clock_.monotonic_ns();
    for (auto& [id, node] : nodes_) {
        expire(node, now);
        if (!node.connection && !node.waiting.empty() && now >= node.not_before_ns) { connect(node); }
    }
    // Callbacks ask again, which may finish at once: until there is no more.
    const bool any = !finished_.empty();
    while (!finished_.empty()) {
        for (auto& [done, answer] : std::exchange(finished_, {})) { done(std::move(answer)); }
    }
    return any;
}

int64_t Requests::next_deadline_ns() const {
    if (!finished_.empty()) { return 0; }
    int64_t next = INT64_MAX;
    for (const auto& [id, node] : nodes_) {
        for (const Asked& asked : node.waiting) { next = std::min(next, asked.deadline_ns); }
        for (const InFlight& one : node.in_flight) { next = std::min(next, one.asked.deadline_ns); }
        if (!node.connection && !node.waiting.empty()) { next = std::min(next, node.not_before_ns); }
    }
    return next;
}

void Requests::close() {
    closed_ = true;
    const Error why = fail(Code::closed, "client.request").error();
    for (auto& [id, node] : nodes_) {
        for (Asked& asked : node.waiting) { finish(asked, not_sent(why)); }
        node.waiting.clear();
        lose(node, why);
    }
    turn({});
}

}  // namespace flowstone
