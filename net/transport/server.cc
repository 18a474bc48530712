#include "net/transport/server.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {

namespace {

constexpr size_t read_buffer_bytes = 64u << 10;
constexpr size_t direct_read_bytes_min = 16u << 10;    // less is read together with what follows it
constexpr size_t bytes_per_turn_max = 1u << 20;        // of one connection, then it is another's turn
constexpr size_t bytes_sent_at_once_max = 256u << 10;  // the same: a peer that fetches fast takes all there is
constexpr size_t accepts_per_turn_max = 16;            // the same: a crowd at the door
constexpr size_t newcomers_per_turn_max = 16;          // the same: one that is in, talks nonsense or leaves
constexpr int64_t look_every_ms = 1'000;

void add_once(std::vector<ListenerId>& listeners, ListenerId listener) {
    if (std::ranges::find(listeners, listener) == listeners.end()) { listeners.push_back(listener); }
}

}  // namespace

const char* name(CloseReason reason) {
    switch (reason) {
        case CloseReason::peer: return "peer";
        case CloseReason::frame_length: return "frame_length";
        case CloseReason::frame_late: return "frame_late";
        case CloseReason::idle: return "idle";
        case CloseReason::bad_request: return "bad_request";
        case CloseReason::unsupported: return "unsupported";
        case CloseReason::acks_none: return "acks_none";
        case CloseReason::connections: return "connections";
        case CloseReason::connections_of_address: return "connections_of_address";
        case CloseReason::shutdown: return "shutdown";
        case CloseReason::count: break;
    }
    return "unknown";
}

Server::Server(Network& network, Clock& clock, FrameHandler& handler, const ServerLimits& limits)
    : network_(network), clock_(clock), handler_(handler), limits_(limits), read_buffer_(read_buffer_bytes) {}

Server::~Server() {
    stop_listening();
    for (auto& [id, connection] : connections_) {
        if (!connection->dropped) { network_.close(id); }
    }
}

Result<Network::Listener> Server::listen(const HostPort& address) {
    TRY(auto listener, network_.listen(address));
    listeners_.push_back(listener.id);
    return listener;
}

void Server::stop_listening() {
    for (const ListenerId listener : listeners_) { network_.close(listener); }
    listeners_.clear();
    listeners_ready_.clear();
    listeners_waiting_.clear();
}

bool Server::idle() const {
    return std::ranges::all_of(connections_, [](const auto& entry) {
        return entry.second->dropped || (entry.second->slots.empty() && entry.second->output.empty());
    });
}

// --- a round -----------------------------------------------------------------------------------------------------------

int64_t Server::quiet_ns() const {
    if (!touched_.empty() || !newcomers_.empty() || !listeners_ready_.empty() || a_waiter_has_memory()) { return 0; }
    return connections_.empty() && listeners_waiting_.empty() ? -1 : look_every_ms * 1'000'000;
}

void Server::turn(std::span<const NetworkEvent> events) {
    for (const NetworkEvent& event : events) {
        if (Connection* connection = find(event.id)) {
            connection->readable = connection->readable || event.readable;
            connection->writable = connection->writable || event.writable;
            touch(*connection);
        } else if (std::ranges::find(listeners_, event.id) != listeners_.end()) {
            add_once(listeners_ready_, event.id);
        }
    }
    for (const ListenerId listener : std::exchange(listeners_ready_, {})) { accept_some(listener); }
    look_at_times();
    wake_memory_waiters();
    // Those that have more for us afterwards are touched again, for the next round.
    std::vector<ConnectionId> turn;
    turn.swap(touched_);
    for (size_t i = 0; i < newcomers_per_turn_max && !newcomers_.empty(); ++i) {
        turn.push_back(newcomers_.front());
        newcomers_.pop_front();
    }
    for (const ConnectionId id : turn) {
        if (Connection* connection = find(id)) {
            connection->touched = false;
            serve(*connection);
        }
    }
    flush();
}

