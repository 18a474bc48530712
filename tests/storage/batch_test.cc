#include "storage/batch.h"

#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/limits.h"
#include "tests/paths.h"
#include "tests/storage/reference.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using reference::BatchFields;
using reference::Wire;

constexpr std::string_view long_text =
    "a value of more than sixty-three bytes, so that its length needs two bytes as a varint, and so does the record's";

BatchView parsed(Bytes bytes) {
    auto batch = BatchView::parse(bytes);
    EXPECT_TRUE(batch) << batch.error().message();
    return *batch;
}

struct Read {
    std::vector<RecordView> records;
    std::optional<Error> error;
};

// Views stay valid as long as `bytes` and `scratch`.
Read read_all(Bytes bytes, std::vector<std::byte>& scratch) {
    Read read;
    auto cursor = RecordCursor::open(parsed(bytes), scratch);
    if (!cursor) { return {{}, cursor.error()}; }
    while (true) {
        auto record = cursor->next();
        if (!record) {
            auto again = cursor->next();  // an error never turns into the end
            EXPECT_FALSE(again);
            return {read.records, record.error()};
        }
        if (!*record) { return read; }
        read.records.push_back(**record);
    }
}

std::optional<Code> read_error(Bytes bytes) {
    std::vector<std::byte> scratch;
    const Read read = read_all(bytes, scratch);
    return read.error ? std::optional(read.error->code) : std::nullopt;
}

std::vector<std::byte> one_record_batch(const Wire& record) { return reference::batch({.records = record}); }

// Writing

