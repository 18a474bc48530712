#include "tools/flowstone/endpoint.h"

#include <gtest/gtest.h>

#include "tests/storage/value_of.h"

namespace flowstone::tool {
namespace {

using Kind = Endpoint::Kind;

Result<Endpoint> parse(std::string_view text) {
    return parse_endpoint(text, [](const std::string& path) { return path == "there"; });
}

TEST(Endpoint, NamesItsTransport) {
    EXPECT_EQ(value_of(parse("dir:data")), (Endpoint{Kind::dir, "data"}));
    EXPECT_EQ(value_of(parse("shm:/data")), (Endpoint{Kind::shm, "/data"}));
    EXPECT_EQ(value_of(parse("localhost:9092")), (Endpoint{Kind::hosts, "localhost:9092"}));
    EXPECT_EQ(value_of(parse("a:1,b:65535")), (Endpoint{Kind::hosts, "a:1,b:65535"}));
    EXPECT_EQ(value_of(parse("[::1]:9092")), (Endpoint{Kind::hosts, "[::1]:9092"}));
}

TEST(Endpoint, AWordWithASlashOrOfADirectoryIsAPath) {
    EXPECT_EQ(value_of(parse("./data")), (Endpoint{Kind::path, "./data"}));
    EXPECT_EQ(value_of(parse("a:1/b")), (Endpoint{Kind::path, "a:1/b"}));
    EXPECT_EQ(value_of(parse("there")), (Endpoint{Kind::path, "there"}));
}

TEST(Endpoint, NoneIsTheDefaultDirectory) { EXPECT_EQ(value_of(parse("")), (Endpoint{Kind::dir, "./flowstone-data"})); }

TEST(Endpoint, APathThatNobodyServesIsADirectory) {
    EXPECT_FALSE(is_served("./no/such/thing"));
    EXPECT_EQ(value_of(choose_endpoint("./no/such/thing")), (Endpoint{Kind::dir, "./no/such/thing"}));
    EXPECT_EQ(value_of(choose_endpoint("shm:./no/such/thing")), (Endpoint{Kind::shm, "./no/such/thing"}));
    EXPECT_EQ(choose_endpoint("nowhere").error().code, Code::invalid);
}

TEST(Endpoint, RefusesWhatIsNeitherPathNorHost) {
    for (const char* text : {"nowhere", "dir:", "shm:", "host:", "host:0", "host:65536", "host:+1", "host:9x", ":9092",
                             "a:1,", ",a:1", "a:1,b", "host:99999999999999999999"}) {
        auto endpoint = parse(text);
        ASSERT_FALSE(endpoint) << text;
        EXPECT_EQ(endpoint.error().code, Code::invalid) << text;
    }
}

TEST(Endpoint, IsSaidToTheClientAsItTakesIt) {
    for (const char* text : {"dir:data", "shm:/data", "localhost:9092"}) {
        EXPECT_EQ(for_client(value_of(parse(text))), text);
    }
}

TEST(Endpoint, SomeCommandsTakeOnlyDirectories) {
    EXPECT_EQ(value_of(log_directory("dir:data")), "data");
    EXPECT_EQ(value_of(log_directory("./data")), "./data");
    EXPECT_EQ(log_directory("shm:data").error().code, Code::unsupported);
    EXPECT_EQ(log_directory("localhost:9092").error().code, Code::unsupported);
}

}  // namespace
}  // namespace flowstone::tool