void Server::flush() {
    for (const ConnectionId id : touched_) {
        if (Connection* connection = find(id)) { send(*connection); }
    }
    // Only who has more for us, or takes more from us, needs another turn.
    std::erase_if(touched_, [&](ConnectionId id) {
        Connection* connection = find(id);
        if (connection == nullptr) { return true; }
        connection->touched = wants_turn(*connection);
        return !connection->touched;
    });
    forget_dropped();
}

void Server::forget_dropped() {
    for (const ConnectionId id : dropped_) { connections_.erase(id); }
    dropped_.clear();
}

void Server::accept_some(ListenerId listener) {
    for (size_t accepted_now = 0; accepted_now < accepts_per_turn_max; ++accepted_now) {
        auto accepted = network_.accept(listener);
        if (!accepted) {
            ++counts_.accepts_refused;
            return add_once(listeners_waiting_, listener);
        }
        if (!*accepted) { return; }
        const Accepted& peer = **accepted;
        ++counts_.accepted;
        if (const auto reason = refusal(peer.peer)) {
            network_.close(peer.id);
            ++counts_.closed[static_cast<size_t>(*reason)];
            continue;
        }
        auto connection = std::make_unique<Connection>();
        connection->peer = {peer.id, listener, peer.peer, peer.local, peer.other_process};
        connection->active_ms = now_ms();
        connection->readable = true;  // what came before we asked for events
        Connection& made = *connection;
        connections_.emplace(peer.id, std::move(connection));
        ++connections_of_[peer.peer.host];
        handler_.on_open(made.peer);
        touch(made);
    }
    add_once(listeners_ready_, listener);
}

std::optional<CloseReason> Server::refusal(const HostPort& peer) const {
    if (connections_.size() >= limits_.connections_max) { return CloseReason::connections; }
    const auto same = connections_of_.find(peer.host);
    if (same == connections_of_.end() || same->second < limits_.connections_per_address_max) { return std::nullopt; }
    return CloseReason::connections_of_address;
}

Server::Connection* Server::find(ConnectionId id) {
    const auto found = connections_.find(id);
    return found == connections_.end() || found->second->dropped ? nullptr : found->second.get();
}

void Server::touch(Connection& connection) {
    if (connection.touched) { return; }
    connection.touched = true;
    if (connection.known) {
        touched_.push_back(connection.peer.connection);
    } else {
        newcomers_.push_back(connection.peer.connection);
    }
}

// --- what arrives ------------------------------------------------------------------------------------------------------

bool Server::may_read(const Connection& connection) const {
    return !held_ && !connection.dropped && connection.pauses == 0 && !connection.waits_for_memory &&
           !connection.close_when_sent && connection.slots.size() < limits_.requests_in_flight_max &&
           connection.output.bytes() < limits_.output_bytes_max;
}

bool Server::wants_turn(const Connection& connection) const {
    if (connection.dropped) { return false; }
    const bool reads = may_read(connection) && (connection.readable || !connection.ahead.empty());
    return reads || (connection.writable && !connection.output.empty());
}

void Server::serve(Connection& connection) {
    const uint64_t turn_end = counts_.bytes_in + bytes_per_turn_max;
    while (may_read(connection)) {
        if (connection.ahead_at < connection.ahead.size()) {
            Bytes bytes = Bytes(connection.ahead).subspan(connection.ahead_at);
            take_bytes(connection, bytes);
            connection.ahead_at = connection.ahead.size() - bytes.size();
            continue;
        }
        if (!connection.ahead.empty()) {
            connection.ahead = {};
            connection.ahead_at = 0;
        }
        if (!connection.readable) { break; }
        if (counts_.bytes_in >= turn_end) { break; }
        read_some(connection);
    }
    send(connection);
    // Sending may have made the room that reading stopped for, and what is there already makes no event any more.
    if (wants_turn(connection)) { touch(connection); }
}

