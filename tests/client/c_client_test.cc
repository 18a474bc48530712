// The client by the C header, against a broker of ours as a process, over TCP on loopback, and on a directory.
#include <flowstone/flowstone.h>

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

constexpr int32_t any = FLOWSTONE_ANY_PARTITION;
constexpr int64_t patience = 30'000;
constexpr flowstone_from beginning{};

std::string_view text(flowstone_bytes bytes) { return {bytes.data, bytes.size}; }

flowstone_record record(const char* key, const char* value) {
    flowstone_record made{};
    made.key = flowstone_text(key);
    made.value = flowstone_text(value);
    return made;
}

flowstone_topic_partition place(const char* topic, int32_t partition = 0) {
    return {flowstone_text(topic), partition, 0};
}

class CClientTest : public testing::Test {
protected:
    CClientTest() {
        EXPECT_EQ(flowstone_client_open(flowstone_text(broker_.address().c_str()), nullptr, &client_, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    ~CClientTest() override {
        flowstone_consumer_free(consumer_);
        flowstone_producer_topic_free(topic_);
        flowstone_producer_free(producer_);
        flowstone_client_close(client_, patience, nullptr);
    }
    void create(const char* name, flowstone_topic_options options = {}) {
        options.size = sizeof options;
        ASSERT_EQ(flowstone_client_create_topic(client_, flowstone_text(name), &options, patience, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    void produce_to(const char* name, flowstone_producer_options options = {}) {
        options.size = sizeof options;
        ASSERT_EQ(flowstone_client_producer(client_, &options, &producer_, &error_), FLOWSTONE_OK) << error_.message;
        ASSERT_EQ(flowstone_producer_open_topic(producer_, flowstone_text(name), patience, &topic_, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    int32_t send(const char* value, int32_t partition = any) {
        const flowstone_record given = record("card 7", value);
        return flowstone_producer_topic_send(topic_, &given, partition, nullptr, &error_);
    }
    int32_t flush() { return flowstone_producer_flush(producer_, patience, &error_); }
    void consume(const std::vector<flowstone_topic_partition>& places, flowstone_from from = beginning) {
        ASSERT_EQ(flowstone_client_consumer(client_, nullptr, &consumer_, &error_), FLOWSTONE_OK) << error_.message;
        ASSERT_EQ(flowstone_consumer_assign(consumer_, places.data(), places.size(), from, &error_), FLOWSTONE_OK)
            << error_.message;
    }
    // What one poll gives, as TOPIC-PARTITION@OFFSET=VALUE; nothing within the time: empty.
    std::vector<std::string> poll(size_t capacity, int64_t timeout_ms = patience) {
        std::vector<flowstone_view> views(capacity);
        flowstone_topic_partition source{};
        size_t count = 77;
        EXPECT_EQ(flowstone_consumer_poll(consumer_, views.data(), capacity, timeout_ms, &source, &count, &error_),
                  FLOWSTONE_OK)
            << error_.message;
        std::vector<std::string> found;
        for (size_t i = 0; i < count; ++i) {
            found.push_back(std::string(text(source.topic)) + "-" + std::to_string(source.partition) + "@" +
                            std::to_string(views[i].offset) + "=" + std::string(text(views[i].value)));
        }
        return found;
    }
    int64_t position(flowstone_topic_partition where) {
        int64_t offset = -5;
        EXPECT_EQ(flowstone_consumer_position(consumer_, where, &offset, &error_), FLOWSTONE_OK) << error_.message;
        return offset;
    }
    int64_t lag(flowstone_topic_partition where) {
        int64_t records = -5;
        EXPECT_EQ(flowstone_consumer_lag(consumer_, where, &records, &error_), FLOWSTONE_OK) << error_.message;
        return records;
    }

    TestDirectory directory_;
    BrokerProcess broker_{directory_.log()};
    flowstone_client* client_ = nullptr;
    flowstone_producer* producer_ = nullptr;
    flowstone_producer_topic* topic_ = nullptr;
    flowstone_consumer* consumer_ = nullptr;
    flowstone_error error_{};
};

TEST_F(CClientTest, ARecordGoesThereAndBack) {
    flowstone_topic_options options{};
    options.partitions = 3;
    create("payments", options);
    flowstone_producer_options zstd{};
    zstd.compression = FLOWSTONE_COMPRESSION_ZSTD;
    zstd.linger_ms = -1;
    produce_to("payments", zstd);
    EXPECT_EQ(flowstone_producer_topic_partitions(topic_), 3);

    const flowstone_header header{flowstone_text("trace"), {nullptr, 0}};
    flowstone_record given = record("card 7", "12.50");
    given.headers = &header;
    given.header_count = 1;
    given.timestamp_ms = 1'234'567;
    given.has_timestamp = 1;
    flowstone_delivery* delivery = nullptr;
    ASSERT_EQ(flowstone_producer_topic_send(topic_, &given, 1, &delivery, &error_), FLOWSTONE_OK) << error_.message;
    flowstone_position at{-7, -7, 0};
    ASSERT_EQ(flowstone_delivery_wait(delivery, patience, &at, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(at.partition, 1);
    EXPECT_EQ(at.offset, 0);
    EXPECT_EQ(flowstone_delivery_done(delivery), 1u);
    EXPECT_EQ(flowstone_delivery_wait(delivery, 0, nullptr, &error_), FLOWSTONE_OK) << "once more";
    flowstone_delivery_free(delivery);

    consume({place("payments", 0), place("payments", 1)});
    flowstone_view view{};
    flowstone_topic_partition source{};
    size_t count = 0;
    ASSERT_EQ(flowstone_consumer_poll(consumer_, &view, 1, patience, &source, &count, &error_), FLOWSTONE_OK)
        << error_.message;
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(text(source.topic), "payments");
    EXPECT_EQ(source.partition, 1);
    EXPECT_EQ(view.offset, 0);
    EXPECT_EQ(view.timestamp_ms, 1'234'567);
    EXPECT_EQ(text(view.key), "card 7");
    EXPECT_EQ(text(view.value), "12.50");
    flowstone_header found{flowstone_text("x"), flowstone_text("x")};
    EXPECT_EQ(flowstone_view_headers(&view, &found, 1), 1u);
    EXPECT_EQ(text(found.name), "trace");
    EXPECT_EQ(found.value.data, nullptr);
    EXPECT_THAT(poll(1, 0), IsEmpty());
}

TEST_F(CClientTest, ALogInThisProcessIsOpenedAsItsOptionsSay) {
    const std::string held = "dir:" + directory_.path() + "/held";
    flowstone_log_options log{};
    log.size = sizeof log;
    log.must_exist = 1;
    log.threads = 1;
    log.journal_bytes_max = 16u << 20;
    log.reserve_bytes = -1;
    flowstone_client_options options{};
    options.size = sizeof options;
    options.log = &log;
    flowstone_client* client = nullptr;
    EXPECT_EQ(flowstone_client_open(flowstone_text(held.c_str()), &options, &client, &error_), FLOWSTONE_NOT_FOUND);
    log.size = 1;
    EXPECT_EQ(flowstone_client_open(flowstone_text(held.c_str()), &options, &client, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(client, nullptr);
    log.size = sizeof log;
    log.must_exist = 0;
    ASSERT_EQ(flowstone_client_close(std::exchange(client_, nullptr), patience, &error_), FLOWSTONE_OK)
        << error_.message;
    ASSERT_EQ(flowstone_client_open(flowstone_text(held.c_str()), &options, &client_, &error_), FLOWSTONE_OK)
        << error_.message;
    create("payments");
    produce_to("payments");
    ASSERT_EQ(send("in this process"), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(flush(), FLOWSTONE_OK) << error_.message;
    consume({place("payments")});
    EXPECT_THAT(poll(1), ElementsAre("payments-0@0=in this process"));
}

TEST_F(CClientTest, TopicsAndTheirEndsAreTold) {
    create("b");
    create("a");
    EXPECT_EQ(flowstone_client_create_topic(client_, flowstone_text("a"), nullptr, patience, &error_),
              FLOWSTONE_EXISTS);
    flowstone_topic_options options{};
    options.exists_ok = 1;
    create("a", options);
    flowstone_topic_list* list = nullptr;
    ASSERT_EQ(flowstone_client_topics(client_, patience, &list, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(flowstone_topic_list_count(list), 2u);
    flowstone_topic_info info{};
    info.size = sizeof info;
    ASSERT_EQ(flowstone_topic_list_get(list, 0, &info, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(text(info.name), "a");
    EXPECT_EQ(info.partitions, 1);
    EXPECT_EQ(info.durability, -1);
    flowstone_topic_list_free(list);

    produce_to("a");
    for (const char* value : {"1", "2"}) { ASSERT_EQ(send(value), FLOWSTONE_OK); }
    ASSERT_EQ(flush(), FLOWSTONE_OK) << error_.message;
    int64_t start = -5;
    int64_t end = -5;
    ASSERT_EQ(flowstone_client_ends(client_, place("a"), patience, &start, &end, &error_), FLOWSTONE_OK)
        << error_.message;
    EXPECT_EQ(start, 0);
    EXPECT_EQ(end, 2);
    EXPECT_EQ(flowstone_client_ends(client_, place("a"), patience, nullptr, nullptr, nullptr), FLOWSTONE_OK);
    ASSERT_EQ(flowstone_client_delete_topic(client_, flowstone_text("b"), patience, &error_), FLOWSTONE_OK)
        << error_.message;
    EXPECT_EQ(flowstone_client_delete_topic(client_, flowstone_text("b"), patience, &error_), FLOWSTONE_NOT_FOUND);
}

TEST_F(CClientTest, ABatchIsPolledInPieces) {
    create("payments");
    create("other");
    flowstone_producer_options slow{};
    slow.linger_ms = 60'000;  // until the flush, so that they are one batch
    produce_to("payments", slow);
    for (const char* value : {"a", "b", "c"}) { ASSERT_EQ(send(value, 0), FLOWSTONE_OK); }
    ASSERT_EQ(flush(), FLOWSTONE_OK) << error_.message;

    consume({place("payments")});
    EXPECT_THAT(poll(1), ElementsAre("payments-0@0=a"));
    EXPECT_EQ(position(place("payments")), 1);
    EXPECT_EQ(lag(place("payments")), 2);
    const flowstone_topic_partition both[] = {place("payments"), place("other")};
    ASSERT_EQ(flowstone_consumer_assign(consumer_, both, 2, beginning, &error_), FLOWSTONE_OK);
    EXPECT_THAT(poll(1), ElementsAre("payments-0@1=b")) << "what stays assigned goes on";
    ASSERT_EQ(flowstone_consumer_seek(consumer_, place("other"), beginning, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(flowstone_consumer_pause(consumer_, place("payments"), &error_), FLOWSTONE_OK);
    EXPECT_THAT(poll(5), ElementsAre("payments-0@2=c"));
    EXPECT_EQ(position(place("payments")), 3);
    EXPECT_EQ(lag(place("payments")), 0);
    EXPECT_THAT(poll(5, 0), IsEmpty());

    ASSERT_EQ(flowstone_consumer_seek(consumer_, place("payments"), flowstone_from_offset(1), &error_), FLOWSTONE_OK);
    ASSERT_EQ(flowstone_consumer_resume(consumer_, place("payments"), &error_), FLOWSTONE_OK);
    EXPECT_THAT(poll(1), ElementsAre("payments-0@1=b"));
    ASSERT_EQ(flowstone_consumer_seek(consumer_, place("payments"), beginning, &error_), FLOWSTONE_OK);
    EXPECT_THAT(poll(1), ElementsAre("payments-0@0=a")) << "what was left of the batch is not given";
    ASSERT_EQ(flowstone_consumer_assign(consumer_, &both[1], 1, beginning, &error_), FLOWSTONE_OK);
    EXPECT_THAT(poll(1, 0), IsEmpty()) << "nor is that of a partition that went";
    int64_t offset = -5;
    EXPECT_EQ(flowstone_consumer_position(consumer_, place("payments"), &offset, &error_), FLOWSTONE_NOT_FOUND);
    EXPECT_EQ(flowstone_consumer_lag(consumer_, place("payments"), &offset, &error_), FLOWSTONE_NOT_FOUND);
    EXPECT_EQ(offset, -5);
    EXPECT_EQ(flowstone_consumer_seek(consumer_, place("payments"), beginning, &error_), FLOWSTONE_INVALID);
}

TEST_F(CClientTest, WhatABrokerRefusesIsToldOnceByFlushOrByTheDelivery) {
    const flowstone_config small{flowstone_text("max.message.bytes"), flowstone_text("1000")};
    flowstone_topic_options options{};
    options.configs = &small;
    options.config_count = 1;
    create("small", options);
    flowstone_producer_options at_once{};
    at_once.linger_ms = -1;
    produce_to("small", at_once);
    const std::string large(5'000, 'x');
    ASSERT_EQ(send(large.c_str()), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flush(), FLOWSTONE_TOO_LARGE) << error_.message;
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_GIVE_UP);
    ASSERT_EQ(send("fits"), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flush(), FLOWSTONE_OK) << error_.message;

    const flowstone_record given = record("k", large.c_str());
    flowstone_delivery* delivery = nullptr;
    ASSERT_EQ(flowstone_producer_topic_send(topic_, &given, 0, &delivery, &error_), FLOWSTONE_OK) << error_.message;
    flowstone_position at{-7, -7, 0};
    EXPECT_EQ(flowstone_delivery_wait(delivery, patience, &at, &error_), FLOWSTONE_TOO_LARGE) << error_.message;
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    EXPECT_EQ(at.offset, -7);
    EXPECT_EQ(flush(), FLOWSTONE_OK) << "its delivery told";
    flowstone_delivery_free(delivery);
}

TEST_F(CClientTest, WhatIsAskedWronglyIsRefused) {
    create("payments");
    produce_to("payments");
    consume({place("payments")});
    EXPECT_EQ(send("v", 7), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    flowstone_record bad = record("k", "v");
    bad.key = {nullptr, 3};
    EXPECT_EQ(flowstone_producer_topic_send(topic_, &bad, any, nullptr, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);

    flowstone_client* client = nullptr;
    for (const char* endpoint : {"", "nowhere", "host:port", "host:99999"}) {
        EXPECT_EQ(flowstone_client_open(flowstone_text(endpoint), nullptr, &client, &error_), FLOWSTONE_INVALID)
            << endpoint;
    }
    flowstone_client_options client_options{};
    client_options.size = sizeof client_options;
    client_options.request_timeout_ms = -1;
    EXPECT_EQ(flowstone_client_open(flowstone_text("h:1"), &client_options, &client, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(client, nullptr);

    flowstone_producer* producer = nullptr;
    const auto refused = [&](auto change) {
        flowstone_producer_options options{};
        options.size = sizeof options;
        change(options);
        EXPECT_EQ(flowstone_client_producer(client_, &options, &producer, &error_), FLOWSTONE_INVALID)
            << error_.message;
    };
    refused([](auto& options) { options.size = 4; });
    refused([](auto& options) { options.acks = FLOWSTONE_ACKS_LEADER; });
    refused([](auto& options) { options.acks = 3; });
    refused([](auto& options) { options.compression = 5; });
    refused([](auto& options) { options.compression = -1; });
    refused([](auto& options) { options.linger_ms = -2; });
    refused([](auto& options) { options.delivery_timeout_ms = -1; });
    refused([](auto& options) { options.batch_bytes_max = 1; });
    EXPECT_EQ(producer, nullptr);
    flowstone_consumer_options consumer_options{};
    flowstone_consumer* consumer = nullptr;
    EXPECT_EQ(flowstone_client_consumer(client_, &consumer_options, &consumer, &error_), FLOWSTONE_INVALID);
    consumer_options.size = sizeof consumer_options;
    consumer_options.fetch_wait_ms = -2;
    EXPECT_EQ(flowstone_client_consumer(client_, &consumer_options, &consumer, &error_), FLOWSTONE_INVALID);
    flowstone_producer_topic* topic = nullptr;
    EXPECT_EQ(flowstone_producer_open_topic(producer_, flowstone_text("no/slash"), patience, &topic, &error_),
              FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_consumer_assign(consumer_, nullptr, 1, beginning, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_consumer_seek(consumer_, place("payments"), {9, 0, 0}, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_consumer_seek(consumer_, {{nullptr, 9}, 0, 0}, beginning, &error_), FLOWSTONE_INVALID);

    ASSERT_EQ(flowstone_consumer_seek(consumer_, place("payments"), flowstone_from_offset(99), &error_), FLOWSTONE_OK);
    flowstone_view view;
    size_t count = 0;
    EXPECT_EQ(flowstone_consumer_poll(consumer_, &view, 1, patience, nullptr, &count, &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_THAT(error_.message, HasSubstr("payments"));
}

TEST_F(CClientTest, WhatMustNotBeNullIsAsked) {
    create("payments");
    produce_to("payments");
    consume({place("payments")});
    const auto name = flowstone_text("t");
    const flowstone_record given = record("k", "v");
    flowstone_view view;
    size_t count = 0;
    int64_t number = 0;
    flowstone_topic_list* list = nullptr;
    flowstone_producer* producer = nullptr;
    flowstone_producer_topic* topic = nullptr;
    flowstone_consumer* consumer = nullptr;
    flowstone_delivery* delivery = nullptr;
    flowstone_error* const e = &error_;
    const auto invalid = [&](int32_t code) {
        EXPECT_EQ(code, FLOWSTONE_INVALID);
        EXPECT_THAT(error_.message, HasSubstr("NULL"));
        error_ = {};
    };
    invalid(flowstone_client_open(name, nullptr, nullptr, e));
    invalid(flowstone_client_close(nullptr, 0, e));
    invalid(flowstone_client_create_topic(nullptr, name, nullptr, 0, e));
    invalid(flowstone_client_delete_topic(nullptr, name, 0, e));
    invalid(flowstone_client_topics(nullptr, 0, &list, e));
    invalid(flowstone_client_topics(client_, 0, nullptr, e));
    invalid(flowstone_client_ends(nullptr, place("t"), 0, nullptr, nullptr, e));
    invalid(flowstone_client_producer(nullptr, nullptr, &producer, e));
    invalid(flowstone_client_producer(client_, nullptr, nullptr, e));
    invalid(flowstone_producer_open_topic(nullptr, name, 0, &topic, e));
    invalid(flowstone_producer_open_topic(producer_, name, 0, nullptr, e));
    invalid(flowstone_producer_topic_send(nullptr, &given, any, &delivery, e));
    invalid(flowstone_producer_topic_send(topic_, nullptr, any, &delivery, e));
    invalid(flowstone_producer_flush(nullptr, 0, e));
    invalid(flowstone_delivery_wait(nullptr, 0, nullptr, e));
    invalid(flowstone_client_consumer(nullptr, nullptr, &consumer, e));
    invalid(flowstone_client_consumer(client_, nullptr, nullptr, e));
    invalid(flowstone_consumer_assign(nullptr, nullptr, 0, beginning, e));
    invalid(flowstone_consumer_assign(consumer_, nullptr, 1, beginning, e));
    invalid(flowstone_consumer_seek(nullptr, place("t"), beginning, e));
    invalid(flowstone_consumer_pause(nullptr, place("t"), e));
    invalid(flowstone_consumer_resume(nullptr, place("t"), e));
    invalid(flowstone_consumer_poll(nullptr, &view, 1, 0, nullptr, &count, e));
    invalid(flowstone_consumer_poll(consumer_, nullptr, 1, 0, nullptr, &count, e));
    invalid(flowstone_consumer_poll(consumer_, &view, 1, 0, nullptr, nullptr, e));
    invalid(flowstone_consumer_position(nullptr, place("t"), &number, e));
    invalid(flowstone_consumer_position(consumer_, place("t"), nullptr, e));
    invalid(flowstone_consumer_lag(nullptr, place("t"), &number, e));
    invalid(flowstone_consumer_lag(consumer_, place("t"), nullptr, e));
    EXPECT_EQ(flowstone_consumer_poll(consumer_, &view, 0, 0, nullptr, &count, e), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_client_close(reinterpret_cast<flowstone_client*>(producer_), 0, e), FLOWSTONE_INVALID);
    EXPECT_THAT(error_.message, HasSubstr("another kind"));
    EXPECT_EQ(flowstone_producer_topic_partitions(nullptr), 0);
    EXPECT_EQ(flowstone_delivery_done(nullptr), 0u);
    flowstone_producer_free(nullptr);
    flowstone_producer_topic_free(nullptr);
    flowstone_delivery_free(nullptr);
    flowstone_consumer_free(nullptr);
}

TEST_F(CClientTest, HandlesMayBeEndedInAnyOrder) {
    create("payments");
    produce_to("payments");
    consume({place("payments")});
    const flowstone_record given = record("k", "v");
    flowstone_delivery* delivery = nullptr;
    ASSERT_EQ(flowstone_producer_topic_send(topic_, &given, 0, &delivery, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(send("nobody waits"), FLOWSTONE_OK);
    flowstone_producer_free(std::exchange(producer_, nullptr));
    ASSERT_EQ(flowstone_client_close(std::exchange(client_, nullptr), patience, &error_), FLOWSTONE_OK)
        << error_.message;

    flowstone_position at{};
    EXPECT_EQ(flowstone_delivery_wait(delivery, 0, &at, &error_), FLOWSTONE_OK) << "it was sent: " << error_.message;
    EXPECT_EQ(at.offset, 0);
    EXPECT_EQ(flowstone_producer_topic_send(topic_, &given, 0, nullptr, &error_), FLOWSTONE_CLOSED) << error_.message;
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    flowstone_view view;
    size_t count = 0;
    EXPECT_EQ(flowstone_consumer_poll(consumer_, &view, 1, patience, nullptr, &count, &error_), FLOWSTONE_CLOSED);
    flowstone_delivery_free(delivery);
    flowstone_consumer_free(std::exchange(consumer_, nullptr));
    EXPECT_EQ(flowstone_producer_topic_partitions(topic_), 1);
    flowstone_producer_topic_free(std::exchange(topic_, nullptr));
}

TEST_F(CClientTest, WithoutABrokerEveryCallEndsInTime) {
    create("payments");
    produce_to("payments");
    broker_.kill();
    const flowstone_record given = record("k", "v");
    flowstone_delivery* delivery = nullptr;
    ASSERT_EQ(flowstone_producer_topic_send(topic_, &given, 0, &delivery, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flowstone_delivery_wait(delivery, 1, nullptr, &error_), FLOWSTONE_TIMED_OUT) << error_.message;
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_RETRY);
    EXPECT_EQ(flowstone_delivery_done(delivery), 0u);
    EXPECT_EQ(flowstone_producer_flush(producer_, 1, &error_), FLOWSTONE_TIMED_OUT) << error_.message;
    flowstone_topic_list* list = nullptr;
    EXPECT_NE(flowstone_client_topics(client_, 1, &list, &error_), FLOWSTONE_OK);
    EXPECT_EQ(list, nullptr);
    EXPECT_EQ(flowstone_client_close(std::exchange(client_, nullptr), 1, &error_), FLOWSTONE_TIMED_OUT)
        << error_.message;
    EXPECT_NE(flowstone_delivery_wait(delivery, patience, nullptr, &error_), FLOWSTONE_OK);
    EXPECT_NE(error_.fate, FLOWSTONE_FATE_NONE) << error_.message;
    flowstone_delivery_free(delivery);
}

}  // namespace
}  // namespace flowstone
