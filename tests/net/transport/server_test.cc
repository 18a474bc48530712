// The server between a simulated network and a handler that answers when the test says so.
#include "net/transport/server.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_network.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::byte> frame_of(std::string_view text) {
    std::vector<std::byte> out(4 + text.size());
    store_be<int32_t>(out.data(), static_cast<int32_t>(text.size()));
    std::ranges::copy(as_bytes(text), out.begin() + 4);
    return out;
}
std::vector<std::byte> length_only(int32_t length) {
    std::vector<std::byte> out(4);
    store_be<int32_t>(out.data(), length);
    return out;
}

// Keeps what came, until the test answers it.
class Keeper final : public FrameHandler {
public:
    struct Kept {
        AnswerSlot slot;
        FramePtr frame;
        std::string text() const { return std::string(as_text(frame->bytes())); }
    };
    void on_open(const Peer& /*peer*/) override { ++open; }
    void on_frame(const Peer& peer, AnswerSlot slot, FramePtr frame) override {
        frames.push_back({slot, std::move(frame)});
        if (at_once) { at_once(peer, frames.back()); }
    }
    void on_close(ConnectionId connection) override {
        --open;
        std::erase_if(frames, [&](const Kept& kept) { return kept.slot.connection == connection; });
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> out;
        for (const Kept& kept : frames) { out.push_back(kept.text()); }
        return out;
    }

    std::vector<Kept> frames;
    std::function<void(const Peer&, Kept&)> at_once;
    int open = 0;
};

class ServerTest : public testing::Test {
protected:
    using SocketId = SimNetwork::SocketId;