void Server::read_some(Connection& connection) {
    const bool direct =
        connection.frame != nullptr && connection.frame_size - connection.frame_bytes >= direct_read_bytes_min;
    const MutableBytes into = direct ? MutableBytes(connection.frame->bytes_.get() + connection.frame_bytes,
                                                    connection.frame_size - connection.frame_bytes)
                                     : MutableBytes(read_buffer_);
    const auto got = network_.read(connection.peer.connection, into);
    if (!got) { return drop(connection, CloseReason::peer); }
    if (got->end) {
        connection.end = true;
        connection.end_ms = now_ms();
        connection.readable = false;
        return;
    }
    // A short read is all there is: the next bytes make a new event.
    if (got->bytes < into.size()) { connection.readable = false; }
    if (got->bytes == 0) { return; }
    counts_.bytes_in += got->bytes;
    connection.active_ms = now_ms();
    if (direct) {
        connection.frame_bytes += got->bytes;
        if (connection.frame_bytes == connection.frame_size) { end_frame(connection); }
        return;
    }
    Bytes bytes(read_buffer_.data(), got->bytes);
    take_bytes(connection, bytes);
    if (!bytes.empty() && !connection.dropped) {
        connection.ahead.assign(bytes.begin(), bytes.end());
        connection.ahead_at = 0;
    }
}

// Takes from the front of `bytes` what may be taken now.
void Server::take_bytes(Connection& connection, Bytes& bytes) {
    while (!bytes.empty() && may_read(connection)) {
        if (connection.frame_size == 0) {
            if (connection.length_bytes == 0) { connection.frame_began_ms = now_ms(); }
            const size_t wanted = std::min(bytes.size(), connection.length.size() - connection.length_bytes);
            std::memcpy(connection.length.data() + connection.length_bytes, bytes.data(), wanted);
            connection.length_bytes += wanted;
            bytes = bytes.subspan(wanted);
            if (connection.length_bytes < connection.length.size() || !begin_frame(connection)) { continue; }
        }
        const size_t wanted = std::min(bytes.size(), connection.frame_size - connection.frame_bytes);
        std::memcpy(connection.frame->bytes_.get() + connection.frame_bytes, bytes.data(), wanted);
        connection.frame_bytes += wanted;
        bytes = bytes.subspan(wanted);
        if (connection.frame_bytes == connection.frame_size) { end_frame(connection); }
    }
}

// False when the frame cannot be taken (now).
bool Server::begin_frame(Connection& connection) {
    const auto length = load_be<int32_t>(connection.length.data());
    if (length <= 0 || static_cast<size_t>(length) > limits_.frame_bytes_max) {
        drop(connection, CloseReason::frame_length);
        return false;
    }
    connection.frame_size = static_cast<size_t>(length);
    Lane& lane = lane_of(connection);
    if (lane.waiters.empty() && in_share(connection) && has_room(connection)) {
        take_memory(connection);
        return true;
    }
    connection.waits_for_memory = true;
    lane.waiters.push_back(connection.peer.connection);
    return false;
}

Server::Lane& Server::lane_of(const Connection& connection) {
    return connection.frame_size <= frame_bytes_small ? small_frames_ : large_frames_;
}

// A frame that is larger than a connection's share is let in when the connection holds nothing else.
bool Server::in_share(const Connection& connection) const {
    return *connection.held == 0 || *connection.held + connection.frame_size <= limits_.frames_bytes_max / 4;
}

// One that is larger than all there is comes in alone. Large frames leave half to the small ones; these leave the other
// half once a large one waits for it, or it would wait for ever.
bool Server::has_room(const Connection& connection) const {
    const uint64_t size = connection.frame_size;
    const uint64_t half = limits_.frames_bytes_max / 2;
    if (frames_bytes() != 0 && frames_bytes() + size > limits_.frames_bytes_max) { return false; }
    if (size > frame_bytes_small) { return *large_frames_.bytes == 0 || *large_frames_.bytes + size <= half; }
    return large_frames_.waiters.empty() || *small_frames_.bytes == 0 || *small_frames_.bytes + size <= half;
}

