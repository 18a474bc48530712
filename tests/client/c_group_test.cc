// Members of groups by the C header, against a broker of ours as a process, over TCP on loopback.
#include <flowstone/flowstone.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/served_log.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t patience = 30'000;
constexpr int64_t a_moment = 20;  // of a poll, where several members are polled in turn

std::string text(flowstone_bytes bytes) { return {bytes.data, bytes.size}; }
std::string text(const flowstone_topic_partition& place) {
    return text(place.topic) + "-" + std::to_string(place.partition);
}
flowstone_topic_partition place(const char* topic, int32_t partition = 0) {
    return {flowstone_text(topic), partition, 0};
}

flowstone_consumer_options options_of(const char* group) {
    flowstone_consumer_options options{};
    options.size = sizeof options;
    options.group = flowstone_text(group);
    options.heartbeat_interval_ms = 50;  // so that a member hears of another soon
    return options;
}

// One consumer, polled a record at a time.
class Member {
public:
    Member(flowstone_client* client, const flowstone_consumer_options& options) {
        EXPECT_EQ(flowstone_client_consumer(client, &options, &consumer, &error), FLOWSTONE_OK) << error.message;
    }
    ~Member() { flowstone_consumer_free(consumer); }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    void subscribe(const std::vector<const char*>& topics) {
        std::vector<flowstone_bytes> names;
        for (const char* topic : topics) { names.push_back(flowstone_text(topic)); }
        ASSERT_EQ(flowstone_consumer_subscribe(consumer, names.data(), names.size(), &error), FLOWSTONE_OK)
            << error.message;
    }
    // What one poll found: a record, "payments-0@0=a"; what the group did, "+payments-0 payments-1" (- revoked, ! lost); an
    // error's name; nothing.
    std::string poll(int64_t timeout_ms = patience) {
        flowstone_view view{};
        flowstone_topic_partition source{};
        size_t count = 0;
        const int32_t code = flowstone_consumer_poll(consumer, &view, 1, timeout_ms, &source, &count, &error);
        if (code != FLOWSTONE_OK) { return flowstone_code_name(code); }
        std::string said = change();
        if (count == 0) { return said; }
        EXPECT_EQ(said, "") << "with a record";
        return text(source) + "@" + std::to_string(view.offset) + "=" + text(view.value);
    }
    // What the last poll found that the group did.
    std::string change() const {
        flowstone_change found{};
        EXPECT_EQ(flowstone_consumer_change(consumer, &found, nullptr), FLOWSTONE_OK);
        constexpr std::string_view signs = "_+-!";
        if (found.kind == FLOWSTONE_CHANGE_NONE) {
            EXPECT_EQ(found.count, 0u);
            return "";
        }
        std::string said(1, signs.at(static_cast<size_t>(found.kind)));
        for (size_t i = 0; i < found.count; ++i) { said += (i == 0 ? "" : " ") + text(found.partitions[i]); }
        return said;
    }
    std::vector<std::string> assignment() {
        const flowstone_topic_partition* places = nullptr;
        size_t count = 0;
        EXPECT_EQ(flowstone_consumer_assignment(consumer, &places, &count, &error), FLOWSTONE_OK) << error.message;
        std::vector<std::string> names;
        for (size_t i = 0; i < count; ++i) { names.push_back(text(places[i])); }
        return names;
    }
    int64_t position(flowstone_topic_partition where) {
        int64_t offset = -5;
        EXPECT_EQ(flowstone_consumer_position(consumer, where, &offset, &error), FLOWSTONE_OK) << error.message;
        return offset;
    }
    int32_t commit() { return flowstone_consumer_commit(consumer, patience, &error); }
    int32_t commit(const flowstone_group_offset& offset) {
        return flowstone_consumer_commit_offsets(consumer, &offset, 1, patience, &error);
    }
    // Of payments, as PARTITION=OFFSET and its metadata.
    std::vector<std::string> committed() {
        const flowstone_topic_partition both[] = {place("payments", 1), place("payments", 0)};
        flowstone_offset_list* list = nullptr;
        EXPECT_EQ(flowstone_consumer_committed(consumer, both, 2, patience, &list, &error), FLOWSTONE_OK)
            << error.message;
        std::vector<std::string> found;
        for (size_t i = 0; i < flowstone_offset_list_count(list); ++i) {
            flowstone_group_offset one{};
            EXPECT_EQ(flowstone_offset_list_get(list, i, &one, &error), FLOWSTONE_OK);
            EXPECT_EQ(text(one.topic), "payments");
            found.push_back(std::to_string(one.partition) + "=" + std::to_string(one.offset) + text(one.metadata));
        }
        flowstone_offset_list_free(list);
        return found;
    }
    int32_t unsubscribe() { return flowstone_consumer_unsubscribe(consumer, patience, &error); }
    int32_t close() { return flowstone_consumer_close(std::exchange(consumer, nullptr), patience, &error); }

