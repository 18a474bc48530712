// The log by the C header, at its doors.
#include <flowstone/flowstone.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/check.h"
#include "tests/counted_new.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int32_t any = FLOWSTONE_ANY_PARTITION;
constexpr flowstone_from beginning{};

std::string_view text(flowstone_bytes bytes) { return {bytes.data, bytes.size}; }

flowstone_record record(const char* key, const char* value) {
    flowstone_record made{};
    made.key = flowstone_text(key);
    made.value = flowstone_text(value);
    return made;
}

flowstone_log_options small_log() {
    flowstone_log_options options{};
    options.size = sizeof options;
    options.journal_bytes_max = 16u << 20;
    options.reserve_bytes = -1;
    return options;
}

class CLogTest : public testing::Test {
protected:
    CLogTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-c-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
        open();
    }
    ~CLogTest() override {
        flowstone_reader_free(reader_);
        flowstone_topic_free(topic_);
        flowstone_log_close(log_, FLOWSTONE_FOREVER, nullptr);
        std::filesystem::remove_all(path_);
    }
    void open() {
        const auto options = small_log();
        ASSERT_EQ(flowstone_log_open(flowstone_text(path_.c_str()), &options, &log_, &error_), FLOWSTONE_OK)
            << error_.message;
    }
    void create(const char* name = "payments", flowstone_topic_options options = {}) {
        options.size = sizeof options;
        ASSERT_EQ(flowstone_log_create_topic(log_, flowstone_text(name), &options, &topic_, &error_), FLOWSTONE_OK)
            << error_.message;
    }
    int64_t append(const char* value, int32_t partition = any) {
        const flowstone_record given = record("card", value);
        flowstone_position at{};
        EXPECT_EQ(flowstone_topic_append(topic_, &given, partition, &at, &error_), FLOWSTONE_OK) << error_.message;
        return at.offset;
    }
    // Together, so that they are one batch.
    void append_batch(const std::vector<const char*>& values) {
        std::vector<flowstone_record> records;
        for (const char* value : values) { records.push_back(record("card", value)); }
        ASSERT_EQ(flowstone_topic_append_many(topic_, records.data(), records.size(), 0, nullptr, &error_),
                  FLOWSTONE_OK)
            << error_.message;
    }
    void read(flowstone_from from = beginning, int32_t partition = 0) {
        flowstone_reader_free(reader_);
        reader_ = nullptr;
        ASSERT_EQ(flowstone_topic_read(topic_, partition, from, &reader_, &error_), FLOWSTONE_OK) << error_.message;
    }
    std::vector<std::string> next(size_t capacity = 100) {
        std::vector<flowstone_view> views(capacity);
        size_t count = 77;
        EXPECT_EQ(flowstone_reader_read(reader_, views.data(), capacity, 0, &count, &error_), FLOWSTONE_OK)
            << error_.message;
        std::vector<std::string> values;
        for (size_t i = 0; i < count; ++i) { values.emplace_back(text(views[i].value)); }
        return values;
    }

    std::string path_;
    flowstone_log* log_ = nullptr;
    flowstone_topic* topic_ = nullptr;
    flowstone_reader* reader_ = nullptr;
    flowstone_error error_{};
};

// --- what is frozen ------------------------------------------------------------------------------------------------------

