#include "tools/flowstone/client_settings.h"

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/paths.h"

namespace flowstone::tool {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

using Texts = std::vector<std::string>;

TEST(ClientSettings, EachReachesItsOption) {
    const auto client = with_settings(Texts{"client.id=till", "request.timeout.ms=7"}, ClientOptions{});
    EXPECT_EQ(client.client_id, "till");
    EXPECT_EQ(client.request_timeout, 7ms);

    const auto producer =
        with_settings(Texts{"linger.ms=0", "batch.size=1000", "buffer.memory=2000", "max.block.ms=3",
                            "delivery.timeout.ms=4", "compression.type=lz4", "enable.idempotence=false", "acks=0"},
                      ProducerOptions{});
    EXPECT_EQ(producer.linger, 0ms);
    EXPECT_EQ(producer.batch_bytes_max, 1000u);
    EXPECT_EQ(producer.buffer_bytes_max, 2000u);
    EXPECT_EQ(producer.full_wait_max, 3ms);
    EXPECT_EQ(producer.delivery_timeout, 4ms);
    EXPECT_EQ(producer.compression, Compression::lz4);
    EXPECT_EQ(producer.acks, Acks::none);
    EXPECT_FALSE(producer.idempotent);

    const auto consumer =
        with_settings(Texts{"isolation.level=read_committed", "fetch.max.bytes=5", "max.partition.fetch.bytes=6",
                            "check.crcs=false", "fetch.max.wait.ms=8", "group.instance.id=one", "session.timeout.ms=30",
                            "heartbeat.interval.ms=9", "max.poll.interval.ms=11", "metadata.max.age.ms=12",
                            "partition.assignment.strategy=cooperative-sticky,roundrobin"},
                      ConsumerOptions{.group = "billing"});
    EXPECT_TRUE(consumer.read_committed);
    EXPECT_EQ(consumer.fetch_bytes_max, 5u);
    EXPECT_EQ(consumer.partition_bytes_max, 6u);
    EXPECT_FALSE(consumer.check_crcs);
    EXPECT_EQ(consumer.fetch_wait, 8ms);
    EXPECT_EQ(consumer.instance, "one");
    EXPECT_EQ(consumer.session_timeout, 30ms);
    EXPECT_EQ(consumer.heartbeat_interval, 9ms);
    EXPECT_EQ(consumer.max_poll_interval, 11ms);
    EXPECT_EQ(consumer.topics_refresh, 12ms);
    EXPECT_THAT(consumer.assignors, ElementsAre(Assignor::cooperative_sticky, Assignor::round_robin));
    EXPECT_EQ(consumer.group, "billing");  // what is not said stays
}

TEST(ClientSettings, TheLastOneCountsAndOthersArePassedOver) {
    const auto options = with_settings(Texts{"linger.ms=1", "isolation.level=read_committed", "linger.ms=2"},
                                       ProducerOptions{.compression = Compression::zstd});
    EXPECT_EQ(options.linger, 2ms);
    EXPECT_EQ(options.compression, Compression::zstd);
}

TEST(ClientSettings, LessThanAllAcksIsWithoutIdempotenceUnlessThatIsAskedFor) {
    EXPECT_FALSE(with_settings(Texts{"acks=1"}, ProducerOptions{}).idempotent);
    EXPECT_TRUE(
        with_settings(Texts{"acks=1", "enable.idempotence=true"}, ProducerOptions{}).idempotent);  // refused later
    EXPECT_TRUE(with_settings(Texts{"acks=all"}, ProducerOptions{}).idempotent);
    EXPECT_TRUE(with_settings(Texts{"acks=-1"}, ProducerOptions{}).idempotent);
}

TEST(ClientSettings, AnUnknownNameIsRefusedWithTheOneThatMayBeMeant) {
    EXPECT_EQ(check_client_setting("liger.ms=5"), "clients have no setting 'liger.ms'; is it linger.ms?");
    EXPECT_EQ(check_client_setting("retention=5"), "clients have no setting 'retention'");
    EXPECT_EQ(check_client_setting("group.id=g"), "group.id is said by --group");
    EXPECT_EQ(check_client_setting("linger.ms"), "'linger.ms' is not NAME=VALUE");
    EXPECT_EQ(check_client_setting("=5"), "'=5' is not NAME=VALUE");
}

TEST(ClientSettings, AValueThatCannotBeIsRefusedWithWhatCan) {
    EXPECT_EQ(check_client_setting("linger.ms=soon"), "linger.ms takes milliseconds, from 0, not 'soon'");
    for (const char* text :
         {"linger.ms=-1", "linger.ms=", "linger.ms=2147483648", "linger.ms=1.5", "request.timeout.ms=0", "batch.size=0",
          "batch.size=-5", "fetch.max.bytes=99999999999", "acks=2", "acks=", "check.crcs=yes",
          "client.id=", "compression.type=rar", "isolation.level=serializable", "partition.assignment.strategy=",
          "partition.assignment.strategy=range,", "partition.assignment.strategy=range;sticky"}) {
        EXPECT_THAT(check_client_setting(text), HasSubstr(" takes ")) << text;
    }
    for (const char* text : {"linger.ms=0", "linger.ms=2147483647", "client.id=a=b", "acks=-1"}) {
        EXPECT_EQ(check_client_setting(text), "") << text;
    }
}

TEST(ClientSettings, ThePageListsThem) {
    const auto names = client_setting_names();
    EXPECT_TRUE(std::ranges::is_sorted(names));
    std::ifstream page(source_path("docs/CLIENT.md"));
    ASSERT_TRUE(page);
    std::vector<std::string> rows;
    bool in_section = false;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("## ")) { in_section = line == "## Settings of the tool's client"; }
        if (in_section && line.starts_with("| `")) { rows.push_back(line.substr(3, line.find('`', 3) - 3)); }
    }
    EXPECT_THAT(rows, ElementsAreArray(names));
}

}  // namespace
}  // namespace flowstone::tool
