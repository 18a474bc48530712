#include "net/http/http_server.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world/sim_clock.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// Peers as strings, which take and give a few bytes at a time.
class StringNetwork final : public Network {
public:
    struct Peer {
        std::string to_read;
        bool ends = false;
        bool breaks = false;
        std::string got;
        size_t room = 1'000'000;
        bool closed = false;
    };

    Peer& connect(std::string text) {
        const ConnectionId id = ++last_id_;
        waiting_.push_back(id);
        Peer& peer = peers[id];
        peer.to_read = std::move(text);
        return peer;
    }

    Result<Listener> listen(const HostPort& address) override { return Listener{1, {address.host, 1234}}; }
    Result<void> wait(int64_t timeout_ns, std::vector<NetworkEvent>& events) override {
        waited_ns = timeout_ns;
        if (!waiting_.empty()) { events.push_back({.id = 1, .readable = true}); }
        for (const auto& [id, peer] : peers) {
            if (!peer.closed) {
                events.push_back({id, !peer.to_read.empty() || peer.ends || peer.breaks, peer.room > 0});
            }
        }
        return {};
    }
    void wake() override {}
    Result<std::optional<Accepted>> accept(ListenerId /*listener*/) override {
        if (refuses) { return fail(Code::busy, "accept"); }
        if (waiting_.empty()) { return std::optional<Accepted>(); }
        const ConnectionId id = waiting_.front();
        waiting_.pop_front();
        return std::optional(Accepted{id, {"10.0.0.1", 1}, {"127.0.0.1", 1234}});
    }
    Result<ReadBytes> read(ConnectionId id, MutableBytes into) override {
        Peer& peer = peers.at(id);
        EXPECT_FALSE(peer.closed);
        if (peer.breaks) { return fail(Code::io, "read"); }
        const size_t bytes = std::min(into.size(), peer.to_read.size());
        std::memcpy(into.data(), peer.to_read.data(), bytes);
        peer.to_read.erase(0, bytes);
        return ReadBytes{bytes, peer.ends && peer.to_read.empty() && bytes < into.size()};
    }
    Result<size_t> write(ConnectionId id, std::span<const Bytes> pieces) override {
        Peer& peer = peers.at(id);
        EXPECT_FALSE(peer.closed);
        size_t taken = 0;
        for (const Bytes piece : pieces) {
            const size_t bytes = std::min(piece.size(), peer.room);
            peer.got += as_text(piece.first(bytes));
            peer.room -= bytes;
            taken += bytes;
        }
        return taken;
    }
    void close(uint64_t id) override {
        if (id == 1) { return; }
        EXPECT_FALSE(peers.at(id).closed);
        peers.at(id).closed = true;
    }

    std::map<ConnectionId, Peer> peers;
    bool refuses = false;
    int64_t waited_ns = 0;

private:
    ConnectionId last_id_ = 1;
    std::deque<ConnectionId> waiting_;
};

