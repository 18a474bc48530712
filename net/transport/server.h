// Frames in, frames out: accepts connections, cuts what they send into frames, and sends answers in the order of the
// frames, whenever each is ready. What a frame means is its handler's matter.
//
// Bounded (storage/limits.h): connections, in all and of one address, the length of a frame, frames of one connection that
// wait for their answer, bytes that a peer does not fetch, memory of all frames together, and the time a frame may take to
// arrive. A frame's memory is reserved whole before its body is read, first come first served; until there is room nothing
// is read from that connection. Large frames have half of the memory at most, and get it: who claims some and sends nothing
// keeps small ones from nobody. While others wait for a frame's memory it has to come at the least rate from its first
// seconds on, so that crowds which claim and send nothing keep it for seconds, not for the whole time of a frame. A peer
// that ends its side is answered what it asked before, for as long as a frame may take to arrive.
// Every connection that is closed by us is counted by its reason.
//
// Threads: one, in which the handler is called too. A Frame may be let go in that thread only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <flowstone/result.h>

#include "net/kafka/gather.h"
#include "net/transport/network.h"
#include "net/transport/output.h"
#include "storage/buffer.h"
#include "storage/clock.h"
#include "storage/limits.h"

namespace flowstone {

struct ServerLimits {
    size_t connections_max = flowstone::connections_max;
    size_t connections_per_address_max = SIZE_MAX;
    size_t frame_bytes_max = flowstone::frame_bytes_max;
    size_t requests_in_flight_max = flowstone::requests_in_flight_max;  // of one connection
    size_t output_bytes_max = flowstone::connection_output_bytes_max;   // of one connection
    uint64_t frames_bytes_max = flowstone::request_memory_bytes_max;    // of all connections; one has a quarter at most
    int64_t frame_time_ms = flowstone::frame_time_ms_max;
    int64_t frame_bytes_per_second_min = flowstone::frame_bytes_per_second_min;  // 0: the time alone counts
    int64_t idle_time_ms = flowstone::connection_idle_ms_max;
};

// Why a connection was closed by us.
enum class CloseReason : uint8_t {
    peer,          // it ended, or failed
    frame_length,  // negative, zero or above the limit
    frame_late,    // began and did not come to its end in time
    idle,
    bad_request,  // the handler could not frame an answer
    unsupported,  // a key or version that is not served
    acks_none,    // a produce without an answer failed: closing is the only way to say so
    connections,  // there are too many
    connections_of_address,
    shutdown,
    count,
};
const char* name(CloseReason reason);

struct Peer {
    ConnectionId connection = 0;
    ListenerId listener = 0;
    HostPort address;
    HostPort local;              // that it reached us at
    bool other_process = false;  // of this machine, which came through a socket in the file system
};

// Which answer of which connection. Answers leave in the order in which the frames came.
struct AnswerSlot {
    ConnectionId connection = 0;
    uint64_t number = 0;
    friend auto operator<=>(const AnswerSlot&, const AnswerSlot&) = default;
};

// What a connection sent, without its length. Views into it hold as long as any copy of the pointer.
class Frame {
public:
    using Count = std::shared_ptr<uint64_t>;  // owners: who bounds it, and the frames, which may go later
    Frame(Count of_lane, Count of_connection, size_t size)
        : of_lane_(std::move(of_lane)),
          of_connection_(std::move(of_connection)),
          size_(size),
          bytes_(std::make_unique_for_overwrite<std::byte[]>(size)) {
        *of_lane_ += size;
        *of_connection_ += size;
    }
    ~Frame() {
        *of_lane_ -= size_;
        *of_connection_ -= size_;
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    Bytes bytes() const { return {bytes_.get(), size_}; }

private:
    friend class Server;
    Count of_lane_;
    Count of_connection_;
    size_t size_;
    std::unique_ptr<std::byte[]> bytes_;
};
using FramePtr =
    std::shared_ptr<Frame>;  // owners: the handler's requests that view it, and the server while it arrives

// An answer: a whole frame with its length, and what keeps the bytes spliced into it.
struct Answer {
    kafka::Gather frame;
    std::vector<BufferRef> pins;
};

class FrameHandler {
public:
    virtual ~FrameHandler() = default;
    virtual void on_open(const Peer& peer) = 0;
    // Each frame is to be answered once: by answer(), no_answer() or close().
    virtual void on_frame(const Peer& peer, AnswerSlot slot, FramePtr frame) = 0;
    virtual void on_close(ConnectionId connection) = 0;  // answers to it may still be given, and are dropped
};

struct ServerCounts {
    uint64_t accepted = 0;
    uint64_t frames = 0;
    uint64_t accepts_refused = 0;  // no descriptors
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
    std::array<uint64_t, static_cast<size_t>(CloseReason::count)> closed{};
};

class Server {
public:
    Server(Network& network, Clock& clock, FrameHandler& handler, const ServerLimits& limits = {});
    ~Server();