TEST(CHeader, CodesAreNumberedForEver) {
    const std::vector<std::pair<int32_t, std::string_view>> frozen{
        {0, "ok"},          {1, "io"},           {2, "corrupt"},    {3, "not_found"},  {4, "out_of_range"},
        {5, "stale_epoch"}, {6, "busy"},         {7, "closed"},     {8, "invalid"},    {9, "exists"},
        {10, "locked"},     {11, "read_only"},   {12, "offline"},   {13, "too_large"}, {14, "out_of_order"},
        {15, "no_space"},   {16, "unsupported"}, {17, "timed_out"},
    };
    for (const auto& [code, name] : frozen) { EXPECT_EQ(flowstone_code_name(code), name); }
    for (const int32_t code : {-1, 18, 255, 256, 257, 1 << 24 | 1}) {
        EXPECT_EQ(flowstone_code_name(code), std::string_view("unknown"));
    }
    EXPECT_THAT(
        (std::vector{FLOWSTONE_OK, FLOWSTONE_IO, FLOWSTONE_CORRUPT, FLOWSTONE_NOT_FOUND, FLOWSTONE_OUT_OF_RANGE,
                     FLOWSTONE_STALE_EPOCH, FLOWSTONE_BUSY, FLOWSTONE_CLOSED, FLOWSTONE_INVALID, FLOWSTONE_EXISTS,
                     FLOWSTONE_LOCKED, FLOWSTONE_READ_ONLY, FLOWSTONE_OFFLINE, FLOWSTONE_TOO_LARGE,
                     FLOWSTONE_OUT_OF_ORDER, FLOWSTONE_NO_SPACE, FLOWSTONE_UNSUPPORTED, FLOWSTONE_TIMED_OUT}),
        ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17));
    EXPECT_THAT((std::vector{FLOWSTONE_FATE_NONE, FLOWSTONE_FATE_NOT_APPENDED, FLOWSTONE_FATE_UNKNOWN_UNTIL_REOPEN}),
                ElementsAre(0, 1, 2));
    EXPECT_THAT((std::vector{FLOWSTONE_ADVICE_NONE, FLOWSTONE_ADVICE_RETRY, FLOWSTONE_ADVICE_GIVE_UP,
                             FLOWSTONE_ADVICE_FENCED, FLOWSTONE_ADVICE_REOPEN}),
                ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT((std::vector{FLOWSTONE_FROM_BEGINNING, FLOWSTONE_FROM_END, FLOWSTONE_FROM_OFFSET, FLOWSTONE_FROM_TIME}),
                ElementsAre(0, 1, 2, 3));
    EXPECT_THAT((std::vector{FLOWSTONE_DURABLE, FLOWSTONE_WRITTEN, FLOWSTONE_MEMORY}), ElementsAre(0, 1, 2));
    EXPECT_THAT((std::vector{FLOWSTONE_ACKS_ALL, FLOWSTONE_ACKS_LEADER, FLOWSTONE_ACKS_NONE}), ElementsAre(0, 1, 2));
    EXPECT_THAT((std::vector{FLOWSTONE_COMPRESSION_NONE, FLOWSTONE_COMPRESSION_GZIP, FLOWSTONE_COMPRESSION_SNAPPY,
                             FLOWSTONE_COMPRESSION_LZ4, FLOWSTONE_COMPRESSION_ZSTD}),
                ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT((std::vector{FLOWSTONE_ASSIGNOR_RANGE, FLOWSTONE_ASSIGNOR_ROUND_ROBIN, FLOWSTONE_ASSIGNOR_STICKY,
                             FLOWSTONE_ASSIGNOR_COOPERATIVE_STICKY}),
                ElementsAre(0, 1, 2, 3));
    EXPECT_THAT((std::vector{FLOWSTONE_START_BEGINNING, FLOWSTONE_START_END, FLOWSTONE_START_ERROR}),
                ElementsAre(0, 1, 2));
    EXPECT_THAT((std::vector{FLOWSTONE_CHANGE_NONE, FLOWSTONE_CHANGE_ASSIGNED, FLOWSTONE_CHANGE_REVOKED,
                             FLOWSTONE_CHANGE_LOST}),
                ElementsAre(0, 1, 2, 3));
}

// A program that was compiled with this header is served by every later library: members neither move nor grow. Structs
// with a size may become longer; what is here stays.
TEST(CHeader, AnInvariantThatIsBrokenIsToldToTheHandlerAndNothingIsPrinted) {
    EXPECT_EXIT(
        {
            flowstone_set_check_handler([](const char* text) { std::fprintf(stderr, "[%s]", text); });
            check_failed("kept", "a.cc", 7);
        },
        testing::KilledBySignal(SIGABRT), testing::StrEq("[flowstone: CHECK failed: kept at a.cc:7]"));
}

TEST(CHeader, MembersStayWhereTheyAre) {
    // NOLINTBEGIN(bugprone-sizeof-expression): of pointers, too
#define EXPECT_AT(type, member, at, bytes)   \
    EXPECT_EQ(offsetof(type, member), (at)); \
    EXPECT_EQ(sizeof(type::member), (bytes))
    EXPECT_EQ(sizeof(flowstone_error), 512u);
    EXPECT_AT(flowstone_error, code, 0u, 4u);
    EXPECT_AT(flowstone_error, fate, 4u, 4u);
    EXPECT_AT(flowstone_error, advice, 8u, 4u);
    EXPECT_AT(flowstone_error, os_errno, 12u, 4u);
    EXPECT_AT(flowstone_error, message, 16u, 496u);
    EXPECT_EQ(sizeof(flowstone_bytes), 16u);
    EXPECT_AT(flowstone_bytes, size, 8u, 8u);
    EXPECT_EQ(sizeof(flowstone_header), 32u);
    EXPECT_AT(flowstone_header, value, 16u, 16u);
    EXPECT_EQ(sizeof(flowstone_record), 64u);
    EXPECT_AT(flowstone_record, value, 16u, 16u);
    EXPECT_AT(flowstone_record, headers, 32u, 8u);
    EXPECT_AT(flowstone_record, header_count, 40u, 8u);
    EXPECT_AT(flowstone_record, timestamp_ms, 48u, 8u);
    EXPECT_AT(flowstone_record, has_timestamp, 56u, 4u);
    EXPECT_EQ(sizeof(flowstone_view), 64u);
    EXPECT_AT(flowstone_view, timestamp_ms, 8u, 8u);
    EXPECT_AT(flowstone_view, key, 16u, 16u);
    EXPECT_AT(flowstone_view, value, 32u, 16u);
    EXPECT_AT(flowstone_view, encoded_headers, 48u, 16u);
    EXPECT_EQ(sizeof(flowstone_position), 16u);
    EXPECT_AT(flowstone_position, partition, 8u, 4u);
    EXPECT_EQ(sizeof(flowstone_topic_partition), 24u);
    EXPECT_AT(flowstone_topic_partition, partition, 16u, 4u);
    EXPECT_EQ(sizeof(flowstone_from), 16u);
    EXPECT_AT(flowstone_from, value, 8u, 8u);
    EXPECT_EQ(sizeof(flowstone_config), 32u);
    EXPECT_EQ(sizeof(flowstone_group_offset), 48u);
    EXPECT_AT(flowstone_group_offset, offset, 16u, 8u);
    EXPECT_AT(flowstone_group_offset, partition, 24u, 4u);
    EXPECT_AT(flowstone_group_offset, metadata, 32u, 16u);
    EXPECT_EQ(sizeof(flowstone_pending), 32u);
    EXPECT_AT(flowstone_pending, owner, 16u, 8u);
    EXPECT_AT(flowstone_pending, shard, 24u, 4u);
    EXPECT_AT(flowstone_topic_options, partitions, 4u, 4u);
    EXPECT_AT(flowstone_topic_options, configs, 8u, 8u);
    EXPECT_AT(flowstone_topic_options, config_count, 16u, 8u);
    EXPECT_AT(flowstone_topic_options, exists_ok, 24u, 4u);
    EXPECT_AT(flowstone_topic_info, partitions, 4u, 4u);
    EXPECT_AT(flowstone_topic_info, name, 8u, 16u);
    EXPECT_AT(flowstone_topic_info, id, 24u, 16u);
    EXPECT_AT(flowstone_topic_info, durability, 40u, 4u);
    EXPECT_AT(flowstone_topic_info, internal, 44u, 4u);
    EXPECT_AT(flowstone_log_options, threads, 4u, 4u);
    EXPECT_AT(flowstone_log_options, read_only, 8u, 4u);
    EXPECT_AT(flowstone_log_options, must_exist, 12u, 4u);
    EXPECT_AT(flowstone_log_options, adopt, 16u, 4u);
    EXPECT_AT(flowstone_log_options, accept_loss, 20u, 4u);
    EXPECT_AT(flowstone_log_options, journal_bytes_max, 24u, 8u);
    EXPECT_AT(flowstone_log_options, dirty_bytes_max, 32u, 8u);
    EXPECT_AT(flowstone_log_options, tail_bytes_max, 40u, 8u);
    EXPECT_AT(flowstone_log_options, reserve_bytes, 48u, 8u);
    EXPECT_AT(flowstone_log_options, open_files_max, 56u, 4u);
    EXPECT_AT(flowstone_partition_info, epoch, 4u, 4u);
    EXPECT_AT(flowstone_partition_info, log_start, 8u, 8u);
    EXPECT_AT(flowstone_partition_info, high_watermark, 16u, 8u);
    EXPECT_AT(flowstone_partition_info, log_end, 24u, 8u);
    EXPECT_AT(flowstone_partition_info, bytes, 32u, 8u);
    EXPECT_AT(flowstone_partition_info, segments, 40u, 4u);
    EXPECT_AT(flowstone_client_options, client_id, 8u, 16u);
    EXPECT_AT(flowstone_client_options, request_timeout_ms, 24u, 8u);
    EXPECT_AT(flowstone_client_options, log, 32u, 8u);
    EXPECT_AT(flowstone_producer_options, acks, 4u, 4u);
    EXPECT_AT(flowstone_producer_options, not_idempotent, 8u, 4u);
    EXPECT_AT(flowstone_producer_options, compression, 12u, 4u);
    EXPECT_AT(flowstone_producer_options, linger_ms, 16u, 8u);
    EXPECT_AT(flowstone_producer_options, batch_bytes_max, 24u, 8u);
    EXPECT_AT(flowstone_producer_options, buffer_bytes_max, 32u, 8u);
    EXPECT_AT(flowstone_producer_options, full_wait_ms, 40u, 8u);
    EXPECT_AT(flowstone_producer_options, delivery_timeout_ms, 48u, 8u);
    EXPECT_AT(flowstone_consumer_options, read_committed, 4u, 4u);
    EXPECT_AT(flowstone_consumer_options, fetch_bytes_max, 8u, 8u);
    EXPECT_AT(flowstone_consumer_options, partition_bytes_max, 16u, 8u);
    EXPECT_AT(flowstone_consumer_options, fetch_wait_ms, 24u, 8u);
    EXPECT_AT(flowstone_consumer_options, unchecked_crcs, 32u, 4u);
    EXPECT_AT(flowstone_consumer_options, group, 40u, 16u);
    EXPECT_AT(flowstone_consumer_options, instance, 56u, 16u);
    EXPECT_AT(flowstone_consumer_options, assignors, 72u, 8u);
    EXPECT_AT(flowstone_consumer_options, assignor_count, 80u, 4u);
    EXPECT_AT(flowstone_consumer_options, start, 84u, 4u);
    EXPECT_AT(flowstone_consumer_options, session_timeout_ms, 88u, 8u);
    EXPECT_AT(flowstone_consumer_options, heartbeat_interval_ms, 96u, 8u);
    EXPECT_AT(flowstone_consumer_options, max_poll_interval_ms, 104u, 8u);
    EXPECT_AT(flowstone_consumer_options, auto_commit_ms, 112u, 8u);
    EXPECT_AT(flowstone_consumer_options, topics_refresh_ms, 120u, 8u);
    EXPECT_EQ(sizeof(flowstone_change), 24u);
    EXPECT_AT(flowstone_change, partitions, 0u, 8u);
    EXPECT_AT(flowstone_change, count, 8u, 8u);
    EXPECT_AT(flowstone_change, kind, 16u, 4u);
#undef EXPECT_AT
    // NOLINTEND(bugprone-sizeof-expression)
}

// --- appending and reading -----------------------------------------------------------------------------------------------

TEST_F(CLogTest, ARecordComesBackAsItWasGiven) {
    create();
    const flowstone_header headers[] = {
        {flowstone_text("a"), flowstone_text("1")}, {flowstone_text("none"), {nullptr, 0}},
        {flowstone_text("empty"), {"", 0}},         {flowstone_text("zero"), {"x\0y", 3}},
        {flowstone_text("a"), flowstone_text("2")}, {flowstone_text("last"), flowstone_text("3")},
    };
    flowstone_record given = record("card 7", "12.50");
    given.headers = headers;
    given.header_count = std::size(headers);
    given.timestamp_ms = 1'234'567;
    given.has_timestamp = 1;
    flowstone_position at{-7, -7, 0};
    ASSERT_EQ(flowstone_topic_append(topic_, &given, any, &at, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(at.partition, 0);
    EXPECT_EQ(at.offset, 0);

    read();
    flowstone_view view{};
    size_t count = 0;
    ASSERT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(view.offset, 0);
    EXPECT_EQ(view.timestamp_ms, 1'234'567);
    EXPECT_EQ(text(view.key), "card 7");
    EXPECT_EQ(text(view.value), "12.50");
    EXPECT_EQ(flowstone_view_headers(&view, nullptr, 0), 6u);
    flowstone_header found[6] = {};
    ASSERT_EQ(flowstone_view_headers(&view, found, 6), 6u);
    for (size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(text(found[i].name), text(headers[i].name));
        EXPECT_EQ(text(found[i].value), text(headers[i].value));
        EXPECT_EQ(found[i].value.data == nullptr, headers[i].value.data == nullptr) << i;
    }
    flowstone_header two[3] = {{}, {}, {flowstone_text("mine"), {}}};
    EXPECT_EQ(flowstone_view_headers(&view, two, 2), 6u);
    EXPECT_EQ(text(two[0].name), "a");
    EXPECT_EQ(text(two[2].name), "mine") << "there was room for two";
}

TEST_F(CLogTest, ManyHeadersComeBackToo) {
    create();
    std::vector<std::string> names;
    for (int i = 0; i < 100; ++i) { names.push_back("header " + std::to_string(i)); }
    std::vector<flowstone_header> headers;
    for (const std::string& name : names) { headers.push_back({flowstone_text(name.c_str()), flowstone_text("v")}); }
    flowstone_record given = record("k", "v");
    given.headers = headers.data();
    given.header_count = headers.size();
    ASSERT_EQ(flowstone_topic_append(topic_, &given, any, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    read();
    flowstone_view view{};
    size_t count = 0;
    ASSERT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, &error_), FLOWSTONE_OK);
    std::vector<flowstone_header> found(200);
    ASSERT_EQ(flowstone_view_headers(&view, found.data(), found.size()), 100u);
    EXPECT_EQ(text(found[0].name), "header 0");
    EXPECT_EQ(text(found[99].name), "header 99");
}

TEST_F(CLogTest, AbsentIsNotEmpty) {
    create();
    flowstone_record absent{};
    flowstone_record empty{};
    empty.key = empty.value = {"", 0};
    ASSERT_EQ(flowstone_topic_append(topic_, &absent, 0, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(flowstone_topic_append(topic_, &empty, 0, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    read();
    for (const bool is_absent : {true, false}) {
        flowstone_view view{};
        size_t count = 0;
        ASSERT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, nullptr), FLOWSTONE_OK);
        ASSERT_EQ(count, 1u);
        EXPECT_EQ(view.key.data == nullptr, is_absent);
        EXPECT_EQ(view.value.data == nullptr, is_absent);
        EXPECT_EQ(view.key.size + view.value.size, 0u);
        EXPECT_EQ(flowstone_view_headers(&view, nullptr, 0), 0u);
    }
}

TEST_F(CLogTest, ABatchIsReadInPiecesAndThePositionStandsBetweenThem) {
    create();
    append_batch({"a", "b", "c", "d", "e"});
    append("f");
    read();
    EXPECT_EQ(flowstone_reader_position(reader_), 0);
    EXPECT_THAT(next(2), ElementsAre("a", "b"));
    EXPECT_EQ(flowstone_reader_position(reader_), 2);
    EXPECT_THAT(next(2), ElementsAre("c", "d"));
    EXPECT_THAT(next(2), ElementsAre("e"));
    EXPECT_EQ(flowstone_reader_position(reader_), 5);
    EXPECT_THAT(next(2), ElementsAre("f"));
    EXPECT_EQ(flowstone_reader_position(reader_), 6);
    EXPECT_THAT(next(2), IsEmpty());
    EXPECT_EQ(error_.code, FLOWSTONE_OK);
    append("g");
    EXPECT_THAT(next(2), ElementsAre("g"));
}

TEST_F(CLogTest, ReadingBeginsWhereItIsTold) {
    create();
    for (const int64_t time : {1'000, 2'000, 3'000}) {
        const std::string value = std::to_string(time);
        flowstone_record given = record("k", value.c_str());
        given.timestamp_ms = time;
        given.has_timestamp = 1;
        ASSERT_EQ(flowstone_topic_append(topic_, &given, 0, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    }
    read(flowstone_from_offset(2));
    EXPECT_THAT(next(), ElementsAre("3000"));
    ASSERT_EQ(flowstone_reader_seek(reader_, {FLOWSTONE_FROM_TIME, 0, 1'500}, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_THAT(next(1), ElementsAre("2000"));
    ASSERT_EQ(flowstone_reader_seek(reader_, {FLOWSTONE_FROM_END, 0, 0}, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_THAT(next(), IsEmpty());
    int64_t offset = -5;
    ASSERT_EQ(flowstone_topic_offset_for_time(topic_, 0, 2'001, &offset, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(offset, 2);
    EXPECT_EQ(flowstone_reader_seek(reader_, {4, 0, 0}, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_reader_seek(reader_, {-1, 0, 0}, &error_), FLOWSTONE_INVALID);
}

TEST_F(CLogTest, SeekingLeavesTheBatchThatReadingIsIn) {
    create();
    append_batch({"a", "b", "c"});
    read();
    EXPECT_THAT(next(1), ElementsAre("a"));
    EXPECT_EQ(flowstone_reader_seek(reader_, flowstone_from_offset(99), &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_THAT(next(1), ElementsAre("b")) << "a seek that fails changes nothing";
    ASSERT_EQ(flowstone_reader_seek(reader_, beginning, &error_), FLOWSTONE_OK);
    EXPECT_EQ(flowstone_reader_position(reader_), 0);
    EXPECT_THAT(next(), ElementsAre("a", "b", "c"));
}

TEST_F(CLogTest, ARecordOfABatchCostsNoAllocation) {
    create();
    const std::vector<const char*> values(200, "value");  // one batch
    append_batch(values);
    read();
    flowstone_view views[10];
    size_t count = 0;
    ASSERT_EQ(flowstone_reader_read(reader_, views, 10, 0, &count, &error_), FLOWSTONE_OK);
    const uint64_t before = bytes_allocated;
    size_t all = count;
    while (all < values.size()) {
        ASSERT_EQ(flowstone_reader_read(reader_, views, 10, 0, &count, &error_), FLOWSTONE_OK);
        ASSERT_EQ(count, 10u);
        flowstone_header header;
        flowstone_view_headers(&views[0], &header, 1);
        all += count;
    }
    EXPECT_EQ(bytes_allocated, before);
}

TEST_F(CLogTest, RecordsThatAreAppendedTogetherToldWhereTheyAre) {
    flowstone_topic_options options{};
    options.partitions = 3;
    create("payments", options);
    EXPECT_EQ(text(flowstone_topic_name(topic_)), "payments");
    EXPECT_EQ(flowstone_topic_partitions(topic_), 3);
    const flowstone_header header{flowstone_text("h"), flowstone_text("w")};
    const flowstone_header another{flowstone_text("h"), flowstone_text("x")};
    flowstone_record records[] = {record("a", "1"), record("b", "2"), record("c", "3")};
    records[1].headers = &header;
    records[1].header_count = 1;
    records[2].headers = &another;
    records[2].header_count = 1;
    flowstone_position at[4] = {{}, {}, {}, {-9, -9, 0}};
    ASSERT_EQ(flowstone_topic_append_many(topic_, records, 3, 2, at, &error_), FLOWSTONE_OK) << error_.message;
    for (int64_t i = 0; i < 3; ++i) {
        EXPECT_EQ(at[i].partition, 2);
        EXPECT_EQ(at[i].offset, i);
    }
    EXPECT_EQ(at[3].offset, -9);
    EXPECT_EQ(flowstone_topic_append_many(topic_, nullptr, 0, 2, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    read(beginning, 2);
    flowstone_view views[3];
    size_t count = 0;
    ASSERT_EQ(flowstone_reader_read(reader_, views, 3, 0, &count, &error_), FLOWSTONE_OK);
    ASSERT_EQ(count, 3u);
    flowstone_header found{};
    EXPECT_EQ(flowstone_view_headers(&views[0], &found, 1), 0u);
    EXPECT_EQ(flowstone_view_headers(&views[1], &found, 1), 1u);
    EXPECT_EQ(text(found.value), "w");
    EXPECT_EQ(flowstone_view_headers(&views[2], &found, 1), 1u);
    EXPECT_EQ(text(found.value), "x");
    EXPECT_GT(views[0].timestamp_ms, 1'000'000'000'000) << "absent: the time of the append";
}

TEST_F(CLogTest, AnAppendIsWaitedForLater) {
    create();
    const flowstone_record given = record("k", "later");
    flowstone_pending pending{};
    ASSERT_EQ(flowstone_topic_append_async(topic_, &given, 0, &pending, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(pending.at.offset, 0);
    read();
    EXPECT_THAT(next(), IsEmpty()) << "without threads nobody has written it yet";
    EXPECT_EQ(flowstone_log_wait(log_, &pending, &error_), FLOWSTONE_OK) << error_.message;
    ASSERT_EQ(flowstone_topic_append_async(topic_, &given, 0, nullptr, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flowstone_log_poll(log_, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flowstone_log_flush(log_, &error_), FLOWSTONE_OK) << error_.message;
    flowstone_partition_info info{};
    info.size = sizeof info;
    ASSERT_EQ(flowstone_topic_partition_info(topic_, 0, &info, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(info.high_watermark, 2);
    EXPECT_THAT(next(), ElementsAre("later"));

    pending.at.offset += 5;
    EXPECT_EQ(flowstone_log_wait(log_, &pending, &error_), FLOWSTONE_INVALID);
    const flowstone_pending none{};
    EXPECT_EQ(flowstone_log_wait(log_, &none, &error_), FLOWSTONE_INVALID);
}

// --- topics, partitions, offsets -----------------------------------------------------------------------------------------

TEST_F(CLogTest, TopicsAreListedByName) {
    const flowstone_config config{flowstone_text("flowstone.durability"), flowstone_text("written")};
    flowstone_topic_options options{};
    options.size = sizeof options;
    options.partitions = 4;
    options.configs = &config;
    options.config_count = 1;
    ASSERT_EQ(flowstone_log_create_topic(log_, flowstone_text("b"), &options, nullptr, &error_), FLOWSTONE_OK)
        << error_.message;
    ASSERT_EQ(flowstone_log_create_topic(log_, flowstone_text("a"), nullptr, nullptr, &error_), FLOWSTONE_OK)
        << error_.message;
    flowstone_topic_list* list = nullptr;
    ASSERT_EQ(flowstone_log_topics(log_, &list, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flowstone_topic_list_count(list), 2u);
    flowstone_topic_info info{};
    info.size = sizeof info;
    ASSERT_EQ(flowstone_topic_list_get(list, 0, &info, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(text(info.name), "a");
    EXPECT_EQ(info.partitions, 1);
    EXPECT_EQ(info.durability, FLOWSTONE_DURABLE);
    ASSERT_EQ(flowstone_topic_list_get(list, 1, &info, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(text(info.name), "b");
    EXPECT_EQ(info.partitions, 4);
    EXPECT_EQ(info.durability, FLOWSTONE_WRITTEN);
    EXPECT_EQ(info.internal, 0u);
    EXPECT_TRUE(std::ranges::any_of(info.id, [](uint8_t byte) { return byte != 0; }));
    EXPECT_EQ(flowstone_topic_list_get(list, 2, &info, &error_), FLOWSTONE_OUT_OF_RANGE);
    ASSERT_EQ(flowstone_log_delete_topic(log_, flowstone_text("b"), &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(flowstone_topic_list_get(list, 1, &info, &error_), FLOWSTONE_OK) << "the list is a copy";
    flowstone_topic_list_free(list);
    ASSERT_EQ(flowstone_log_topics(log_, &list, &error_), FLOWSTONE_OK);
    EXPECT_EQ(flowstone_topic_list_count(list), 1u);
    flowstone_topic_list_free(list);
}

TEST_F(CLogTest, WhatIsNotThereOrThereAlreadyIsSaid) {
    create();
    flowstone_topic* other = nullptr;
    EXPECT_EQ(flowstone_log_topic(log_, flowstone_text("missing"), &other, &error_), FLOWSTONE_NOT_FOUND);
    EXPECT_EQ(other, nullptr);
    EXPECT_EQ(error_.code, FLOWSTONE_NOT_FOUND);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NONE);
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_GIVE_UP);
    EXPECT_THAT(error_.message, HasSubstr("missing"));
    EXPECT_EQ(flowstone_log_create_topic(log_, flowstone_text("payments"), nullptr, &other, &error_), FLOWSTONE_EXISTS);
    flowstone_topic_options options{};
    options.size = sizeof options;
    options.exists_ok = 1;
    ASSERT_EQ(flowstone_log_create_topic(log_, flowstone_text("payments"), &options, &other, &error_), FLOWSTONE_OK);
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_NONE);
    EXPECT_STREQ(error_.message, "");
    flowstone_topic_free(other);
    ASSERT_EQ(flowstone_log_topic(log_, flowstone_text("payments"), &other, &error_), FLOWSTONE_OK) << error_.message;
    flowstone_topic_free(other);
    EXPECT_EQ(flowstone_log_delete_topic(log_, flowstone_text("missing"), &error_), FLOWSTONE_NOT_FOUND);
    for (const flowstone_bytes bad : {flowstone_text(""), flowstone_bytes{nullptr, 0}, flowstone_bytes{"a\0b", 3},
                                      flowstone_bytes{nullptr, 3}, flowstone_text("no/slash")}) {
        EXPECT_EQ(flowstone_log_create_topic(log_, bad, nullptr, nullptr, &error_), FLOWSTONE_INVALID);
    }
    options.partitions = -1;
    EXPECT_EQ(flowstone_log_create_topic(log_, flowstone_text("negative"), &options, nullptr, &error_),
              FLOWSTONE_INVALID);
}

TEST_F(CLogTest, RecordsAreDeletedFromTheFront) {
    create();
    for (const char* value : {"a", "b", "c"}) { append(value); }
    int64_t start = -5;
    ASSERT_EQ(flowstone_topic_delete_records(topic_, 0, 2, &start, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(start, 2);
    flowstone_partition_info info{};
    info.size = sizeof info;
    ASSERT_EQ(flowstone_topic_partition_info(topic_, 0, &info, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(info.log_start, 2);
    EXPECT_EQ(info.high_watermark, 3);
    EXPECT_EQ(info.log_end, 3);
    EXPECT_GT(info.bytes, 0u);
    EXPECT_EQ(info.segments, 1u);
    EXPECT_EQ(info.size, sizeof info);
    flowstone_reader* early = nullptr;
    EXPECT_EQ(flowstone_topic_read(topic_, 0, flowstone_from_offset(0), &early, &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_EQ(early, nullptr);
    EXPECT_EQ(flowstone_topic_delete_records(topic_, 0, 9, nullptr, &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_EQ(flowstone_topic_delete_records(topic_, 7, 0, nullptr, &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_EQ(flowstone_topic_partition_info(topic_, 1, &info, &error_), FLOWSTONE_OUT_OF_RANGE);
    EXPECT_EQ(flowstone_topic_offset_for_time(topic_, 1, 0, &start, &error_), FLOWSTONE_OUT_OF_RANGE);
}

TEST_F(CLogTest, OffsetsOfAGroupAreKept) {
    create();
    flowstone_group_offset given[1] = {};
    given[0].topic = flowstone_text("payments");
    given[0].offset = 17;
    given[0].metadata = flowstone_text("noted");
    ASSERT_EQ(flowstone_log_commit_offsets(log_, flowstone_text("group"), given, 1, &error_), FLOWSTONE_OK)
        << error_.message;
    flowstone_topic_free(std::exchange(topic_, nullptr));
    ASSERT_EQ(flowstone_log_close(std::exchange(log_, nullptr), FLOWSTONE_FOREVER, &error_), FLOWSTONE_OK);
    open();
    flowstone_offset_list* list = nullptr;
    ASSERT_EQ(flowstone_log_fetch_offsets(log_, flowstone_text("group"), &list, &error_), FLOWSTONE_OK)
        << error_.message;
    ASSERT_EQ(flowstone_offset_list_count(list), 1u);
    flowstone_group_offset found{};
    ASSERT_EQ(flowstone_offset_list_get(list, 0, &found, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(text(found.topic), "payments");
    EXPECT_EQ(found.partition, 0);
    EXPECT_EQ(found.offset, 17);
    EXPECT_EQ(text(found.metadata), "noted");
    EXPECT_EQ(flowstone_offset_list_get(list, 1, &found, &error_), FLOWSTONE_OUT_OF_RANGE);
    flowstone_offset_list_free(list);
    given[0].topic = flowstone_text("missing");
    EXPECT_EQ(flowstone_log_commit_offsets(log_, flowstone_text("group"), given, 1, &error_), FLOWSTONE_NOT_FOUND);
}

// --- refusals ------------------------------------------------------------------------------------------------------------

TEST_F(CLogTest, ARefusedAppendSaysThatItIsNotInTheLog) {
    create();
    const auto refused = [&](const flowstone_record& given, int32_t partition, int32_t code) {
        flowstone_position at{-7, -7, 0};
        EXPECT_EQ(flowstone_topic_append(topic_, &given, partition, &at, &error_), code) << error_.message;
        EXPECT_EQ(error_.code, code);
        EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
        EXPECT_THAT(error_.message, HasSubstr("not appended"));
        EXPECT_EQ(at.offset, -7) << "only written on success";
        flowstone_pending pending{};
        EXPECT_EQ(flowstone_topic_append_async(topic_, &given, partition, &pending, &error_), code);
        EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
        EXPECT_EQ(flowstone_topic_append_many(topic_, &given, 1, partition, &at, &error_), code);
        EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    };
    refused(record("k", "v"), 1, FLOWSTONE_OUT_OF_RANGE);
    refused(record("k", "v"), -2, FLOWSTONE_OUT_OF_RANGE);
    const std::string large(2u << 20, 'x');
    refused(record("k", large.c_str()), 0, FLOWSTONE_TOO_LARGE);
    flowstone_record bad = record("k", "v");
    bad.value = {nullptr, 5};
    refused(bad, 0, FLOWSTONE_INVALID);
    bad.value = {"v", SIZE_MAX};
    refused(bad, 0, FLOWSTONE_TOO_LARGE);
    bad = record("k", "v");
    bad.header_count = 1;
    refused(bad, 0, FLOWSTONE_INVALID);
    const flowstone_header header{flowstone_text("h"), {nullptr, 0}};
    bad.headers = &header;
    bad.header_count = SIZE_MAX;
    refused(bad, 0, FLOWSTONE_TOO_LARGE);
    EXPECT_EQ(flowstone_topic_append_many(topic_, &bad, SIZE_MAX, 0, nullptr, &error_), FLOWSTONE_TOO_LARGE);
    read();
    EXPECT_THAT(next(), IsEmpty());
}

TEST_F(CLogTest, OfADeletedTopicNothingIsLeft) {
    create();
    append("a");
    read();
    ASSERT_EQ(flowstone_log_delete_topic(log_, flowstone_text("payments"), &error_), FLOWSTONE_OK) << error_.message;
    const flowstone_record given = record("k", "v");
    EXPECT_EQ(flowstone_topic_append(topic_, &given, 0, nullptr, &error_), FLOWSTONE_NOT_FOUND);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    flowstone_view view;
    size_t count = 0;
    EXPECT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, &error_), FLOWSTONE_NOT_FOUND);
}

TEST_F(CLogTest, AForkedChildIsToldToLookAfterReopening) {
    create();
    const flowstone_record given = record("k", "v");
    flowstone_pending pending{};
    ASSERT_EQ(flowstone_topic_append_async(topic_, &given, 0, &pending, &error_), FLOWSTONE_OK) << error_.message;
    const pid_t child = fork();
    if (child == 0) {
        const bool right = flowstone_log_wait(log_, &pending, &error_) == FLOWSTONE_CLOSED &&
                           error_.fate == FLOWSTONE_FATE_UNKNOWN_UNTIL_REOPEN &&
                           error_.advice == FLOWSTONE_ADVICE_REOPEN;
        _exit(right ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(flowstone_log_wait(log_, &pending, &error_), FLOWSTONE_OK) << "the parent's goes on";
}

TEST_F(CLogTest, ADirectoryIsOpenedAsTheOptionsSay) {
    create();
    append("a");
    const auto path = flowstone_text(path_.c_str());
    flowstone_log* other = nullptr;
    auto options = small_log();
    EXPECT_EQ(flowstone_log_open(path, &options, &other, &error_), FLOWSTONE_LOCKED);
    EXPECT_THAT(error_.message, HasSubstr(std::to_string(getpid())));
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_RETRY);
    options.read_only = 1;
    ASSERT_EQ(flowstone_log_open(path, &options, &other, &error_), FLOWSTONE_OK) << error_.message;
    flowstone_topic* topic = nullptr;
    ASSERT_EQ(flowstone_log_topic(other, flowstone_text("payments"), &topic, &error_), FLOWSTONE_OK) << error_.message;
    const flowstone_record given = record("k", "v");
    EXPECT_EQ(flowstone_topic_append(topic, &given, 0, nullptr, &error_), FLOWSTONE_READ_ONLY);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    flowstone_topic_free(topic);
    EXPECT_EQ(flowstone_log_close(other, FLOWSTONE_FOREVER, &error_), FLOWSTONE_OK) << error_.message;

    other = nullptr;
    const std::string missing = path_ + "/missing";
    options = small_log();
    options.must_exist = 1;
    EXPECT_EQ(flowstone_log_open(flowstone_text(missing.c_str()), &options, &other, &error_), FLOWSTONE_NOT_FOUND);
    EXPECT_FALSE(std::filesystem::exists(missing));
    for (const flowstone_bytes bad : {flowstone_text(""), flowstone_bytes{nullptr, 0}, flowstone_bytes{"a\0b", 3},
                                      flowstone_bytes{nullptr, 1}, flowstone_bytes{"a", SIZE_MAX}}) {
        EXPECT_NE(flowstone_log_open(bad, nullptr, &other, &error_), FLOWSTONE_OK);
    }
    options = small_log();
    options.reserve_bytes = -2;
    EXPECT_EQ(flowstone_log_open(flowstone_text(missing.c_str()), &options, &other, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(other, nullptr);
}

TEST_F(CLogTest, OptionsOfAnotherReleaseAreUnderstoodOrRefused) {
    struct {
        flowstone_topic_options known;
        uint64_t later;
    } options{};
    const auto create_with = [&](uint32_t size) {
        options.known.size = size;
        options.known.exists_ok = 1;
        return flowstone_log_create_topic(log_, flowstone_text("t"), &options.known, nullptr, &error_);
    };
    EXPECT_EQ(create_with(sizeof options.known), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(create_with(sizeof options), FLOWSTONE_OK) << "what this release does not know is zero";
    options.later = 1;
    EXPECT_EQ(create_with(sizeof options.known), FLOWSTONE_OK) << "behind the end";
    EXPECT_EQ(create_with(sizeof options), FLOWSTONE_UNSUPPORTED);
    for (const uint32_t size : {0u, 1u, 31u, 5'000u, UINT32_MAX}) {
        EXPECT_EQ(create_with(size), FLOWSTONE_INVALID) << size;
    }
    options.known.reserved = 1;
    EXPECT_EQ(create_with(sizeof options.known), FLOWSTONE_UNSUPPORTED);
    options.known.reserved = 0;
    options.known.config_count = 1;
    EXPECT_EQ(create_with(sizeof options.known), FLOWSTONE_INVALID) << "NULL, and a count";
}

TEST_F(CLogTest, AnAnswerIsAsLongAsTheCallerKnowsIt) {
    create();
    struct {
        flowstone_partition_info known;
        uint64_t later;
        uint64_t beyond;
    } answer;
    std::memset(&answer, 0xff, sizeof answer);
    answer.known.size = sizeof answer.known + sizeof answer.later;
    ASSERT_EQ(flowstone_topic_partition_info(topic_, 0, &answer.known, &error_), FLOWSTONE_OK) << error_.message;
    EXPECT_EQ(answer.known.size, sizeof answer.known + sizeof answer.later);
    EXPECT_EQ(answer.known.log_end, 0);
    EXPECT_EQ(answer.later, 0u);
    EXPECT_EQ(answer.beyond, UINT64_MAX);
    answer.known.log_end = -3;
    for (const uint32_t size : {0u, 47u, 5'000u}) {
        answer.known.size = size;
        EXPECT_EQ(flowstone_topic_partition_info(topic_, 0, &answer.known, &error_), FLOWSTONE_INVALID) << size;
    }
    EXPECT_EQ(answer.known.log_end, -3);
}

TEST_F(CLogTest, WhatMustNotBeNullIsAsked) {
    create();
    read();
    const flowstone_record given = record("k", "v");
    const auto name = flowstone_text("t");
    flowstone_view view{};
    size_t count = 0;
    int64_t number = 0;
    flowstone_topic* topic = nullptr;
    flowstone_reader* reader = nullptr;
    flowstone_topic_list* topics = nullptr;
    flowstone_offset_list* offsets = nullptr;
    flowstone_pending pending{};
    flowstone_partition_info info{};
    const auto invalid = [&](int32_t code) {
        EXPECT_EQ(code, FLOWSTONE_INVALID);
        EXPECT_THAT(error_.message, HasSubstr("NULL"));
        error_ = {};
    };
    flowstone_error* const e = &error_;
    invalid(flowstone_log_open(name, nullptr, nullptr, e));
    invalid(flowstone_log_close(nullptr, 0, e));
    invalid(flowstone_log_create_topic(nullptr, name, nullptr, &topic, e));
    invalid(flowstone_log_topic(nullptr, name, &topic, e));
    invalid(flowstone_log_topic(log_, name, nullptr, e));
    invalid(flowstone_log_delete_topic(nullptr, name, e));
    invalid(flowstone_log_topics(nullptr, &topics, e));
    invalid(flowstone_log_topics(log_, nullptr, e));
    invalid(flowstone_topic_list_get(nullptr, 0, nullptr, e));
    invalid(flowstone_log_flush(nullptr, e));
    invalid(flowstone_log_poll(nullptr, e));
    invalid(flowstone_log_commit_offsets(nullptr, name, nullptr, 0, e));
    invalid(flowstone_log_commit_offsets(log_, name, nullptr, 1, e));
    invalid(flowstone_log_fetch_offsets(nullptr, name, &offsets, e));
    invalid(flowstone_log_fetch_offsets(log_, name, nullptr, e));
    invalid(flowstone_offset_list_get(nullptr, 0, nullptr, e));
    invalid(flowstone_log_wait(nullptr, &pending, e));
    invalid(flowstone_log_wait(log_, nullptr, e));
    invalid(flowstone_topic_append(nullptr, &given, 0, nullptr, e));
    invalid(flowstone_topic_append(topic_, nullptr, 0, nullptr, e));
    invalid(flowstone_topic_append_many(nullptr, &given, 1, 0, nullptr, e));
    invalid(flowstone_topic_append_many(topic_, nullptr, 1, 0, nullptr, e));
    invalid(flowstone_topic_append_async(nullptr, &given, 0, nullptr, e));
    invalid(flowstone_topic_append_async(topic_, nullptr, 0, nullptr, e));
    invalid(flowstone_topic_partition_info(nullptr, 0, &info, e));
    invalid(flowstone_topic_partition_info(topic_, 0, nullptr, e));
    invalid(flowstone_topic_offset_for_time(nullptr, 0, 0, &number, e));
    invalid(flowstone_topic_offset_for_time(topic_, 0, 0, nullptr, e));
    invalid(flowstone_topic_delete_records(nullptr, 0, 0, &number, e));
    invalid(flowstone_topic_read(nullptr, 0, beginning, &reader, e));
    invalid(flowstone_topic_read(topic_, 0, beginning, nullptr, e));
    invalid(flowstone_reader_read(nullptr, &view, 1, 0, &count, e));
    invalid(flowstone_reader_read(reader_, nullptr, 1, 0, &count, e));
    invalid(flowstone_reader_read(reader_, &view, 1, 0, nullptr, e));
    invalid(flowstone_reader_seek(nullptr, beginning, e));
    EXPECT_EQ(flowstone_reader_read(reader_, &view, 0, 0, &count, e), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_reader_read(nullptr, &view, 0, 0, &count, nullptr), FLOWSTONE_INVALID) << "nobody asks why";

    EXPECT_EQ(flowstone_topic_list_count(nullptr), 0u);
    EXPECT_EQ(flowstone_offset_list_count(nullptr), 0u);
    EXPECT_EQ(flowstone_topic_name(nullptr).data, nullptr);
    EXPECT_EQ(flowstone_topic_partitions(nullptr), 0);
    EXPECT_EQ(flowstone_reader_position(nullptr), -1);
    EXPECT_EQ(flowstone_view_headers(nullptr, nullptr, 0), 0u);
    EXPECT_EQ(flowstone_text(nullptr).data, nullptr);
    flowstone_topic_free(nullptr);
    flowstone_reader_free(nullptr);
    flowstone_topic_list_free(nullptr);
    flowstone_offset_list_free(nullptr);
}

TEST_F(CLogTest, AHandleOfAnotherKindIsRefused) {
    create();
    read();
    auto* const log = reinterpret_cast<flowstone_log*>(topic_);
    auto* const topic = reinterpret_cast<flowstone_topic*>(reader_);
    auto* const reader = reinterpret_cast<flowstone_reader*>(log_);
    EXPECT_EQ(flowstone_log_flush(log, &error_), FLOWSTONE_INVALID);
    EXPECT_THAT(error_.message, HasSubstr("another kind"));
    EXPECT_EQ(flowstone_log_close(log, 0, &error_), FLOWSTONE_INVALID);
    EXPECT_EQ(flowstone_topic_partitions(topic), 0);
    EXPECT_EQ(flowstone_reader_position(reader), -1);
    flowstone_topic_free(topic);
    flowstone_reader_free(reader);
    append("all are still there");
    EXPECT_EQ(next().size(), 1u);
}

// --- ends ----------------------------------------------------------------------------------------------------------------

TEST_F(CLogTest, HandlesMayBeEndedInAnyOrder) {
    create();
    append_batch({"a", "b"});
    append("c");
    read();
    EXPECT_THAT(next(), ElementsAre("a", "b"));
    ASSERT_EQ(flowstone_log_close(std::exchange(log_, nullptr), FLOWSTONE_FOREVER, &error_), FLOWSTONE_OK)
        << error_.message;
    const flowstone_record given = record("k", "v");
    EXPECT_EQ(flowstone_topic_append(topic_, &given, 0, nullptr, &error_), FLOWSTONE_CLOSED);
    EXPECT_EQ(error_.fate, FLOWSTONE_FATE_NOT_APPENDED);
    EXPECT_EQ(error_.advice, FLOWSTONE_ADVICE_GIVE_UP);
    EXPECT_EQ(text(flowstone_topic_name(topic_)), "payments");
    flowstone_view view;
    size_t count = 77;
    EXPECT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, &error_), FLOWSTONE_CLOSED);
    EXPECT_EQ(count, 77u) << "only written on success";
    flowstone_reader* late = nullptr;
    EXPECT_EQ(flowstone_topic_read(topic_, 0, beginning, &late, &error_), FLOWSTONE_CLOSED);

    open();  // the directory is free, although handles of it are left
    flowstone_topic_free(std::exchange(topic_, nullptr));
    EXPECT_EQ(flowstone_reader_read(reader_, &view, 1, 0, &count, &error_), FLOWSTONE_CLOSED);
    ASSERT_EQ(flowstone_log_topic(log_, flowstone_text("payments"), &topic_, &error_), FLOWSTONE_OK) << error_.message;
    read();
    EXPECT_THAT(next(), ElementsAre("a", "b"));
    EXPECT_THAT(next(), ElementsAre("c"));
}

TEST_F(CLogTest, WhatWasNotWaitedForIsThereAfterClosing) {
    create();
    const flowstone_record given = record("k", "late");
    ASSERT_EQ(flowstone_topic_append_async(topic_, &given, 0, nullptr, &error_), FLOWSTONE_OK);
    flowstone_topic_free(std::exchange(topic_, nullptr));
    ASSERT_EQ(flowstone_log_close(std::exchange(log_, nullptr), FLOWSTONE_FOREVER, &error_), FLOWSTONE_OK);
    open();
    ASSERT_EQ(flowstone_log_topic(log_, flowstone_text("payments"), &topic_, &error_), FLOWSTONE_OK);
    read();
    EXPECT_THAT(next(), ElementsAre("late"));
}

}  // namespace
}  // namespace flowstone