    flowstone_consumer* consumer = nullptr;
    flowstone_error error{};
};

class CGroupTest : public testing::Test {
protected:
    CGroupTest() {
        EXPECT_EQ(flowstone_client_open(flowstone_text(broker_.address().c_str()), nullptr, &client_, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    ~CGroupTest() override { flowstone_client_close(client_, patience, nullptr); }
    void create(const char* name, int32_t partitions = 1) {
        flowstone_topic_options options{};
        options.size = sizeof options;
        options.partitions = partitions;
        ASSERT_EQ(flowstone_client_create_topic(client_, flowstone_text(name), &options, patience, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    // As one batch.
    void send(const char* name, const std::vector<const char*>& values, int32_t partition = 0) {
        flowstone_producer_options options{};
        options.size = sizeof options;
        options.linger_ms = 60'000;
        flowstone_producer* producer = nullptr;
        flowstone_producer_topic* topic = nullptr;
        ASSERT_EQ(flowstone_client_producer(client_, &options, &producer, &error_), FLOWSTONE_OK) << error_.message;
        ASSERT_EQ(flowstone_producer_open_topic(producer, flowstone_text(name), patience, &topic, &error_),
                  FLOWSTONE_OK)
            << error_.message;
        for (const char* value : values) {
            flowstone_record record{};
            record.value = flowstone_text(value);
            EXPECT_EQ(flowstone_producer_topic_send(topic, &record, partition, nullptr, &error_), FLOWSTONE_OK);
        }
        EXPECT_EQ(flowstone_producer_flush(producer, patience, &error_), FLOWSTONE_OK) << error_.message;
        flowstone_producer_topic_free(topic);
        flowstone_producer_free(producer);
    }
    static std::string poll_until(const std::function<std::string()>& poll, std::string_view wanted) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience);
        std::string found;
        while (found != wanted && std::chrono::steady_clock::now() < end) { found = poll(); }
        return found;
    }

    TestDirectory directory_;
    BrokerProcess broker_{directory_.log()};
    flowstone_client* client_ = nullptr;
    flowstone_error error_{};
};

TEST_F(CGroupTest, AMemberIsGivenPartitionsAndCommitsBehindWhatItWasGiven) {
    create("payments");
    send("payments", {"a", "b", "c"});
    Member first(client_, options_of("billing"));
    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0");
    EXPECT_THAT(first.assignment(), ElementsAre("payments-0"));
    EXPECT_THAT(first.committed(), IsEmpty());
    EXPECT_EQ(first.poll(), "payments-0@0=a");
    EXPECT_EQ(first.position(place("payments")), 1) << "of a batch of three";
    ASSERT_EQ(first.commit(), FLOWSTONE_OK) << first.error.message;
    EXPECT_THAT(first.committed(), ElementsAre("0=1"));
    EXPECT_EQ(first.poll(), "payments-0@1=b");
    EXPECT_EQ(first.close(), FLOWSTONE_OK) << first.error.message;

    Member second(client_, options_of("billing"));
    second.subscribe({"payments"});
    EXPECT_EQ(second.poll(), "+payments-0");
    EXPECT_EQ(second.poll(), "payments-0@1=b") << "nobody said that it is done";
    EXPECT_EQ(second.poll(), "payments-0@2=c");
    ASSERT_EQ(second.commit(), FLOWSTONE_OK) << second.error.message;
    EXPECT_THAT(second.committed(), ElementsAre("0=3"));
}

TEST_F(CGroupTest, OffsetsAreCommittedWithTheirMetadataAndToldInTheOrderAsked) {
    create("payments", 2);
    Member member(client_, options_of("billing"));
    const flowstone_group_offset both[] = {{flowstone_text("payments"), 7, 0, 0, flowstone_text(" of seven")},
                                           {flowstone_text("payments"), 9, 1, 0, {nullptr, 0}}};
    ASSERT_EQ(flowstone_consumer_commit_offsets(member.consumer, both, 2, patience, &member.error), FLOWSTONE_OK)
        << member.error.message;
    EXPECT_THAT(member.committed(), ElementsAre("1=9", "0=7 of seven"));
    EXPECT_EQ(flowstone_consumer_commit_offsets(member.consumer, nullptr, 0, patience, &member.error), FLOWSTONE_OK);
}

// Without a callback: a poll ends for it, and what was revoked is still there until the next.
TEST_F(CGroupTest, WhatIsRevokedMayBeCommittedUntilTheNextPoll) {
    create("payments", 2);
    send("payments", {"a", "b"}, 0);
    send("payments", {"c", "d"}, 1);
    Member first(client_, options_of("billing"));
    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0 payments-1");
    std::vector<std::string> given;
    for (int i = 0; i < 4; ++i) { given.push_back(first.poll()); }
    EXPECT_THAT(given,
                testing::UnorderedElementsAre("payments-0@0=a", "payments-0@1=b", "payments-1@0=c", "payments-1@1=d"));

    Member second(client_, options_of("billing"));
    second.subscribe({"payments"});
    EXPECT_EQ(poll_until([&] { return first.poll(a_moment); }, "-payments-0 payments-1"), "-payments-0 payments-1");
    for (int i = 0; i < 3; ++i) { EXPECT_EQ(second.poll(a_moment), "") << "the first has them still"; }
    EXPECT_EQ(first.change(), "-payments-0 payments-1") << "asked again";
    EXPECT_THAT(first.assignment(), ElementsAre("payments-0", "payments-1"));
    ASSERT_EQ(first.commit(), FLOWSTONE_OK) << first.error.message;
    send("payments", {"e"}, 0);
    send("payments", {"f"}, 1);

    std::string first_said;
    std::string second_said;
    EXPECT_EQ(poll_until(
                  [&] {
                      if (first_said.empty()) { first_said = first.poll(a_moment); }
                      if (second_said.empty()) { second_said = second.poll(a_moment); }
                      return first_said.empty() || second_said.empty() ? "" : "both";
                  },
                  "both"),
              "both");
    EXPECT_THAT((std::vector{first_said, second_said}), testing::UnorderedElementsAre("+payments-0", "+payments-1"));
    EXPECT_THAT((std::vector{first.poll(), second.poll()}),
                testing::UnorderedElementsAre("payments-0@2=e", "payments-1@2=f"));
}

TEST_F(CGroupTest, WhoSaysNothingAboutAChangeGoesOnAllTheSame) {
    create("payments");
    send("payments", {"a"});
    Member first(client_, options_of("billing"));
    first.subscribe({"payments"});
    flowstone_view view{};
    size_t count = 0;
    for (int polls = 0; count == 0 && polls < 2; ++polls) {
        ASSERT_EQ(flowstone_consumer_poll(first.consumer, &view, 1, patience, nullptr, &count, &first.error),
                  FLOWSTONE_OK)
            << first.error.message;
    }
    EXPECT_EQ(text(view.value), "a");
    EXPECT_EQ(first.change(), "");
}

TEST_F(CGroupTest, AutomaticallyCommittedIsWhatWasGivenOfABatchAndNoMore) {
    create("payments");
    send("payments", {"a", "b", "c"});
    auto options = options_of("billing");
    options.auto_commit_ms = 1;
    Member first(client_, options);
    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0");
    EXPECT_EQ(first.poll(), "payments-0@0=a");
    ASSERT_EQ(first.unsubscribe(), FLOWSTONE_OK) << first.error.message;
    EXPECT_THAT(first.committed(), ElementsAre("0=1"));
    EXPECT_THAT(first.assignment(), IsEmpty());
    EXPECT_EQ(first.change(), "");
    EXPECT_EQ(first.poll(a_moment), "") << "the rest of the batch is not its own any more";

    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0");
    EXPECT_EQ(first.poll(), "payments-0@1=b");
    EXPECT_EQ(first.close(), FLOWSTONE_OK) << first.error.message;
    Member second(client_, options_of("billing"));
    EXPECT_THAT(second.committed(), ElementsAre("0=2"));
}

TEST_F(CGroupTest, WhoIsFencedIsToldWhatItLostAndWhy) {
    create("payments");
    send("payments", {"a"});
    auto options = options_of("billing");
    options.instance = flowstone_text("one");
    Member first(client_, options);
    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0");
    EXPECT_EQ(first.poll(), "payments-0@0=a");
    Member second(client_, options);
    second.subscribe({"payments"});
    EXPECT_EQ(second.poll(), "+payments-0");
    EXPECT_EQ(first.poll(), "!payments-0");
    EXPECT_THAT(first.assignment(), IsEmpty());
    EXPECT_EQ(first.commit({flowstone_text("payments"), 1, 0, 0, {nullptr, 0}}), FLOWSTONE_STALE_EPOCH);
    EXPECT_EQ(first.error.advice, FLOWSTONE_ADVICE_FENCED);
    EXPECT_EQ(first.poll(), "stale_epoch");
    EXPECT_EQ(first.change(), "");
    EXPECT_THAT(first.error.message, HasSubstr("FENCED_INSTANCE_ID"));
}

TEST_F(CGroupTest, TopicsAreChosenByAnExpression) {
    create("payments");
    create("refunds");
    create("people");
    Member member(client_, options_of("billing"));
    ASSERT_EQ(flowstone_consumer_subscribe_matching(member.consumer, flowstone_text("p.*"), &member.error),
              FLOWSTONE_OK)
        << member.error.message;
    EXPECT_EQ(member.poll(), "+payments-0 people-0");
    EXPECT_EQ(flowstone_consumer_subscribe_matching(member.consumer, flowstone_text("("), &member.error),
              FLOWSTONE_INVALID);
    const auto where = place("payments");
    EXPECT_EQ(flowstone_consumer_assign(member.consumer, &where, 1, {}, &member.error), FLOWSTONE_INVALID);
}

TEST_F(CGroupTest, WhereNothingIsCommittedStartDecides) {
    create("payments");
    send("payments", {"a"});
    auto options = options_of("billing");
    options.start = FLOWSTONE_START_END;
    Member at_the_end(client_, options);
    at_the_end.subscribe({"payments"});
    EXPECT_EQ(at_the_end.poll(), "+payments-0");
    flowstone_from from{};
    ASSERT_EQ(flowstone_consumer_seek(at_the_end.consumer, place("payments"), from, nullptr), FLOWSTONE_OK);
    EXPECT_EQ(at_the_end.poll(), "payments-0@0=a") << "a seek before the poll holds";
    ASSERT_EQ(at_the_end.unsubscribe(), FLOWSTONE_OK);
    at_the_end.subscribe({"payments"});
    EXPECT_EQ(at_the_end.poll(), "+payments-0");
    const auto end_is_known = [&] {
        EXPECT_EQ(at_the_end.poll(a_moment), "");
        int64_t end = 0;
        return std::string(
            flowstone_code_name(flowstone_consumer_position(at_the_end.consumer, place("payments"), &end, nullptr)));
    };
    ASSERT_EQ(poll_until(end_is_known, "ok"), "ok");
    send("payments", {"b"});
    EXPECT_EQ(at_the_end.poll(), "payments-0@1=b");

    options = options_of("others");
    options.start = FLOWSTONE_START_ERROR;
    Member careful(client_, options);
    careful.subscribe({"payments"});
    EXPECT_EQ(careful.poll(), "+payments-0");
    EXPECT_EQ(careful.poll(), "not_found");
    EXPECT_THAT(careful.error.message, HasSubstr("payments-0"));
}

TEST_F(CGroupTest, AssignorsAreAskedForInTheirOrder) {
    create("payments", 4);
    const int32_t cooperative[] = {FLOWSTONE_ASSIGNOR_COOPERATIVE_STICKY};
    auto options = options_of("billing");
    options.assignors = cooperative;
    options.assignor_count = 1;
    Member first(client_, options);
    first.subscribe({"payments"});
    EXPECT_EQ(first.poll(), "+payments-0 payments-1 payments-2 payments-3");
    Member second(client_, options);
    second.subscribe({"payments"});
    std::string revoked;
    EXPECT_EQ(poll_until(
                  [&] {
                      const std::string said = first.poll(a_moment);
                      if (said.starts_with("-")) { revoked = said; }
                      return second.poll(a_moment).substr(0, 2);
                  },
                  "+p"),
              "+p");
    EXPECT_EQ(revoked, "-payments-2 payments-3") << "what stays is not taken";
    EXPECT_THAT(first.assignment(), ElementsAre("payments-0", "payments-1"));
    EXPECT_THAT(second.assignment(), ElementsAre("payments-2", "payments-3"));

    const int32_t range[] = {FLOWSTONE_ASSIGNOR_RANGE};
    options.assignors = range;
    Member other(client_, options);
    other.subscribe({"payments"});
    EXPECT_EQ(other.poll(), "invalid") << "they have no assignor in common";
}

TEST_F(CGroupTest, WhatIsAskedWronglyIsRefused) {
    flowstone_consumer* consumer = nullptr;
    const auto refused = [&](auto change) {
        auto options = options_of("billing");
        options.heartbeat_interval_ms = 0;
        change(options);
        EXPECT_EQ(flowstone_client_consumer(client_, &options, &consumer, &error_), FLOWSTONE_INVALID)
            << error_.message;
    };
    const int32_t unknown[] = {4};
    const int32_t negative[] = {-1};
    const int32_t many[17] = {};
    refused([](auto& options) { options.group = {nullptr, 0}, options.instance = flowstone_text("one"); });
    refused([](auto& options) { options.group = {nullptr, 3}; });
    refused([](auto& options) { options.instance = {nullptr, 3}; });
    refused([&](auto& options) { options.assignors = unknown, options.assignor_count = 1; });
    refused([&](auto& options) { options.assignors = negative, options.assignor_count = 1; });
    refused([&](auto& options) { options.assignors = many, options.assignor_count = 17; });
    refused([](auto& options) { options.assignor_count = 1; });
    refused([](auto& options) { options.start = 3; });
    refused([](auto& options) { options.start = -1; });
    refused([](auto& options) { options.session_timeout_ms = 8'999; });
    refused([](auto& options) { options.heartbeat_interval_ms = 15'001; });
    refused([](auto& options) { options.max_poll_interval_ms = -1; });
    refused([](auto& options) { options.max_poll_interval_ms = 86'400'001; });
    refused([](auto& options) { options.auto_commit_ms = -2; });
    refused([](auto& options) { options.topics_refresh_ms = -1; });
    EXPECT_EQ(consumer, nullptr);

    flowstone_consumer_options none{};
    none.size = sizeof none;
    Member alone(client_, none);
    const auto topic = flowstone_text("payments");
    EXPECT_EQ(flowstone_consumer_subscribe(alone.consumer, &topic, 1, &alone.error), FLOWSTONE_INVALID);
    EXPECT_EQ(alone.commit(), FLOWSTONE_INVALID);
    EXPECT_THAT(alone.error.message, HasSubstr("no group"));
    flowstone_offset_list* list = nullptr;
    EXPECT_EQ(flowstone_consumer_committed(alone.consumer, nullptr, 0, 0, &list, &alone.error), FLOWSTONE_INVALID);
    EXPECT_EQ(alone.unsubscribe(), FLOWSTONE_OK) << "nothing is there to give up";
    EXPECT_EQ(list, nullptr);

    Member member(client_, options_of("billing"));
    const auto bad = flowstone_bytes{nullptr, 3};
    EXPECT_EQ(flowstone_consumer_subscribe(member.consumer, nullptr, 0, &member.error), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_consumer_subscribe(member.consumer, &bad, 1, &member.error), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_consumer_subscribe_matching(member.consumer, bad, &member.error), FLOWSTONE_INVALID);
    EXPECT_EQ(member.commit({bad, 1, 0, 0, {nullptr, 0}}), FLOWSTONE_INVALID);
    EXPECT_EQ(member.commit({topic, 1, 0, 0, bad}), FLOWSTONE_INVALID);
}

TEST_F(CGroupTest, WhatMustNotBeNullIsAsked) {
    Member member(client_, options_of("billing"));
    flowstone_error* const e = &member.error;
    flowstone_consumer* const consumer = member.consumer;
    const auto topic = flowstone_text("payments");
    flowstone_offset_list* list = nullptr;
    flowstone_change change{};
    size_t count = 0;
    const auto invalid = [&](int32_t code) {
        EXPECT_EQ(code, FLOWSTONE_INVALID);
        EXPECT_THAT(member.error.message, HasSubstr("NULL"));
        member.error = {};
    };
    invalid(flowstone_consumer_close(nullptr, 0, e));
    invalid(flowstone_consumer_subscribe(nullptr, &topic, 1, e));
    invalid(flowstone_consumer_subscribe(consumer, nullptr, 1, e));
    invalid(flowstone_consumer_subscribe_matching(nullptr, topic, e));
    invalid(flowstone_consumer_unsubscribe(nullptr, 0, e));
    invalid(flowstone_consumer_assignment(nullptr, nullptr, &count, e));
    invalid(flowstone_consumer_assignment(consumer, nullptr, nullptr, e));
    invalid(flowstone_consumer_change(nullptr, &change, e));
    invalid(flowstone_consumer_change(consumer, nullptr, e));
    invalid(flowstone_consumer_commit(nullptr, 0, e));
    invalid(flowstone_consumer_commit_offsets(nullptr, nullptr, 0, 0, e));
    invalid(flowstone_consumer_commit_offsets(consumer, nullptr, 1, 0, e));
    invalid(flowstone_consumer_committed(nullptr, nullptr, 0, 0, &list, e));
    invalid(flowstone_consumer_committed(consumer, nullptr, 1, 0, &list, e));
    invalid(flowstone_consumer_committed(consumer, nullptr, 0, 0, nullptr, e));
    EXPECT_EQ(flowstone_consumer_assignment(consumer, nullptr, &count, e), FLOWSTONE_OK);
    EXPECT_EQ(count, 0u);
}

// As it was before there were groups here: what lies behind is not looked at.
TEST_F(CGroupTest, AProgramOfAnOlderHeaderHasAConsumerWithoutAGroup) {
    auto options = options_of("billing");
    options.size = 40;
    options.start = 77;
    Member member(client_, options);
    EXPECT_EQ(member.commit(), FLOWSTONE_INVALID);
    EXPECT_THAT(member.error.message, HasSubstr("no group"));
}

TEST_F(CGroupTest, AfterTheClientItsMembersSayThatItIsClosed) {
    create("payments");
    Member member(client_, options_of("billing"));
    member.subscribe({"payments"});
    EXPECT_EQ(member.poll(), "+payments-0");
    ASSERT_EQ(flowstone_client_close(std::exchange(client_, nullptr), patience, &error_), FLOWSTONE_OK)
        << error_.message;
    EXPECT_EQ(member.poll(), "closed");
    EXPECT_EQ(member.close(), FLOWSTONE_OK) << member.error.message;
}

}  // namespace
}  // namespace flowstone