    Result<Network::Listener> listen(const HostPort& address);
    // Accepts no more; what is in flight goes on.
    void stop_listening();

    // What the network told: those of ours are served, others passed over. To be called once in a while without events too.
    void turn(std::span<const NetworkEvent> events);
    // How long nothing need be done if no event comes; negative: for ever.
    int64_t quiet_ns() const;
    // Sends what was answered since.
    void flush();

    void answer(AnswerSlot slot, Answer answer);
    void no_answer(AnswerSlot slot);  // the next one's turn comes without
    // After what was answered before it has been sent.
    void close_after(AnswerSlot slot, CloseReason reason);
    void close(ConnectionId connection, CloseReason reason);
    // No frame of the connection is handed over until resume(), as many times: what came before it must be done first.
    void pause(ConnectionId connection);
    void resume(ConnectionId connection);
    void hold() { held_ = true; }  // no frame of any connection is handed over any more
    void close_all(CloseReason reason);

    size_t connection_count() const { return connections_.size(); }
    uint64_t frames_bytes() const { return *small_frames_.bytes + *large_frames_.bytes; }
    bool idle() const;  // no frame waits for its answer and no answer to be sent
    const ServerCounts& counts() const { return counts_; }

private:
    struct Slot {
        bool done = false;
        bool close = false;
        CloseReason reason = CloseReason::peer;
        Answer answer;
    };
    struct Connection {
        Peer peer;
        bool readable = false;
        bool writable = true;
        bool end = false;  // the peer sends no more
        int64_t end_ms = 0;
        uint32_t pauses = 0;
        bool dropped = false;  // closed; forgotten at the end of the round
        bool waits_for_memory = false;
        bool touched = false;  // among touched_ or newcomers_
        bool known = false;    // a whole frame of it has come
        // Arriving: first the length, then the frame.
        std::array<std::byte, 4> length{};
        size_t length_bytes = 0;
        size_t frame_size = 0;  // 0: the length is not known yet
        FramePtr frame;         // once there was memory for it
        Frame::Count held = std::make_shared<uint64_t>(0);
        size_t frame_bytes = 0;
        int64_t frame_began_ms = 0;
        int64_t active_ms = 0;
        std::vector<std::byte> ahead;  // read, but belongs to later frames
        size_t ahead_at = 0;
        // Answers.
        std::deque<Slot> slots;
        uint64_t first_slot = 0;
        Output output;
        bool close_when_sent = false;
        CloseReason close_reason = CloseReason::peer;
    };

    // Frames of one kind: what they hold, and who waits for room, first come first served.
    struct Lane {
        Frame::Count bytes = std::make_shared<uint64_t>(0);
        std::deque<ConnectionId> waiters{};
    };

    Connection* find(ConnectionId id);
    void touch(Connection& connection);
    void accept_some(ListenerId listener);
    std::optional<CloseReason> refusal(const HostPort& peer) const;
    void serve(Connection& connection);
    bool may_read(const Connection& connection) const;
    bool wants_turn(const Connection& connection) const;
    void read_some(Connection& connection);
    void take_bytes(Connection& connection, Bytes& bytes);
    bool begin_frame(Connection& connection);
    Lane& lane_of(const Connection& connection);
    void take_memory(Connection& connection);
    bool in_share(const Connection& connection) const;
    bool has_room(const Connection& connection) const;
    bool a_waiter_has_memory() const;
    void end_frame(Connection& connection);
    void queue_ready(Connection& connection);
    void send(Connection& connection);
    void drop(Connection& connection, CloseReason reason);
    void look_at_times();
    int64_t frame_time_ms(const Connection& connection) const;
    int64_t hurried_ms(const Connection& connection) const;
    void wake_memory_waiters();
    void forget_dropped();
    Slot* slot_of(AnswerSlot slot);
    int64_t now_ms() { return clock_.monotonic_ns() / 1'000'000; }

    Network& network_;
    Clock& clock_;
    FrameHandler& handler_;
    ServerLimits limits_;
    std::vector<ListenerId> listeners_;
    std::vector<ListenerId> listeners_ready_;    // that may have more for us
    std::vector<ListenerId> listeners_waiting_;  // that had no descriptor for who comes next
    Lane small_frames_;                          // up to frame_bytes_small
    Lane large_frames_;
    std::unordered_map<ConnectionId, std::unique_ptr<Connection>> connections_;
    std::unordered_map<std::string, size_t> connections_of_;  // by the peer's host; no entry without a connection
    std::vector<ConnectionId> touched_;                       // known ones that have something for this round
    std::deque<ConnectionId> newcomers_;  // the others: a few in each round, so that crowds keep nobody waiting
    std::vector<ConnectionId> dropped_;
    std::vector<std::byte> read_buffer_;
    int64_t times_looked_ms_ = 0;
    bool held_ = false;
    ServerCounts counts_;
};

}  // namespace flowstone
