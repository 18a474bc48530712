#include "net/http/http_connection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/http/http_pages.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {
namespace {

constexpr std::string_view get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

// A server that answers each request with what it understood. Takes and sends everything at once.
struct Served {
    HttpConnection connection{0};
    std::string sent;
    size_t requests = 0;

    void answer_all(int64_t now_ms = 0) {
        while (true) {
            if (auto request = connection.next_request(now_ms)) {
                ++requests;
                connection.answer({.body = fmt::format("{}|{}|{}", request->path, request->query, request->accept)},
                                  now_ms);
            }
            if (connection.output().empty()) { return; }
            sent += connection.output();
            connection.sent(connection.output().size(), now_ms);
        }
    }
    void receive(std::string_view text, int64_t now_ms = 0) {
        connection.receive(as_bytes(text), now_ms);
        answer_all(now_ms);
    }
};

std::string answer_to(std::string_view text) {
    Served served;
    served.receive(text);
    return served.sent + (served.connection.should_close() ? "[closed]" : "");
}
std::string status_of(std::string_view text) {
    const std::string answer = answer_to(text);
    return answer.empty() ? "none" : answer.substr(9, 3) + (answer.ends_with("[closed]") ? " closed" : "");
}
std::string body_of(std::string_view text) {
    const std::string answer = answer_to(text);
    const size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? answer : answer.substr(end + 4);
}

TEST(HttpConnection, AnswersAGet) {
    EXPECT_EQ(answer_to(get),
              "HTTP/1.1 200 OK\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 10\r\n"
              "\r\n"
              "/metrics||");
}

TEST(HttpConnection, TargetsInEveryForm) {
    const auto body = [](std::string_view target) {
        return body_of(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAccept: a\r\nACCEPT:  b \r\n\r\n", target));
    };
    EXPECT_EQ(body("/"), "/||a, b");
    EXPECT_EQ(body("/a/b%20c?x=1&y=?"), "/a/b%20c|x=1&y=?|a, b");
    EXPECT_EQ(body("/?"), "/||a, b");
    EXPECT_EQ(body("/a?u=http://x/"), "/a|u=http://x/|a, b");
    EXPECT_EQ(body("http://host:9644/metrics?x"), "/metrics|x|a, b");
    EXPECT_EQ(body("HTTP://host"), "/||a, b");
    EXPECT_EQ(body("http://host?x"), "/|x|a, b");
}

TEST(HttpConnection, HeadSaysHowLongTheBodyWouldBe) {
    const std::string answer = answer_to("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(answer.find("Content-Length: 10\r\n"), std::string::npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST(HttpConnection, KeepsTheConnectionAsItsVersionSays) {
    EXPECT_EQ(status_of(get), "200");
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "200 closed");
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, CLOSE\r\n\r\n"), "200 closed");
    EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), "200 closed");
    EXPECT_EQ(status_of("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "200");
    EXPECT_NE(answer_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").find("Connection: keep-alive\r\n"),
              std::string::npos);
    EXPECT_NE(answer_to("GET / HTTP/1.0\r\n\r\n").find("Connection: close\r\n"), std::string::npos);
}

TEST(HttpConnection, RefusesWhatItDoesNotServe) {
    const struct {
        const char* text;
        const char* status;
    } refused[] = {
        {"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "405 closed"},
        {"get / HTTP/1.1\r\nHost: x\r\n\r\n", "405 closed"},
        {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "405 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "413 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "413 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", "417 closed"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 closed"},
        {"GET / HTTP/1.1\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", "400 closed"},
        {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET / \r\nHost: x\r\n\r\n", "400 closed"},
        {"GET /\r\n\r\n", "400 closed"},
        {"GET\r\n\r\n", "400 closed"},
        {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET / HTTP/1.\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET / HTTP/x.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"GET / HTTPS/1.1\r\nHost: x\r\n\r\n", "400 closed"},
        {"\x16\x03\x01\x02\r\n\r\n", "400 closed"},
    };
    for (const auto& one : refused) { EXPECT_EQ(status_of(one.text), one.status) << one.text; }
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), "200");
    EXPECT_NE(answer_to("POST / HTTP/1.1\r\nHost: x\r\n\r\n").find("Allow: GET, HEAD\r\n"), std::string::npos);
}

TEST(HttpConnection, HeadersEndAtEightKiB) {
    const auto of_size = [](size_t size) {
        std::string text = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
        text.append(size - text.size() - 4, 'a');
        return text + "\r\n\r\n";
    };
    EXPECT_EQ(status_of(of_size(http_header_bytes_max)), "200");
    EXPECT_EQ(status_of(of_size(http_header_bytes_max + 1)), "431 closed");
    EXPECT_EQ(status_of(std::string(http_header_bytes_max - 1, 'a')), "none");
    EXPECT_EQ(status_of(std::string(http_header_bytes_max, 'a')), "431 closed");
    EXPECT_EQ(status_of(std::string(1'000'000, '\n')), "none") << "empty lines are nothing";
}

TEST(HttpConnection, RequestsThatComeTogetherAreAnsweredInTurn) {
    Served served;
    HttpConnection& connection = served.connection;
    std::string many;
    for (int i = 0; i < 3; ++i) { many += fmt::format("GET /{} HTTP/1.1\nHost: x\n\n\r\n", i); }
    connection.receive(as_bytes(std::string_view(many)), 0);
    const auto first = connection.next_request(0);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->path, "/0");
    EXPECT_FALSE(connection.next_request(0)) << "the first is not answered";
    connection.answer({.body = "zero"}, 0);
    EXPECT_FALSE(connection.next_request(0)) << "the answer is not sent";
    connection.sent(connection.output().size() - 1, 0);
    EXPECT_EQ(connection.output(), "o");
    EXPECT_FALSE(connection.next_request(0));
    connection.sent(1, 0);
    served.answer_all();
    EXPECT_EQ(served.requests, 2u);
    EXPECT_NE(served.sent.find("/1"), std::string::npos);
    EXPECT_TRUE(served.sent.ends_with("/2||"));
}

TEST(HttpConnection, NothingAfterARefusalIsServed) {
    const std::string answer = answer_to("GET /\r\n\r\n" + std::string(get));
    EXPECT_EQ(answer.find("HTTP/1.1 "), answer.rfind("HTTP/1.1 "));
    Served served;
    served.receive("GET / HTTP/1.0\r\n\r\n");
    EXPECT_FALSE(served.connection.wants_input());
    served.receive(get);
    EXPECT_EQ(served.requests, 1u);
}

TEST(HttpConnection, ReadsNoFurtherThanItMust) {
    HttpConnection connection(0);
    const std::string part = std::string(get) + std::string(http_header_bytes_max, 'a');
    EXPECT_TRUE(connection.wants_input());
    connection.receive(as_bytes(std::string_view(part)), 0);
    EXPECT_FALSE(connection.wants_input());
    ASSERT_TRUE(connection.next_request(0));
    EXPECT_FALSE(connection.wants_input());
}

TEST(HttpConnection, APeerThatEndsItsSideIsStillAnswered) {
    Served served;
    served.connection.receive(as_bytes(get), 0);
    served.connection.end_of_input();
    EXPECT_FALSE(served.connection.should_close());
    served.answer_all();
    EXPECT_EQ(served.requests, 1u);
    EXPECT_TRUE(served.connection.should_close());
    Served half;
    half.receive(get.substr(0, 20));
    EXPECT_FALSE(half.connection.should_close());
    half.connection.end_of_input();
    EXPECT_TRUE(half.connection.should_close()) << "the rest will never come";
}

TEST(HttpConnection, EverythingHasATimeToBeDone) {
    Served served;
    HttpConnection& connection = served.connection;
    EXPECT_EQ(connection.deadline_ms(), http_request_ms_max) << "nothing came yet";
    connection.receive(as_bytes(get.substr(0, 5)), 1'000);
    EXPECT_EQ(connection.deadline_ms(), 1'000 + http_request_ms_max);
    connection.receive(as_bytes(get.substr(5)), 9'000);
    EXPECT_EQ(connection.deadline_ms(), 1'000 + http_request_ms_max) << "a byte now and then does not help";
    ASSERT_TRUE(connection.next_request(9'000));
    EXPECT_EQ(connection.deadline_ms(), INT64_MAX) << "it is our turn";
    connection.answer({.body = "x"}, 20'000);
    EXPECT_EQ(connection.deadline_ms(), 20'000 + http_answer_ms_max);
    connection.sent(1, 50'000);
    EXPECT_EQ(connection.deadline_ms(), 20'000 + http_answer_ms_max) << "nor does fetching a byte now and then";
    connection.sent(connection.output().size(), 60'000);
    EXPECT_EQ(connection.deadline_ms(), 60'000 + http_idle_ms_max);
    connection.receive(as_bytes(std::string_view("\r\n")), 70'000);
    EXPECT_EQ(connection.deadline_ms(), 60'000 + http_idle_ms_max) << "an empty line is nothing";
    connection.receive(as_bytes(get.substr(0, 5)), 80'000);
    EXPECT_EQ(connection.deadline_ms(), 80'000 + http_request_ms_max);
}

// However the bytes are cut on their way.
TEST(HttpConnection, PiecesMakeNoDifference) {
    const std::string_view streams[] = {
        get,
        "\r\n\nGET /a?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /c HTTP/1.1\nHost: x\n\nHEAD / "
        "HTTP/1.1\r\nHost:x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\n\rc\r\n\r\n",
    };
    for (const std::string_view stream : streams) {
        const std::string whole = answer_to(stream);
        for (size_t cut = 0; cut <= stream.size(); ++cut) {
            for (size_t second = cut; second <= stream.size(); ++second) {
                Served served;
                served.receive(stream.substr(0, cut));
                served.receive(stream.substr(cut, second - cut));
                served.receive(stream.substr(second));
                ASSERT_EQ(served.sent + (served.connection.should_close() ? "[closed]" : ""), whole)
                    << cut << " " << second;
            }
        }
    }
}

TEST(HttpConnection, AnythingIsAnsweredOrRefused) {
    SimRandom random(5);
    for (int i = 0; i < 20'000; ++i) {
        std::string text =
            "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: text/plain, */*\r\nConnection: keep-alive\r\n\r\n";
        for (uint64_t n = random.below(5); n > 0; --n) {
            const size_t at = random.below(text.size());
            if (random.below(2) == 0) {
                text[at] = static_cast<char>(random.below(256));
            } else {
                text.erase(at, 1 + random.below(10));
            }
            if (text.empty()) { break; }
        }
        Served served;
        served.receive(text);
        ASSERT_TRUE(served.sent.empty() || served.sent.starts_with("HTTP/1.1 ")) << text;
        ASSERT_LE(served.requests, 1u);
    }
}

TEST(HttpPages, ServesWhatThereIs) {
    HttpPages pages;
    pages.add("/healthz", [](const HttpRequest&) { return HttpAnswer{.body = "ok\n"}; });
    pages.add("/metrics", [](const HttpRequest& request) { return HttpAnswer{.body = request.query}; });
    EXPECT_EQ(pages.answer({.path = "/healthz"}).body, "ok\n");
    EXPECT_EQ(pages.answer({.path = "/metrics", .query = "x"}).body, "x");
    const HttpAnswer none = pages.answer({.path = "/metric"});
    EXPECT_EQ(none.status, 404);
    EXPECT_NE(none.body.find("/healthz\n/metrics\n"), std::string::npos);
}

}  // namespace
}  // namespace flowstone