void Server::take_memory(Connection& connection) {
    connection.frame = std::make_shared<Frame>(lane_of(connection).bytes, connection.held, connection.frame_size);
    connection.frame_bytes = 0;
}

// First come, first served in each lane: one that waits for its own frames to go must not stop the others, though.
void Server::wake_memory_waiters() {
    for (Lane* lane : {&large_frames_, &small_frames_}) {
        for (size_t i = 0; i < lane->waiters.size();) {
            Connection* connection = find(lane->waiters[i]);
            if (connection != nullptr && !has_room(*connection)) { break; }
            if (connection != nullptr && !in_share(*connection)) {
                ++i;
                continue;
            }
            lane->waiters.erase(lane->waiters.begin() + static_cast<std::ptrdiff_t>(i));
            if (connection == nullptr) { continue; }
            connection->waits_for_memory = false;
            connection->frame_began_ms = now_ms();  // the wait was ours
            take_memory(*connection);
            touch(*connection);
        }
    }
}

// What was let go since the last round is for them now, not after a wait.
bool Server::a_waiter_has_memory() const {
    for (const Lane* lane : {&large_frames_, &small_frames_}) {
        for (const ConnectionId id : lane->waiters) {
            const auto found = connections_.find(id);
            if (found == connections_.end() || found->second->dropped) { return true; }
            if (!has_room(*found->second)) { break; }
            if (in_share(*found->second)) { return true; }
        }
    }
    return false;
}

void Server::end_frame(Connection& connection) {
    ++counts_.frames;
    connection.known = true;
    const AnswerSlot slot{connection.peer.connection, connection.first_slot + connection.slots.size()};
    connection.slots.emplace_back();
    connection.length_bytes = 0;
    connection.frame_size = 0;
    handler_.on_frame(connection.peer, slot, std::move(connection.frame));
    connection.frame = nullptr;
}

// --- answers -----------------------------------------------------------------------------------------------------------

Server::Slot* Server::slot_of(AnswerSlot slot) {
    Connection* connection = find(slot.connection);
    if (connection == nullptr) { return nullptr; }
    CHECK(slot.number >= connection->first_slot);
    CHECK(slot.number < connection->first_slot + connection->slots.size());
    Slot& found = connection->slots[slot.number - connection->first_slot];
    CHECK(!found.done);
    touch(*connection);
    return &found;
}

void Server::answer(AnswerSlot slot, Answer answer) {
    if (Slot* found = slot_of(slot)) {
        found->answer = std::move(answer);
        found->done = true;
        queue_ready(*find(slot.connection));
    }
}

void Server::no_answer(AnswerSlot slot) {
    if (Slot* found = slot_of(slot)) {
        found->done = true;
        queue_ready(*find(slot.connection));
    }
}

void Server::close_after(AnswerSlot slot, CloseReason reason) {
    if (Slot* found = slot_of(slot)) {
        found->done = true;
        found->close = true;
        found->reason = reason;
        queue_ready(*find(slot.connection));
    }
}

void Server::close(ConnectionId id, CloseReason reason) {
    if (Connection* connection = find(id)) { drop(*connection, reason); }
}

void Server::close_all(CloseReason reason) {
    for (auto& [id, connection] : connections_) {
        if (!connection->dropped) { drop(*connection, reason); }
    }
    forget_dropped();
}

void Server::pause(ConnectionId id) {
    if (Connection* connection = find(id)) { ++connection->pauses; }
}

void Server::resume(ConnectionId id) {
    if (Connection* connection = find(id)) {
        CHECK(connection->pauses > 0);
        --connection->pauses;
        touch(*connection);
    }
}