    void start(const ServerLimits& limits = {}, const SimNetwork::Options& options = {}) {
        server_.reset();
        keeper_.frames.clear();
        keeper_.open = 0;
        in_.clear();
        network_.emplace(clock_, options);
        server_.emplace(*network_, clock_, keeper_, limits);
        address_ = value_of(server_->listen({"127.0.0.1", 9092})).address;
    }
    SocketId connect(const HostPort& from = {"127.0.0.1", 40'000}) {
        const SocketId socket = value_of(network_->dial(address_, from));
        settle();
        return socket;
    }
    // A round, as whoever owns the network has it.
    void round(int64_t wait_ms) {
        const int64_t quiet_ns = server_->quiet_ns();
        const int64_t wait_ns = wait_ms * 1'000'000;
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(network_->wait(quiet_ns < 0 ? wait_ns : std::min(quiet_ns, wait_ns), events));
        server_->turn(events);
    }
    // Without the passing of time.
    void settle() {
        for (int i = 0; i < 50; ++i) { round(0); }
    }
    void pass(int64_t ms) {
        const int64_t until = clock_.wall_ms() + ms;
        while (clock_.wall_ms() < until) { round(until - clock_.wall_ms()); }
        settle();
    }
    void send(SocketId socket, Bytes bytes) {
        for (int rounds = 0; !bytes.empty() && rounds < 10'000; ++rounds) {
            bytes = bytes.subspan(network_->send(socket, bytes));
            settle();
        }
        ASSERT_TRUE(bytes.empty()) << "nobody reads them";
    }
    void answer(const Keeper::Kept& kept, std::string_view text) {
        Answer answer;
        answer.frame.bytes(frame_of(text));
        server_->answer(kept.slot, std::move(answer));
    }
    void answer_first(std::string_view text) {
        const Keeper::Kept kept = keeper_.frames.front();
        keeper_.frames.erase(keeper_.frames.begin());
        answer(kept, text);
    }
    // The answers that have come whole so far.
    std::vector<std::string> received(SocketId socket) {
        auto& in = in_[socket];
        for (int i = 0; i < 50; ++i) {
            const auto more = network_->receive(socket);
            in.insert(in.end(), more.begin(), more.end());
            settle();
        }
        std::vector<std::string> out;
        while (in.size() >= 4) {
            const auto length = static_cast<size_t>(load_be<int32_t>(in.data()));
            if (in.size() < 4 + length) { break; }
            out.emplace_back(as_text(Bytes(in).subspan(4, length)));
            in.erase(in.begin(), in.begin() + 4 + static_cast<std::ptrdiff_t>(length));
        }
        return out;
    }
    uint64_t closed(CloseReason reason) const { return server_->counts().closed[static_cast<size_t>(reason)]; }
    void expect_nothing_left() {
        EXPECT_EQ(server_->connection_count(), 0u);
        EXPECT_EQ(server_->frames_bytes(), 0u);
        EXPECT_EQ(network_->open_connections(), 0u);
        EXPECT_EQ(keeper_.open, 0);
    }

    SimClock clock_;
    std::optional<SimNetwork> network_;
    Keeper keeper_;
    std::optional<Server> server_;
    HostPort address_;
    std::map<SocketId, std::vector<std::byte>> in_;
};

// --- frames ------------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, AFrameIsWholeHoweverItsBytesCome) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        start({}, {.seed = seed});
        const SocketId socket = connect();
        std::vector<std::byte> bytes;
        for (const auto& frame : {frame_of("one"), frame_of(std::string(100'000, 'x')), frame_of("three")}) {
            bytes.insert(bytes.end(), frame.begin(), frame.end());
        }
        send(socket, bytes);
        EXPECT_THAT(keeper_.texts(), ElementsAre("one", std::string(100'000, 'x'), "three"));
        keeper_.frames.clear();
        EXPECT_EQ(server_->frames_bytes(), 0u);
    }
}

TEST_F(ServerTest, AByteAtATimeMakesAFrameToo) {
    start();
    const SocketId socket = connect();
    for (const std::byte byte : frame_of("slowly")) {
        EXPECT_THAT(keeper_.frames, IsEmpty());
        send(socket, Bytes(&byte, 1));
    }
    EXPECT_THAT(keeper_.texts(), ElementsAre("slowly"));
}

TEST_F(ServerTest, AFrameThatIsNotWholeInItsTimeClosesItsConnection) {
    start({.frame_time_ms = 30'000});
    const SocketId half = connect();
    const SocketId two_bytes_of_length = connect();
    const SocketId trickling = connect();
    send(half, Bytes(frame_of("half a frame")).first(9));
    send(two_bytes_of_length, Bytes(frame_of("x")).first(2));
    send(trickling, length_only(1'000));
    for (int second = 0; second < 29; ++second) {
        const std::byte byte{};
        send(trickling, Bytes(&byte, 1));
        pass(1'000);
    }
    EXPECT_EQ(server_->connection_count(), 3u);
    pass(3'000);
    EXPECT_EQ(closed(CloseReason::frame_late), 3u);
    EXPECT_TRUE(network_->closed_by_server(half));
    EXPECT_TRUE(network_->closed_by_server(two_bytes_of_length));
    EXPECT_TRUE(network_->closed_by_server(trickling));
    expect_nothing_left();
}

TEST_F(ServerTest, ALargeFrameHasTheTimeThatItTakesAtTheLeastRate) {
    start({.frame_time_ms = 10'000, .frame_bytes_per_second_min = 1'000});
    const SocketId socket = connect();
    const auto frame = frame_of(std::string(20'000, 'x'));
    Bytes left = frame;
    for (int second = 0; second < 20; ++second) {  // a little faster than it must be
        const size_t some = std::min<size_t>(left.size(), 1'050);
        send(socket, left.first(some));
        left = left.subspan(some);
        pass(1'000);
    }
    EXPECT_THAT(keeper_.frames, SizeIs(1));
    EXPECT_EQ(closed(CloseReason::frame_late), 0u);
}

TEST_F(ServerTest, LengthsThatNoFrameHasAreCountedAndClosed) {
    start({.frame_bytes_max = 1'000});
    for (const int32_t length : {0, -1, 1'001, INT32_MAX, INT32_MIN}) {
        const SocketId socket = connect();
        send(socket, length_only(length));
        EXPECT_TRUE(network_->closed_by_server(socket)) << length;
    }
    EXPECT_EQ(closed(CloseReason::frame_length), 5u);
    expect_nothing_left();
    const SocketId socket = connect();
    send(socket, frame_of(std::string(1'000, 'x')));
    EXPECT_THAT(keeper_.frames, SizeIs(1));
}

// --- answers -----------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, AnswersLeaveInTheOrderOfTheFramesWhateverIsReadyFirst) {
    start();
    const SocketId socket = connect();
    for (const char* text : {"a", "b", "c", "d"}) { send(socket, frame_of(text)); }
    ASSERT_THAT(keeper_.frames, SizeIs(4));
    answer(keeper_.frames[3], "D");
    answer(keeper_.frames[1], "B");
    EXPECT_THAT(received(socket), IsEmpty());
    server_->no_answer(keeper_.frames[0].slot);
    EXPECT_THAT(received(socket), ElementsAre("B"));
    answer(keeper_.frames[2], "C");
    EXPECT_THAT(received(socket), ElementsAre("C", "D"));
}

TEST_F(ServerTest, WhatWasAnsweredBeforeIsSentBeforeAnAnswerThatCloses) {
    start();
    const SocketId socket = connect();
    for (const char* text : {"a", "b", "c"}) { send(socket, frame_of(text)); }
    server_->close_after(keeper_.frames[1].slot, CloseReason::acks_none);
    settle();
    EXPECT_EQ(server_->connection_count(), 1u);
    answer(keeper_.frames[0], "A");
    EXPECT_THAT(received(socket), ElementsAre("A"));
    EXPECT_TRUE(network_->closed_by_server(socket));
    EXPECT_EQ(closed(CloseReason::acks_none), 1u);
    expect_nothing_left();
}

TEST_F(ServerTest, OfOneConnectionSoManyFramesWaitForTheirAnswersAndNoMore) {
    start({.requests_in_flight_max = 100});
    const SocketId socket = connect();
    std::vector<std::byte> bytes;
    for (int i = 0; i < 150; ++i) {
        const auto frame = frame_of(std::to_string(i));
        bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    send(socket, bytes);
    ASSERT_THAT(keeper_.frames, SizeIs(100));
    pass(5'000);
    ASSERT_THAT(keeper_.frames, SizeIs(100));
    answer(keeper_.frames[1], "second");  // cannot leave yet
    settle();
    EXPECT_THAT(keeper_.frames, SizeIs(100));
    answer(keeper_.frames[0], "first");
    settle();
    EXPECT_THAT(keeper_.frames, SizeIs(102));
    EXPECT_EQ(keeper_.frames.back().text(), "101");
    EXPECT_THAT(received(socket), ElementsAre("first", "second"));
}

TEST_F(ServerTest, NothingIsReadFromAPeerThatDoesNotFetchItsAnswersAndItIsIdle) {
    start({.output_bytes_max = 1'000'000, .idle_time_ms = 600'000}, {.buffer_bytes = 100'000});
    keeper_.at_once = [&](const Peer&, Keeper::Kept& kept) { answer(kept, std::string(300'000, 'x')); };
    const SocketId socket = connect();
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(network_->send(socket, frame_of("more")), 8u);
        settle();
    }
    // The peer holds 100 kB, the server the rest of four: with the fourth it is above its bound.
    EXPECT_THAT(keeper_.frames, SizeIs(4));
    pass(599'000);
    EXPECT_EQ(server_->connection_count(), 1u);
    pass(3'000);
    EXPECT_EQ(closed(CloseReason::idle), 1u);
    expect_nothing_left();
}

TEST_F(ServerTest, APeerThatFetchesAtLastIsReadFromAgain) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        for (const bool cut : {false, true}) {
            start({.output_bytes_max = 1'000}, {.seed = seed, .cut = cut, .buffer_bytes = 5'000});
            keeper_.at_once = [&](const Peer&, Keeper::Kept& kept) { answer(kept, std::string(3'000, 'x')); };
            const SocketId socket = connect();
            std::vector<std::byte> bytes;
            for (int i = 0; i < 50; ++i) {
                const auto frame = frame_of("more");
                bytes.insert(bytes.end(), frame.begin(), frame.end());
            }
            ASSERT_EQ(network_->send(socket, bytes), bytes.size());
            settle();
            size_t answers = 0;
            for (int i = 0; i < 20; ++i) { answers += received(socket).size(); }
            EXPECT_EQ(answers, 50u);
        }
    }
}

TEST_F(ServerTest, APeerThatTakesALotAtOnceLeavesTheOthersTheirTurn) {
    start({}, {.cut = false, .buffer_bytes = 64u << 20});
    const SocketId reader = connect();
    const SocketId other = connect();
    send(reader, frame_of("all"));
    const uint64_t before = server_->counts().bytes_out;
    const std::string large(8u << 20, 'x');
    answer_first(large);
    const auto question = frame_of("little");
    ASSERT_EQ(network_->send(other, question), question.size());
    for (int i = 0; i < 5 && keeper_.frames.empty(); ++i) { round(0); }
    EXPECT_THAT(keeper_.texts(), ElementsAre("little"));
    EXPECT_GT(server_->counts().bytes_out, before) << "the answer has begun";
    EXPECT_LT(server_->counts().bytes_out - before, large.size() / 2) << "and waits for its next turn";
    EXPECT_EQ(server_->quiet_ns(), 0) << "for which nobody sleeps";
    EXPECT_THAT(received(reader), ElementsAre(large));
}

TEST_F(ServerTest, WithoutASlowestRateTheTimeOfAFrameAloneCounts) {
    start({.frame_time_ms = 30'000, .frame_bytes_per_second_min = 0});
    const SocketId socket = connect();
    send(socket, Bytes(frame_of("slow")).first(5));
    pass(29'000);
    EXPECT_EQ(closed(CloseReason::frame_late), 0u);
    pass(2'000);
    EXPECT_EQ(closed(CloseReason::frame_late), 1u);
}

TEST_F(ServerTest, TheTimeOfAFrameDoesNotPassWhileNothingIsReadFromItsPeer) {
    start({.output_bytes_max = 1'000, .frame_time_ms = 30'000}, {.cut = false, .buffer_bytes = 1'000});
    const SocketId socket = connect();
    send(socket, frame_of("one"));
    send(socket, Bytes(frame_of("two")).first(5));
    answer(keeper_.frames.at(0), std::string(5'000, 'x'));  // more than is let out: the rest of "two" is not read
    pass(60'000);
    EXPECT_EQ(closed(CloseReason::frame_late), 0u);
    EXPECT_THAT(received(socket), SizeIs(1));
    pass(2'000);
    EXPECT_EQ(closed(CloseReason::frame_late), 0u);
    send(socket, Bytes(frame_of("two")).subspan(5));
    EXPECT_THAT(keeper_.texts(), ElementsAre("one", "two"));
}

// --- connections -------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, AConnectionAboveTheLimitIsClosedAtOnceAndARoomThatIsFreeIsUsedAgain) {
    start({.connections_max = 3});
    const SocketId first = connect();
    connect();
    connect();
    const SocketId fourth = connect();
    EXPECT_TRUE(network_->closed_by_server(fourth));
    EXPECT_EQ(closed(CloseReason::connections), 1u);
    EXPECT_EQ(server_->connection_count(), 3u);
    network_->hang_up(first);
    settle();
    const SocketId fifth = connect();
    send(fifth, frame_of("served"));
    EXPECT_THAT(keeper_.texts(), ElementsAre("served"));
}

TEST_F(ServerTest, AnAddressHasSoManyConnectionsAndTheNextIsClosedAtOnce) {
    start({.connections_per_address_max = 2});
    const SocketId first = connect({"10.0.0.1", 1'000});
    connect({"10.0.0.1", 1'001});
    const SocketId third = connect({"10.0.0.1", 1'002});
    EXPECT_TRUE(network_->closed_by_server(third));
    EXPECT_EQ(closed(CloseReason::connections_of_address), 1u);
    const SocketId neighbour = connect({"10.0.0.2", 1'000});
    send(neighbour, frame_of("other"));
    EXPECT_THAT(keeper_.texts(), ElementsAre("other")) << "it is not theirs to pay for";
    network_->reset(first);
    settle();
    const SocketId again = connect({"10.0.0.1", 1'003});
    send(again, frame_of("again"));
    EXPECT_THAT(keeper_.texts(), ElementsAre("other", "again")) << "room that is free is used again";
    EXPECT_TRUE(network_->closed_by_server(connect({"10.0.0.1", 1'004}))) << "who was refused freed nothing";
    EXPECT_EQ(closed(CloseReason::connections_of_address), 2u);
}

TEST_F(ServerTest, ACrowdAtTheDoorLeavesTheOthersTheirTurn) {
    start();
    const SocketId guest = connect();
    for (int i = 0; i < 1'000; ++i) { ASSERT_TRUE(network_->dial(address_)); }
    network_->send(guest, frame_of("served"));
    round(0);
    EXPECT_LT(server_->connection_count(), 200u);
    EXPECT_EQ(server_->quiet_ns(), 0) << "nobody sleeps while some are at the door";
    round(0);
    EXPECT_THAT(keeper_.texts(), ElementsAre("served"));
    EXPECT_LT(server_->connection_count(), 300u);
    for (int i = 0; i < 1'000 && server_->connection_count() < 1'001; ++i) { round(0); }
    EXPECT_EQ(server_->connection_count(), 1'001u) << "and everybody comes in";
}

TEST_F(ServerTest, ACrowdThatLeavesOrTalksNonsenseLeavesTheOthersTheirTurn) {
    start();
    const SocketId guest = connect();
    send(guest, frame_of("known"));
    std::vector<SocketId> crowd;
    for (int i = 0; i < 1'000; ++i) { crowd.push_back(value_of(network_->dial(address_))); }
    for (int i = 0; i < 1'000 && server_->connection_count() < 1'001; ++i) { round(0); }
    settle();
    for (size_t i = 0; i < crowd.size(); ++i) {
        if (i % 2 == 0) {
            network_->reset(crowd[i]);
        } else {
            network_->send(crowd[i], length_only(-1));
        }
    }
    network_->send(guest, frame_of("served"));
    round(0);
    EXPECT_THAT(keeper_.texts(), ElementsAre("known", "served"));
    EXPECT_GT(server_->connection_count(), 900u);
    EXPECT_EQ(server_->quiet_ns(), 0) << "nobody sleeps while some have not had their turn";
    for (int i = 0; i < 1'000 && server_->connection_count() > 1; ++i) { round(0); }
    EXPECT_EQ(server_->connection_count(), 1u) << "and all are let go";
    EXPECT_EQ(closed(CloseReason::frame_length), 500u);
}

TEST_F(ServerTest, WithoutDescriptorsPeersWaitUntilThereAreSome) {
    start({}, {.descriptors = 2});
    const SocketId first = connect();
    const SocketId second = connect();
    const SocketId third = connect();
    EXPECT_EQ(network_->send(third, frame_of("third")), 9u);
    pass(10'000);
    EXPECT_GE(server_->counts().accepts_refused, 1u);
    EXPECT_LE(server_->counts().accepts_refused, 20u) << "asking again and again takes a processor";
    EXPECT_FALSE(network_->closed_by_server(third));
    send(second, frame_of("second"));
    EXPECT_THAT(keeper_.texts(), ElementsAre("second")) << "who is connected is served";
    network_->hang_up(first);
    pass(2'000);
    EXPECT_THAT(keeper_.texts(), ElementsAre("second", "third"));
}

TEST_F(ServerTest, WhoSaysNothingForLongIsClosedAndWhoWaitsForUsIsNot) {
    start({.idle_time_ms = 600'000});
    const SocketId silent = connect();
    const SocketId waiting = connect();
    send(waiting, frame_of("asked"));
    pass(599'000);
    EXPECT_EQ(server_->connection_count(), 2u);
    pass(3'000);
    EXPECT_TRUE(network_->closed_by_server(silent));
    EXPECT_EQ(closed(CloseReason::idle), 1u);
    answer_first("late");
    EXPECT_THAT(received(waiting), ElementsAre("late"));
}

TEST_F(ServerTest, APeerThatVanishesAtAnyByteLeavesNothingBehind) {
    std::vector<std::byte> bytes;
    for (const auto& frame : {frame_of("first"), frame_of(std::string(40'000, 'x')), frame_of("third")}) {
        bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    std::vector<size_t> lengths = {20'000, 40'008, 40'012, bytes.size() - 1, bytes.size()};
    for (size_t i = 0; i < 20; ++i) { lengths.push_back(i); }
    for (const bool reset : {false, true}) {
        for (const size_t length : lengths) {
            SCOPED_TRACE(length);
            start();
            const SocketId socket = connect();
            send(socket, Bytes(bytes).first(length));
            if (reset) {
                network_->reset(socket);
            } else {
                network_->hang_up(socket);
            }
            settle();
            while (!keeper_.frames.empty()) {  // who has asked is answered, if it is not known to be gone
                answer_first("late");
                settle();
            }
            EXPECT_EQ(closed(CloseReason::peer), 1u);
            expect_nothing_left();
        }
    }
}

TEST_F(ServerTest, AnAnswerThatNeverComesDoesNotKeepTheConnectionOfAPeerThatEndedIt) {
    start({.frame_time_ms = 30'000});
    const SocketId socket = connect();
    send(socket, frame_of("a long poll"));
    network_->hang_up(socket);
    pass(29'000);
    EXPECT_EQ(server_->connection_count(), 1u) << "it may have closed its sending half alone";
    pass(3'000);
    EXPECT_EQ(closed(CloseReason::peer), 1u);
    expect_nothing_left();
}

// --- memory ------------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, TheMemoryOfAllFramesIsBoundedAndWhoCameFirstIsServedFirst) {
    start({.frames_bytes_max = 1'000});
    const SocketId first = connect();
    const SocketId second = connect();
    const SocketId third = connect();
    send(first, frame_of(std::string(600, '1')));
    send(second, frame_of(std::string(600, '2')));
    send(third, frame_of(std::string(300, '3')));
    // The third would fit, but the second came before it; else large frames would wait for ever.
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(600, '1')));
    EXPECT_EQ(server_->frames_bytes(), 600u);
    const int64_t now = clock_.wall_ms();
    answer_first("done");
    settle();
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(600, '2'), std::string(300, '3')));
    EXPECT_EQ(server_->frames_bytes(), 900u);
    EXPECT_EQ(clock_.wall_ms(), now);
}

TEST_F(ServerTest, ACrowdThatClaimsAllMemoryAndSendsNothingKeepsItForSeconds) {
    start({.frames_bytes_max = 1'000, .frame_time_ms = 30'000, .frame_bytes_per_second_min = 100});
    std::vector<SocketId> crowd;
    for (int i = 0; i < 5; ++i) {
        crowd.push_back(connect());
        send(crowd.back(), length_only(200));
    }
    pass(5'000);
    EXPECT_EQ(server_->connection_count(), 5u) << "nobody waits for it";
    const SocketId other = connect();
    send(other, frame_of(std::string(300, 'o')));
    for (int second = 0; second < 3; ++second) { pass(1'000); }
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(300, 'o')));
    EXPECT_EQ(closed(CloseReason::frame_late), 5u);
}

TEST_F(ServerTest, WhileOthersWaitForItsMemoryAFrameThatComesAtTheLeastRateIsLeftAlone) {
    start({.frames_bytes_max = 1'000, .frame_time_ms = 30'000, .frame_bytes_per_second_min = 100});
    const SocketId steady = connect();
    const auto frame = frame_of(std::string(900, 's'));
    send(steady, Bytes(frame).first(4));
    const SocketId other = connect();
    send(other, frame_of(std::string(300, 'o')));
    for (size_t at = 4; at < frame.size(); at += 100) {
        pass(1'000);
        send(steady, Bytes(frame).subspan(at, std::min<size_t>(100, frame.size() - at)));
    }
    pass(1'000);
    ASSERT_FALSE(keeper_.texts().empty());
    EXPECT_EQ(keeper_.texts().front(), std::string(900, 's'));
    EXPECT_EQ(closed(CloseReason::frame_late), 0u);
}

TEST_F(ServerTest, WhatWaitsForMemoryGoesOnAsSoonAsThereIsSome) {
    start({.frames_bytes_max = 1'000}, {.cut = false});
    const SocketId first = connect();
    const SocketId second = connect();
    send(first, frame_of(std::string(600, '1')));
    ASSERT_EQ(network_->send(second, frame_of(std::string(600, '2'))), 604u);
    settle();
    ASSERT_THAT(keeper_.frames, SizeIs(1));
    answer_first("done");
    // Nothing happens in the network, so waiting for it would last its whole time.
    const int64_t now = clock_.wall_ms();
    round(500);
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(600, '2')));
    EXPECT_EQ(clock_.wall_ms(), now);
}

TEST_F(ServerTest, OneConnectionHoldsAQuarterAndTheOthersGoOnMeanwhile) {
    start({.frames_bytes_max = 1'000}, {.cut = false});
    const SocketId greedy = connect();
    const SocketId other = connect();
    send(greedy, frame_of(std::string(200, 'a')));
    send(greedy, frame_of(std::string(100, 'b')));
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(200, 'a')));
    // Nothing else happens, so that a round that waits would last as long as it may.
    const int64_t now = clock_.wall_ms();
    ASSERT_EQ(network_->send(other, frame_of("small")), 9u);
    round(500);
    round(500);
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(200, 'a'), "small"));
    EXPECT_EQ(clock_.wall_ms(), now);
    answer_first("done");
    settle();
    EXPECT_THAT(keeper_.texts(), ElementsAre("small", std::string(100, 'b')));
}

TEST_F(ServerTest, AFrameAboveAQuarterComesInWhenItsConnectionHoldsNothingElse) {
    start({.frame_bytes_max = 8'000'000, .frames_bytes_max = 12'800'000});
    const SocketId large = connect();
    const SocketId other = connect();
    const auto frame = frame_of(std::string(8'000'000, 'x'));
    send(large, Bytes(frame).first(4'000'000));
    EXPECT_EQ(server_->frames_bytes(), 8'000'000u) << "reserved whole";
    for (int i = 0; i < 20; ++i) {
        send(other, frame_of("small"));
        ASSERT_THAT(keeper_.frames, SizeIs(1));
        answer_first("done");
        EXPECT_THAT(received(other), SizeIs(1));
    }
    send(large, Bytes(frame).subspan(4'000'000));
    EXPECT_THAT(keeper_.frames, SizeIs(1));
}

TEST_F(ServerTest, AFrameAboveAllMemoryComesInAlone) {
    start({.frame_bytes_max = 5'000, .frames_bytes_max = 1'000});
    const SocketId large = connect();
    const SocketId other = connect();
    send(other, frame_of("small"));
    const auto frame = frame_of(std::string(5'000, 'x'));
    ASSERT_EQ(network_->send(large, frame), frame.size());
    settle();
    EXPECT_THAT(keeper_.texts(), ElementsAre("small"));
    answer_first("done");
    settle();
    EXPECT_THAT(keeper_.frames, SizeIs(1));
}

TEST_F(ServerTest, APeerThatVanishesWhileItWaitsForMemoryLeavesNothingBehind) {
    start({.frames_bytes_max = 1'000, .idle_time_ms = 600'000});
    const SocketId first = connect();
    const SocketId gone = connect();
    const SocketId third = connect();
    send(first, frame_of(std::string(900, '1')));
    send(gone, frame_of(std::string(900, '2')));
    network_->reset(gone);
    send(third, frame_of(std::string(900, '3')));
    answer_first("done");
    settle();
    EXPECT_THAT(keeper_.texts(), ElementsAre(std::string(900, '3')));
    EXPECT_EQ(server_->connection_count(), 2u);
}

// --- the end -----------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, AServerThatHoldsTakesNoFrameMoreAndIsIdleOnceAllIsAnswered) {
    start();
    const SocketId socket = connect();
    send(socket, frame_of("before"));
    server_->stop_listening();
    server_->hold();
    ASSERT_EQ(network_->send(socket, frame_of("after")), 9u);
    settle();
    EXPECT_THAT(keeper_.texts(), ElementsAre("before"));
    EXPECT_FALSE(server_->idle());
    answer_first("done");
    EXPECT_THAT(received(socket), ElementsAre("done"));
    EXPECT_TRUE(server_->idle());
    server_->close_all(CloseReason::shutdown);
    EXPECT_EQ(closed(CloseReason::shutdown), 1u);
    expect_nothing_left();
}

}  // namespace
}  // namespace flowstone