class HttpServerTest : public testing::Test {
protected:
    HttpServerTest() {
        pages_.add("/", [](const HttpRequest&) { return HttpAnswer{.body = "hello\n"}; });
        pages_.add("/large", [](const HttpRequest&) { return HttpAnswer{.body = std::string(100'000, 'x')}; });
        EXPECT_EQ(value_of(server_.listen({"127.0.0.1", 0})).port, 1234);
    }
    void run() {
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(network_.wait(server_.quiet_ns(), events));
        server_.turn(events);
    }

    static constexpr const char* get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    SimClock clock_;
    StringNetwork network_;
    HttpPages pages_;
    HttpServer server_{network_, clock_, pages_, 3};
};

TEST_F(HttpServerTest, ServesPagesAndKeepsTheConnection) {
    auto& peer = network_.connect(get);
    run();
    EXPECT_TRUE(peer.got.ends_with("\r\n\r\nhello\n")) << peer.got;
    EXPECT_FALSE(peer.closed);
    peer.got.clear();
    peer.to_read = std::string(get) + "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + get;
    run();
    EXPECT_NE(peer.got.find("404 Not Found"), std::string::npos);
    EXPECT_TRUE(peer.got.ends_with("hello\n"));
    peer.ends = true;
    run();
    clock_.advance_ms(10'000);
    run();
    EXPECT_TRUE(peer.closed);
    EXPECT_EQ(server_.connection_count(), 0u);
}

TEST_F(HttpServerTest, AnAnswerLeavesAsThePeerTakesIt) {
    auto& peer = network_.connect("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.room = 10;
    for (int i = 0; i < 20; ++i) {
        run();
        peer.room = 7'000;
    }
    EXPECT_TRUE(peer.got.ends_with(std::string(100'000, 'x')));
    EXPECT_FALSE(peer.closed);
}

TEST_F(HttpServerTest, WhoIsRefusedIsGivenTimeToReadWhy) {
    auto& peer =
        network_.connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'p'));
    run();
    run();
    EXPECT_NE(peer.got.find("405 Method Not Allowed"), std::string::npos);
    EXPECT_TRUE(peer.to_read.empty()) << "what was still to come is taken and thrown away";
    EXPECT_FALSE(peer.closed);
    clock_.advance_ms(1'999);
    run();
    EXPECT_FALSE(peer.closed);
    clock_.advance_ms(1);
    run();
    EXPECT_TRUE(peer.closed);
    EXPECT_EQ(peer.got.find("HTTP/1.1 "), peer.got.rfind("HTTP/1.1 "));
}

TEST_F(HttpServerTest, WhoEndsAfterTheAnswerIsClosedAtOnce) {
    auto& peer = network_.connect("GET / HTTP/1.0\r\n\r\n");
    run();
    EXPECT_FALSE(peer.closed);
    peer.ends = true;
    run();
    EXPECT_TRUE(peer.closed);
    auto& broken = network_.connect(get);
    broken.breaks = true;
    run();
    EXPECT_TRUE(broken.closed);
}

TEST_F(HttpServerTest, WhoIsSilentOrSlowIsClosed) {
    auto& silent = network_.connect("");
    auto& slow = network_.connect("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    slow.room = 10;
    run();
    run();
    EXPECT_GT(network_.waited_ns, 0);
    EXPECT_LE(network_.waited_ns, http_request_ms_max * 1'000'000) << "it wakes up for that";
    clock_.advance_ms(http_request_ms_max);
    run();
    EXPECT_TRUE(silent.closed);
    EXPECT_FALSE(slow.closed);
    clock_.advance_ms(http_answer_ms_max);
    run();
    EXPECT_TRUE(slow.closed);
    run();
    EXPECT_LT(network_.waited_ns, 0) << "nobody is there";
}

TEST_F(HttpServerTest, WhoIsSilentForLongestMakesRoom) {
    std::vector<StringNetwork::Peer*> peers;
    for (int i = 0; i < 3; ++i) {
        peers.push_back(&network_.connect(""));
        run();
        clock_.advance_ms(10);
    }
    peers[0]->to_read = get;
    run();
    auto& fourth = network_.connect(get);
    run();
    EXPECT_EQ(server_.connection_count(), 3u);
    EXPECT_TRUE(peers[1]->closed);
    EXPECT_FALSE(peers[0]->closed || peers[2]->closed || fourth.closed);
    EXPECT_TRUE(fourth.got.ends_with("hello\n"));
}

TEST_F(HttpServerTest, ConnectionsThatCannotBeTakenAreTakenLater) {
    network_.refuses = true;
    auto& peer = network_.connect(get);
    run();
    EXPECT_EQ(server_.connection_count(), 0u);
    network_.refuses = false;
    run();
    EXPECT_LE(network_.waited_ns, 1'000'000'000);
    EXPECT_GE(network_.waited_ns, 0);
    EXPECT_TRUE(peer.got.ends_with("hello\n"));
}

TEST_F(HttpServerTest, APeerWithMuchToAskDoesNotKeepOthersWaiting) {
    std::string many;
    for (int i = 0; i < 1'000; ++i) { many += get; }
    auto& greedy = network_.connect(many);
    auto& modest = network_.connect(get);
    run();
    EXPECT_TRUE(modest.got.ends_with("hello\n"));
    EXPECT_FALSE(greedy.to_read.empty());
    for (int i = 0; i < 100; ++i) { run(); }
    EXPECT_TRUE(greedy.to_read.empty());
    size_t answers = 0;
    for (size_t at = greedy.got.find("hello\n"); at != std::string::npos; at = greedy.got.find("hello\n", at + 1)) {
        ++answers;
    }
    EXPECT_EQ(answers, 1'000u);
}

}  // namespace
}  // namespace flowstone