void Server::queue_ready(Connection& connection) {
    while (!connection.slots.empty() && connection.slots.front().done && !connection.close_when_sent) {
        Slot slot = std::move(connection.slots.front());
        connection.slots.pop_front();
        ++connection.first_slot;
        if (slot.close) {
            connection.close_when_sent = true;
            connection.close_reason = slot.reason;
        }
        if (slot.answer.frame.empty()) { continue; }
        connection.output.add(std::move(slot.answer.frame), std::move(slot.answer.pins));
    }
}

void Server::send(Connection& connection) {
    if (!connection.output.empty() && connection.writable && !connection.dropped) {
        const auto written = connection.output.write(network_, connection.peer.connection, bytes_sent_at_once_max);
        if (!written) { return drop(connection, CloseReason::peer); }
        counts_.bytes_out += written->bytes;
        connection.active_ms = now_ms();
        if (written->full) { connection.writable = false; }
    }
    if (connection.dropped || !connection.output.empty()) { return; }
    if (connection.close_when_sent) { return drop(connection, connection.close_reason); }
    // A peer that sends no more is answered what it asked before.
    if (connection.end && connection.slots.empty()) { drop(connection, CloseReason::peer); }
}

void Server::drop(Connection& connection, CloseReason reason) {
    CHECK(!connection.dropped);
    connection.dropped = true;
    const auto same = connections_of_.find(connection.peer.address.host);
    CHECK(same != connections_of_.end());
    if (--same->second == 0) { connections_of_.erase(same); }
    ++counts_.closed[static_cast<size_t>(reason)];
    network_.close(connection.peer.connection);
    dropped_.push_back(connection.peer.connection);
    connection.frame = nullptr;
    connection.output.clear();
    handler_.on_close(connection.peer.connection);
}

// --- time --------------------------------------------------------------------------------------------------------------

int64_t Server::frame_time_ms(const Connection& connection) const {
    const int64_t rate = limits_.frame_bytes_per_second_min;
    if (rate == 0) { return limits_.frame_time_ms; }
    return std::max(limits_.frame_time_ms, static_cast<int64_t>(connection.frame_size) * 1'000 / rate);
}

// Of a frame whose memory others wait for: as long as what has come of it takes at the least rate, and a little.
int64_t Server::hurried_ms(const Connection& connection) const {
    const int64_t rate = limits_.frame_bytes_per_second_min;
    if (rate == 0) { return limits_.frame_time_ms; }
    const auto come = static_cast<int64_t>(connection.frame_bytes);
    return std::min(frame_time_ms(connection), 2 * look_every_ms + come * 1'000 / rate);
}

void Server::look_at_times() {
    const int64_t now = now_ms();
    if (now - times_looked_ms_ < look_every_ms) { return; }
    times_looked_ms_ = now;
    for (const ListenerId listener : std::exchange(listeners_waiting_, {})) { accept_some(listener); }
    for (auto& [id, owned] : connections_) {
        Connection& connection = *owned;
        if (connection.dropped) { continue; }
        // It may have closed its sending half alone, but more often it is gone, whatever it still waits for.
        if (connection.end && now - connection.end_ms > limits_.frame_time_ms) {
            drop(connection, CloseReason::peer);
            continue;
        }
        const bool arriving = connection.length_bytes > 0 && !connection.waits_for_memory;
        if (arriving && !may_read(connection)) { connection.frame_began_ms = now; }  // the time that passes is ours
        if (arriving && may_read(connection)) {
            const bool hurried = connection.frame != nullptr && !lane_of(connection).waiters.empty();
            const int64_t patience = hurried ? hurried_ms(connection) : frame_time_ms(connection);
            if (now - connection.frame_began_ms > patience) { drop(connection, CloseReason::frame_late); }
            continue;
        }
        // Who waits for our answer is not idle; who does not fetch it is.
        const bool waiting = !connection.slots.empty() && connection.output.empty();
        if (!waiting && now - connection.active_ms > limits_.idle_time_ms) { drop(connection, CloseReason::idle); }
    }
}

}  // namespace flowstone