TEST(BatchBuilder, WritesWhatKafkasDocumentationSays) {
    std::vector<std::byte> space(1000);
    BatchBuilder builder(space, {.base_offset = Offset{0x0102030405060708},
                                 .epoch = Epoch{0x11121314},
                                 .transactional = true,
                                 .producer_id = 0x2122232425262728,
                                 .producer_epoch = 0x3132,
                                 .base_sequence = 0x41424344});
    ASSERT_TRUE(builder.append({.key = "card", .value = long_text}, 1'700'000'000'000));
    ASSERT_TRUE(builder.append({.key = std::nullopt, .value = std::nullopt}, 1'700'000'000'000 - 5));
    ASSERT_TRUE(builder.append({.key = "", .value = ""}, 1'700'000'070'000));
    EXPECT_EQ(builder.next_offset(), Offset{0x0102030405060708 + 3});
    const Header headers[] = {{"source", "pos"}, {"", std::nullopt}};
    ASSERT_TRUE(builder.append({.value = "v", .headers = headers}, 1'700'000'000'001));
    EXPECT_EQ(builder.count(), 4u);
    const size_t size = builder.size();

    Wire records;
    records.append(reference::record({.key = "card", .value = long_text}));
    records.append(reference::record({.timestamp_delta = -5, .offset_delta = 1}));
    records.append(reference::record({.timestamp_delta = 70'000, .offset_delta = 2, .key = "", .value = ""}));
    records.append(
        reference::record({.timestamp_delta = 1,
                           .offset_delta = 3,
                           .value = "v",
                           .headers = Wire().varint(2).nullable("source").nullable("pos").varint(0).varint(-1)}));
    const auto expected = reference::batch({.base_offset = 0x0102030405060708,
                                            .epoch = 0x11121314,
                                            .attributes = 0x10,
                                            .last_offset_delta = 3,
                                            .base_timestamp = 1'700'000'000'000,
                                            .max_timestamp = 1'700'000'070'000,
                                            .producer_id = 0x2122232425262728,
                                            .producer_epoch = 0x3132,
                                            .base_sequence = 0x41424344,
                                            .count = 4,
                                            .records = records});
    const BatchView batch = builder.close();
    EXPECT_EQ(batch.size(), size);
    EXPECT_EQ(std::vector(batch.bytes().begin(), batch.bytes().end()), expected);
    EXPECT_TRUE(batch.crc_matches());
    EXPECT_TRUE(batch.check_header());
}

TEST(BatchBuilder, SetsTheBitsOfItsOptions) {
    std::vector<std::byte> space(200);
    BatchBuilder control(space, {.timestamp_type = TimestampType::log_append_time, .control = true});
    ASSERT_TRUE(control.append({.key = "k"}, 9));
    const BatchView batch = control.close();
    EXPECT_EQ(batch.attributes(), 0x28);
    EXPECT_TRUE(batch.control());
    EXPECT_EQ(batch.timestamp_type(), TimestampType::log_append_time);

    std::vector<std::byte> other(200);
    BatchBuilder compacted(other, {.delete_horizon_ms = 1000});
    ASSERT_TRUE(compacted.append({.key = "k"}, 40));
    const BatchView horizon = compacted.close();
    EXPECT_TRUE(horizon.has_delete_horizon());
    EXPECT_EQ(horizon.base_timestamp_ms(), 1000);
    EXPECT_EQ(horizon.max_timestamp_ms(), 40);
    std::vector<std::byte> scratch;
    EXPECT_EQ(read_all(horizon.bytes(), scratch).records.at(0).timestamp_ms, 40);
}

TEST(BatchBuilder, RefusesARecordThatDoesNotFitAndIsThenUnchanged) {
    const Header header[] = {{"name", "value"}};
    const Record samples[] = {
        {.key = "key", .value = "value"}, {.value = long_text}, {.key = "key", .value = "value", .headers = header}};
    for (const Record& sample : samples) {
        std::vector<std::byte> roomy(4096);
        BatchBuilder measure(roomy, {});
        ASSERT_TRUE(measure.append(sample, 5));
        ASSERT_TRUE(measure.append(sample, 5));
        const size_t exact = measure.size();
        const BatchView two = measure.close();
        for (size_t size = batch_header_bytes; size < exact + 100; ++size) {
            std::vector<std::byte> space(size + 1, std::byte{0xa5});
            BatchBuilder builder(MutableBytes(space).first(size), {});
            uint32_t count = 0;
            while (count < 2 && builder.append(sample, 5)) { ++count; }
            ASSERT_EQ(count, builder.count());
            ASSERT_EQ(space[size], std::byte{0xa5});  // nothing past the space
            if (size >= exact) {
                ASSERT_EQ(count, 2u) << size << " bytes are enough";
                const BatchView batch = builder.close();
                ASSERT_TRUE(std::ranges::equal(batch.bytes(), two.bytes()));
            } else {
                ASSERT_LT(count, 2u) << size << " bytes are too few";
                const size_t before = builder.size();
                ASSERT_FALSE(builder.append(sample, 5));
                ASSERT_EQ(builder.size(), before);
                ASSERT_EQ(builder.next_offset(), Offset{count});
            }
        }
    }
}

TEST(BatchBuilder, RecordBytesMaxIsNeverLess) {
    const Header headers[] = {{"name", "value"}, {"", std::nullopt}};
    for (const Record& record : {Record{}, Record{.key = "k", .value = long_text}, Record{.headers = headers}}) {
        std::vector<std::byte> space(4096);
        BatchBuilder builder(space, {});
        ASSERT_TRUE(builder.append({}, std::numeric_limits<int64_t>::min()));
        const size_t before = builder.size();
        ASSERT_TRUE(builder.append(record, 0));  // the largest time delta there is
        EXPECT_LE(builder.size() - before, BatchBuilder::record_bytes_max(record));
    }
}

TEST(BatchBuilder, KeepsGapsAndAnEndWithoutRecords) {
    std::vector<std::byte> space(1000), scratch;
    BatchBuilder builder(space, {.base_offset = Offset{100}});
    RecordView view;
    view.timestamp_ms = 7;
    view.key = "k";
    ASSERT_TRUE(builder.append_at(3, view));
    const Wire headers = Wire().varint(1).nullable("h").nullable("x");
    view.encoded_headers = headers.bytes();
    ASSERT_TRUE(builder.append_at(1'000'000, view));
    const BatchView batch = builder.close_at(2'000'000);
    const Read read = read_all(batch.bytes(), scratch);
    ASSERT_FALSE(read.error);
    ASSERT_EQ(read.records.size(), 2u);
    EXPECT_EQ(read.records[0].offset, Offset{103});
    EXPECT_EQ(read.records[0].header_count(), 0u);
    EXPECT_EQ(read.records[1].offset, Offset{1'000'100});
    EXPECT_EQ(read.records[1].header("h")->value, "x");
    EXPECT_EQ(batch.next_offset(), Offset{2'000'101});

    BatchBuilder empty(space, {.base_offset = Offset{5}, .producer_id = 9, .base_sequence = 3});
    const BatchView none = empty.close_empty(4, 77);
    EXPECT_EQ(none.size(), batch_header_bytes);
    EXPECT_TRUE(none.crc_matches());
    EXPECT_EQ(none.next_offset(), Offset{10});
    EXPECT_EQ(none.max_timestamp_ms(), 77);
    EXPECT_TRUE(read_all(none.bytes(), scratch).records.empty());
    EXPECT_FALSE(read_error(none.bytes()));
}

TEST(BatchBuilder, WhatIsWrittenIsReadForManyShapes) {
    std::mt19937_64 random(3);
    const std::string text(20'000, 'x');
    for (int round = 0; round < 200; ++round) {
        std::vector<std::byte> space(300'000), scratch;
        BatchBuilder builder(space, {.base_offset = Offset{round}});
        struct Expected {
            std::optional<std::string_view> key, value;
            int64_t timestamp_ms;
        };
        std::vector<Expected> expected;
        auto piece = [&]() -> std::optional<std::string_view> {
            // Sizes around the places where a varint grows: 63|64 and 8191|8192.
            constexpr size_t sizes[] = {0, 1, 55, 63, 64, 70, 8170, 8191, 8192, 15'000};
            if (random() % 8 == 0) { return std::nullopt; }
            return std::string_view(text).substr(0, sizes[random() % std::size(sizes)] + random() % 3);
        };
        while (true) {
            const int64_t time = static_cast<int64_t>(random()) >> (random() % 64);
            Expected one{piece(), piece(), time};
            if (!builder.append({.key = one.key, .value = one.value}, time)) { break; }
            expected.push_back(one);
        }
        const BatchView batch = builder.close();
        ASSERT_TRUE(batch.crc_matches());
        const Read read = read_all(batch.bytes(), scratch);
        ASSERT_FALSE(read.error) << read.error->message();
        ASSERT_EQ(read.records.size(), expected.size());
        int64_t latest = std::numeric_limits<int64_t>::min();
        for (size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(read.records[i].key, expected[i].key);
            ASSERT_EQ(read.records[i].value, expected[i].value);
            ASSERT_EQ(read.records[i].timestamp_ms, expected[i].timestamp_ms);
            ASSERT_EQ(read.records[i].offset, Offset{round + static_cast<int64_t>(i)});
            latest = std::max(latest, expected[i].timestamp_ms);
        }
        ASSERT_EQ(batch.max_timestamp_ms(), latest);
    }
}

// Reading

TEST(BatchView, ReadsEveryFieldFromItsPlace) {
    const auto bytes = reference::batch({.base_offset = 0x0102030405060708,
                                         .epoch = 0x11121314,
                                         .attributes = 0x7b,
                                         .last_offset_delta = 7,
                                         .base_timestamp = 0x2122232425262728,
                                         .max_timestamp = 0x3132333435363738,
                                         .producer_id = 0x4142434445464748,
                                         .producer_epoch = 0x5152,
                                         .base_sequence = 0x61626364,
                                         .count = 2,
                                         .records = Wire().text("abcd")});
    const BatchView batch = parsed(bytes);
    EXPECT_EQ(batch.size(), batch_header_bytes + 4);
    EXPECT_EQ(batch.base_offset(), Offset{0x0102030405060708});
    EXPECT_EQ(batch.last_offset(), Offset{0x010203040506070f});
    EXPECT_EQ(batch.next_offset(), Offset{0x0102030405060710});
    EXPECT_EQ(batch.epoch(), Epoch{0x11121314});
    EXPECT_EQ(batch.codec_id(), 3);
    EXPECT_EQ(batch.timestamp_type(), TimestampType::log_append_time);
    EXPECT_TRUE(batch.transactional());
    EXPECT_TRUE(batch.control());
    EXPECT_TRUE(batch.has_delete_horizon());
    EXPECT_EQ(batch.base_timestamp_ms(), 0x2122232425262728);
    EXPECT_EQ(batch.max_timestamp_ms(), 0x3132333435363738);
    EXPECT_EQ(batch.producer_id(), 0x4142434445464748);
    EXPECT_EQ(batch.producer_epoch(), 0x5152);
    EXPECT_EQ(batch.base_sequence(), 0x61626364);
    EXPECT_EQ(batch.record_count(), 2);
    EXPECT_EQ(as_text(batch.encoded_records()), "abcd");
    EXPECT_TRUE(batch.crc_matches());
}

TEST(BatchView, NeedsTheWholeBatchAndIgnoresWhatFollows) {
    auto bytes = one_record_batch(reference::record({.value = "v"}));
    const size_t size = bytes.size();
    bytes.push_back(std::byte{0xff});
    EXPECT_EQ(parsed(bytes).size(), size);
    EXPECT_EQ(value_of(BatchView::measure(bytes)), size);
    for (size_t cut = 0; cut < size; ++cut) {
        auto batch = BatchView::parse(Bytes(bytes).first(cut));
        ASSERT_FALSE(batch);
        EXPECT_EQ(batch.error().code, Code::out_of_range) << cut;
    }
}

TEST(BatchView, RefusesLengthsBelowAHeaderAndOtherMagics) {
    for (const int32_t length : {48, 0, -1, std::numeric_limits<int32_t>::min()}) {
        auto bytes = one_record_batch(reference::record({}));
        store_be<int32_t>(&bytes[8], length);
        EXPECT_EQ(BatchView::parse(bytes).error().code, Code::corrupt) << length;
        EXPECT_EQ(BatchView::measure(bytes).error().code, Code::corrupt) << length;
    }
    for (const int magic : {0, 1, 3, 255}) {
        const auto bytes = reference::batch({.magic = magic});
        EXPECT_EQ(BatchView::parse(bytes).error().code, Code::unsupported) << magic;
    }
}

TEST(BatchView, CheckHeaderRefusesNumbersThatCannotBe) {
    const Wire two = Wire().append(reference::record({})).append(reference::record({.offset_delta = 1}));
    auto code = [&](BatchFields fields) -> std::optional<Code> {
        fields.records = two;
        const auto bytes = reference::batch(fields);
        auto checked = parsed(bytes).check_header();
        auto opened = read_error(bytes);
        if (!checked) { EXPECT_EQ(opened, checked.error().code); }  // and so no cursor opens
        return checked ? std::nullopt : std::optional(checked.error().code);
    };
    EXPECT_EQ(code({.last_offset_delta = 1, .count = 2}), std::nullopt);
    EXPECT_EQ(code({.last_offset_delta = 9, .count = 2}), std::nullopt);  // compacted
    EXPECT_EQ(code({.last_offset_delta = 0, .count = 2}), Code::corrupt);
    EXPECT_EQ(code({.last_offset_delta = -1, .count = 0}), Code::corrupt);
    EXPECT_EQ(code({.last_offset_delta = 1, .count = -1}), Code::corrupt);
    EXPECT_EQ(code({.last_offset_delta = 2, .count = 3}), Code::corrupt);  // 14 bytes hold no three records
    EXPECT_EQ(code({.last_offset_delta = INT32_MAX, .count = INT32_MAX}), Code::corrupt);
    EXPECT_EQ(code({.last_offset_delta = INT32_MAX, .count = int64_t{1} << 31}), Code::corrupt);  // is negative
    EXPECT_EQ(code({.attributes = 4, .last_offset_delta = INT32_MAX, .count = INT32_MAX}), Code::corrupt);
    EXPECT_EQ(code({.base_offset = -1, .last_offset_delta = 1, .count = 2}), Code::corrupt);
    EXPECT_EQ(code({.base_offset = INT64_MAX - 1, .last_offset_delta = 1, .count = 2}), Code::corrupt);
    EXPECT_EQ(code({.base_offset = INT64_MAX - 2, .last_offset_delta = 1, .count = 2}), std::nullopt);
    for (const int codec : {5, 6, 7}) {
        EXPECT_EQ(code({.attributes = codec, .last_offset_delta = 1, .count = 2}), Code::unsupported);
    }
}

TEST(BatchView, EveryFlippedBitIsFoundExceptInOffsetAndEpochWhichTheChecksumLeavesOut) {
    const auto good = one_record_batch(reference::record({.key = "card-7", .value = long_text}));
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        auto bytes = good;
        bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        auto batch = BatchView::parse(bytes);
        const size_t at = bit / 8;
        const bool outside = at < 8 || (at >= 12 && at < 16);
        const bool found = !batch || !batch->crc_matches();
        ASSERT_EQ(found, !outside) << "bit " << bit;
    }
}

TEST(BatchView, PatchingOffsetAndEpochLeavesTheChecksumRight) {
    auto bytes = one_record_batch(reference::record({.value = "v"}));
    patch_base_offset(bytes, Offset{123'456'789'012});
    patch_epoch(bytes, Epoch{17});
    const auto expected =
        reference::batch({.base_offset = 123'456'789'012, .epoch = 17, .records = reference::record({.value = "v"})});
    EXPECT_EQ(bytes, expected);
    EXPECT_TRUE(parsed(bytes).crc_matches());
}

TEST(BatchView, LogAppendTimeReplacesEveryTimestamp) {
    const Wire records = reference::record({.timestamp_delta = 3, .value = "v"});
    auto bytes = reference::batch({.base_timestamp = 50, .max_timestamp = 53, .records = records});
    std::vector<std::byte> scratch;
    EXPECT_EQ(read_all(bytes, scratch).records.at(0).timestamp_ms, 53);
    patch_log_append_time(bytes, 9'000);
    EXPECT_EQ(bytes,
              reference::batch({.attributes = 8, .base_timestamp = 50, .max_timestamp = 9'000, .records = records}));
    EXPECT_EQ(read_all(bytes, scratch).records.at(0).timestamp_ms, 9'000);
}

TEST(RecordCursor, RefusesWhatIsNoRecord) {
    const Wire good = reference::record({.key = "k", .value = "v"});
    EXPECT_EQ(read_error(one_record_batch(good)), std::nullopt);
    // Behind a good record, long enough that the count of two is plausible, and with nothing left over.
    auto body = [](const Wire& fields) {
        Wire records = reference::record({.value = long_text});
        records.varint(static_cast<int64_t>(fields.size())).append(fields);
        return reference::batch({.last_offset_delta = 1, .count = 2, .records = records});
    };
    // Attributes 0, time 0, offset 1 come before the key.
    auto start = [] { return Wire().raw(0).varint(0).varint(1); };
    EXPECT_EQ(read_error(body(start().varint(-1).varint(-1).varint(0))), std::nullopt);
    const std::vector<std::pair<const char*, Wire>> bad = {
        {"an empty record", Wire()},
        {"only attributes", Wire().raw(0)},
        {"a key of length -2", start().varint(-2).varint(-1).varint(0)},
        {"a key of length -2^31", start().varint(INT32_MIN).varint(-1).varint(0)},
        {"a key longer than the record", start().varint(4).text("abc")},
        {"a key of 2^31-1 bytes", start().varint(INT32_MAX).text("abc")},
        {"a key length past 32 bits", start().varint(int64_t{1} << 40).text("abc")},
        {"a key length of 2^32+1", start()
                                       .text("\x82\x80\x80\x80\x10"
                                             "a")
                                       .varint(-1)
                                       .varint(0)},
        {"a value of length -2", start().varint(-1).varint(-2).varint(0)},
        {"a value longer than the record", start().varint(-1).varint(2).text("a")},
        {"no header count", start().varint(-1).varint(-1)},
        {"-1 headers", start().varint(-1).varint(-1).varint(-1)},
        {"2^31-1 headers", start().varint(-1).varint(-1).varint(INT32_MAX)},
        {"a header name that is null", start().varint(-1).varint(-1).varint(1).varint(-1).varint(-1)},
        {"a header value of length -2", start().varint(-1).varint(-1).varint(1).nullable("h").varint(-2)},
        {"a header cut short", start().varint(-1).varint(-1).varint(1).nullable("h")},
        {"a byte after the headers", start().varint(-1).varint(-1).varint(0).raw(0)},
        {"a header too many", start().varint(-1).varint(-1).varint(1).nullable("h").varint(-1).varint(0).varint(-1)},
        {"offset -1", Wire().raw(0).varint(0).varint(-1).varint(-1).varint(-1).varint(0)},
        {"the offset before it again", Wire().raw(0).varint(0).varint(0).varint(-1).varint(-1).varint(0)},
        {"an offset past the last", Wire().raw(0).varint(0).varint(2).varint(-1).varint(-1).varint(0)},
        {"a varint without end", Wire().raw(0).text(std::string(12, '\xff'))},
        {"a time past 64 bits",
         Wire().raw(0).text(std::string(9, '\xff')).raw(2).varint(1).varint(-1).varint(-1).varint(0)},
    };
    for (const auto& [what, fields] : bad) { EXPECT_EQ(read_error(body(fields)), Code::corrupt) << what; }
}

TEST(RecordCursor, RefusesLengthsThatDoNotAddUp) {
    const Wire one = reference::record({.value = "0123456789"});
    EXPECT_EQ(read_error(one_record_batch(Wire().append(one).raw(0))), Code::corrupt);       // a byte left over
    EXPECT_EQ(read_error(one_record_batch(Wire().append(one).append(one))), Code::corrupt);  // a record left over
    // Two records claimed, the second with the same offset as the first, or missing.
    EXPECT_EQ(
        read_error(reference::batch({.last_offset_delta = 1, .count = 2, .records = Wire().append(one).append(one)})),
        Code::corrupt);
    EXPECT_EQ(read_error(reference::batch({.last_offset_delta = 1, .count = 2, .records = one})), Code::corrupt);
    // No record claimed and one there.
    EXPECT_EQ(read_error(reference::batch({.count = 0, .records = one})), Code::corrupt);
    for (const int64_t length : {int64_t{-1}, int64_t{INT32_MIN}, int64_t{INT32_MAX}, int64_t{1} << 35, int64_t{17}}) {
        Wire lying = Wire().varint(length).text(std::string(16, '\0'));
        EXPECT_EQ(read_error(one_record_batch(lying)), Code::corrupt) << length;
    }
    for (size_t cut = 0; cut < one.size(); ++cut) {
        Wire front;
        for (size_t i = 0; i < cut; ++i) { front.raw(static_cast<int>(one.bytes()[i])); }
        EXPECT_EQ(read_error(one_record_batch(front)), Code::corrupt) << cut;
    }
}

TEST(RecordCursor, GivesTheRecordsBeforeTheBadOne) {
    const Wire records =
        Wire().append(reference::record({.value = "good"})).append(reference::record({.offset_delta = 5}));
    const auto bytes = reference::batch({.last_offset_delta = 1, .count = 2, .records = records});
    std::vector<std::byte> scratch;
    const Read read = read_all(bytes, scratch);
    ASSERT_EQ(read.records.size(), 1u);
    EXPECT_EQ(read.records[0].value, "good");
    ASSERT_TRUE(read.error);
    EXPECT_THAT(read.error->message(), testing::HasSubstr("record 1 of 2: offset"));
}

TEST(RecordView, FindsHeadersByNameAndInOrder) {
    const Wire headers =
        Wire().varint(3).nullable("a").nullable("1").nullable("b").varint(-1).nullable("a").nullable("2");
    std::vector<std::byte> scratch;
    const auto bytes = one_record_batch(reference::record({.value = "v", .headers = headers}));
    const Read read = read_all(bytes, scratch);
    ASSERT_EQ(read.records.size(), 1u);
    const RecordView& record = read.records[0];
    EXPECT_EQ(record.header_count(), 3u);
    Header into[2];
    EXPECT_EQ(record.headers(into), 3u);  // how many there are, though there is room for two
    EXPECT_EQ(into[0].name, "a");
    EXPECT_EQ(into[0].value, "1");
    EXPECT_EQ(into[1].name, "b");
    EXPECT_EQ(into[1].value, std::nullopt);
    EXPECT_EQ(record.header("a")->value, "1");
    EXPECT_EQ(record.header("b")->value, std::nullopt);
    EXPECT_FALSE(record.header("c"));
    EXPECT_EQ(RecordView{}.header_count(), 0u);
    EXPECT_FALSE(RecordView{}.header("a"));
}

// The format page

// The bytes of the block that begins with ```hex: pairs of hex digits at the start of each line, a comment after three
// spaces.
std::vector<std::byte> example_of_the_page() {
    std::ifstream page(source_path("docs/formats/record-batch.md"));
    std::vector<std::byte> bytes;
    std::string line;
    while (std::getline(page, line) && line != "```hex") {}
    while (std::getline(page, line) && line != "```") {
        std::istringstream pairs(line.substr(0, line.find("   ")));
        for (std::string pair; pairs >> pair;) {
            bytes.push_back(static_cast<std::byte>(std::stoi(pair, nullptr, 16)));
        }
    }
    return bytes;
}

TEST(RecordBatchPage, TheExampleIsWhatTheBuilderWrites) {
    std::vector<std::byte> space(1000);
    BatchBuilder builder(space, {.base_offset = Offset{42}, .epoch = Epoch{3}});
    const Header header[] = {{"source", "pos"}};
    ASSERT_TRUE(builder.append({.key = "card-7", .value = "12.50 EUR", .headers = header}, 1'700'000'000'000));
    const Bytes batch = builder.close().bytes();
    const auto example = example_of_the_page();
    ASSERT_GT(example.size(), batch_header_bytes);
    EXPECT_TRUE(std::ranges::equal(batch, example));
    EXPECT_EQ(parsed(example).crc(), reference::crc32c(Bytes(example).subspan(21)));
}

// Names and keys

TEST(Codec, HasKafkasNames) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        EXPECT_EQ(value_of(parse_codec(name(codec))), codec);
    }
    EXPECT_EQ(parse_codec("brotli").error().code, Code::invalid);
    EXPECT_EQ(parse_codec("").error().code, Code::invalid);
}

TEST(Partitioner, AgreesWithKafkasUtilsTest) {
    auto hash = [](std::string_view key) { return static_cast<int32_t>(murmur2(as_bytes(key))); };
    EXPECT_EQ(hash("21"), -973932308);
    EXPECT_EQ(hash("foobar"), -790332482);
    EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
    EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
    EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
    EXPECT_EQ(hash("abc"), 479470107);
    // -973932308 without its sign bit is 1173551340.
    EXPECT_EQ(partition_for_key(as_bytes("21"), 7), 1173551340 % 7);
    EXPECT_EQ(partition_for_key(as_bytes("21"), 1), 0);
}

}  // namespace
}  // namespace flowstone
