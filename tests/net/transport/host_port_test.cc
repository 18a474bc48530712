#include "net/transport/host_port.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

TEST(HostPort, HostsAndPortsAsPeopleWriteThem) {
    const struct {
        const char* text;
        HostPort at;
        const char* printed;
    } good[] = {
        {"127.0.0.1:9092", {"127.0.0.1", 9092}, "127.0.0.1:9092"},
        {"kafka-1.example.org:1", {"kafka-1.example.org", 1}, "kafka-1.example.org:1"},
        {"under_score:65535", {"under_score", 65535}, "under_score:65535"},
        {"[::1]:0", {"::1", 0}, "[::1]:0"},
        {"[fe80::1:2]:9092", {"fe80::1:2", 9092}, "[fe80::1:2]:9092"},
        {":9092", {"", 9092}, ":9092"},
        {"PLAINTEXT://:9092", {"", 9092}, ":9092"},
        {"PLAINTEXT://[::1]:9092", {"::1", 9092}, "[::1]:9092"},
    };
    for (const auto& one : good) {
        const auto parsed = parse_host_port(one.text);
        ASSERT_TRUE(parsed) << one.text << ": " << parsed.error().detail;
        EXPECT_EQ(*parsed, one.at) << one.text;
        EXPECT_EQ(parsed->to_string(), one.printed);
    }
}

TEST(HostPort, WhatIsNoneIsRefused) {
    for (const char* bad : {"",
                            ":",
                            "9092",
                            "host",
                            "host:",
                            "host:65536",
                            "host:-1",
                            "host:+1",
                            "host:9092x",
                            "host: 9092",
                            "host :9092",
                            "::1:9092",
                            "[::1]",
                            "[]:1",
                            "[x]:1",
                            "[1:2]:1",
                            "[::1:1",
                            "a b:1",
                            "a..b:1",
                            ".a:1",
                            "a.:1",
                            "-a:1",
                            "a-:1",
                            "1.2.3:1",
                            "1.2.3.4.5:1",
                            "256.0.0.1:1",
                            "0:1",
                            "127.1:1",
                            "0x7f000001:1",
                            "a.0x1:1",
                            "SSL://host:1",
                            "plaintext://host:1",
                            "http://host:1",
                            "host:1:2",
                            "h\xc3\xa4:1"}) {
        const auto parsed = parse_host_port(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_EQ(parsed.error().code, Code::invalid);
        EXPECT_NE(parsed.error().detail[0], '\0') << bad;
    }
    EXPECT_FALSE(parse_host_port(std::string(64, 'a') + ":1"));
    EXPECT_TRUE(parse_host_port(std::string(63, 'a') + ":1"));
    EXPECT_FALSE(parse_host_port(std::string(100'000, '.') + ":1"));
}

TEST(HostPort, WhoCanReachIt) {
    const auto at = [](const char* text) { return value_of(parse_host_port(text)); };
    for (const char* loopback : {"127.0.0.1:1", "127.255.255.254:1", "[::1]:1", "localhost:1"}) {
        EXPECT_TRUE(is_loopback(at(loopback))) << loopback;
        EXPECT_FALSE(is_any_address(at(loopback))) << loopback;
    }
    // A name may mean anything, whatever it looks like.
    for (const char* reachable :
         {"127.evil.example:1", "localhost.example:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:127.0.0.1]:1", "host:1"}) {
        EXPECT_FALSE(is_loopback(at(reachable))) << reachable;
        EXPECT_FALSE(is_any_address(at(reachable))) << reachable;
    }
    for (const char* any : {"0.0.0.0:1", "[::]:1", "[0:0:0:0:0:0:0:0]:1", "[::0.0.0.0]:1", ":1"}) {
        EXPECT_TRUE(is_any_address(at(any))) << any;
        EXPECT_FALSE(is_loopback(at(any))) << any;
    }
}

TEST(HostPort, APathIsNoHostThatSomebodyWrites) {
    EXPECT_TRUE(is_path({"/data/log/flowstone.sock", 0}));
    EXPECT_FALSE(is_path({"data", 9092}));
    EXPECT_EQ((HostPort{"/data/log/flowstone.sock", 0}).to_string(), "/data/log/flowstone.sock");
    EXPECT_FALSE(parse_host_port("/data/log/flowstone.sock"));
    EXPECT_FALSE(parse_host_port("/data/log/flowstone.sock:0"));
}

}  // namespace
}  // namespace flowstone
