// What a Stage promises, the same for every kind of endpoint.
#include <atomic>
#include <initializer_list>
#include <map>

#include <gmock/gmock.h>

#include <flowstone/source.h>
#include <flowstone/stage.h>

#include "tests/client/contract.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class StageContract : public Contract {
protected:
    void SetUp() override {
        Contract::SetUp();
        if (IsSkipped()) { return; }
        in_ = make_topic(2);
        out_ = make_topic(2);
        dead_ = make_topic(2);
        ASSERT_TRUE(becomes([&] {
            Admin admin = client_->admin();
            return admin.topic(in_) && admin.topic(out_) && admin.topic(dead_);
        }));
        name_ = "stage-" + system_random().uuid().to_string();
    }

    // Even numbers to one partition, odd ones to the other: record i has offset i / 2.
    void put(int begin, int end) {
        auto producer = value_of(client_->producer());
        auto in = value_of(producer.topic(in_));
        for (int i = begin; i < end; ++i) {
            const std::string value = std::to_string(i);
            const std::vector<Header> headers{{"trace", value}};
            ASSERT_TRUE(in.send({.key = "k", .value = value, .headers = headers, .timestamp_ms = time_of(i)}, i % 2));
        }
        ASSERT_TRUE(producer.flush());
    }
    static int64_t time_of(int i) { return 1'700'000'000'000 + i; }

    Stage open_stage(StageFunction function) {
        return value_of(Stage::open(
            *client_, {.name = name_, .inputs = {in_}, .outputs = {out_}, .dead_letters = dead_}, std::move(function)));
    }
    // Sends each record on, with its headers; those that end in 7 nobody wants.
    StageFunction copy() {
        return [this](const StageRecord& record, StageOutput& out) -> Result<void> {
            if (record.value->ends_with("7")) { return fail(Code::invalid, "test", "seven"); }
            std::vector<Header> headers(record.header_count());
            record.headers(headers);
            return out.send(out_, {.key = record.key, .value = record.value, .headers = headers});
        };
    }
    // Until that is so, for a minute or so.
    static bool step_until(std::initializer_list<Stage*> stages, const std::function<bool()>& is_so) {
        for (int steps = 0; steps < 600; ++steps) {
            if (is_so()) { return true; }
            for (Stage* const stage : stages) {
                const auto done = stage->step(100ms);
                EXPECT_TRUE(done || advice(done.error()) == Advice::retry) << done.error().message();
            }
        }
        return is_so();
    }
    static void run(Stage& stage, uint64_t records) {
        EXPECT_TRUE(step_until({&stage}, [&] { return stage.metrics().records >= records; }));
        EXPECT_EQ(stage.metrics().records, records);
    }
    static void leave(Stage& stage) {
        const std::atomic<bool> stop = true;
        EXPECT_TRUE(stage.run(stop));
    }

    // What the partition has, record by record.
    void read(const std::string& topic, int32_t partition, const std::function<void(const RecordView&)>& visit) {
        const TopicPartition place{topic, partition};
        auto consumer = value_of(client_->consumer());
        EXPECT_TRUE(consumer.assign({place}));
        const Offset end = value_of(client_->admin().ends(place)).high_watermark;
        while (consumer.position(place).value_or(Offset{0}) < end) {
            const auto batch = consumer.poll(20s);
            ASSERT_TRUE(batch) << batch.error().message();
            ASSERT_FALSE(batch->empty());
            for (const RecordView& record : *batch) { visit(record); }
        }
    }
    Values values(const std::string& topic, int32_t partition) {
        Values found;
        read(topic, partition, [&](const RecordView& record) { found.emplace_back(*record.value); });
        return found;
    }
    // Numbers below `end` that were put into the partition: those that end in 7, or the others.
    static Values expected(int end, int32_t partition, bool sevens) {
        Values values;
        for (int i = partition; i < end; i += 2) {
            if ((i % 10 == 7) == sevens) { values.push_back(std::to_string(i)); }
        }
        return values;
    }
    void expect_each_once(int end) {
        for (const int32_t partition : {0, 1}) {
            EXPECT_EQ(values(out_, partition), expected(end, partition, false));
            EXPECT_EQ(values(dead_, partition), expected(end, partition, true));
        }
    }
    std::map<int32_t, Offset> stored() {
        std::map<int32_t, Offset> found;
        for (const GroupOffset& one : value_of(client_->admin().offsets(name_))) {
            EXPECT_EQ(one.topic, in_);
            found[one.partition] = one.offset;
        }
        return found;
    }
    using Stored = std::map<int32_t, Offset>;

    std::string in_;
    std::string out_;
    std::string dead_;
    std::string name_;
};
INSTANTIATE_TEST_SUITE_P(Every, StageContract, every_way(), name_of_way);

TEST_P(StageContract, OutputsAndDeadLettersComeInOrderAndSayWhatTheyWereMadeOf) {
    put(0, 20);
    auto stage = open_stage(copy());
    run(stage, 20);
    EXPECT_EQ(stored(), (Stored{{0, Offset{10}}, {1, Offset{10}}}));
    leave(stage);
    EXPECT_EQ(stage.metrics().outputs, 18u);
    EXPECT_EQ(stage.metrics().dead_letters, 2u);
    expect_each_once(20);
    for (const int32_t partition : {0, 1}) {
        read(out_, partition, [&](const RecordView& record) {
            const int i = std::stoi(std::string(*record.value));
            EXPECT_EQ(record.key, "k");
            EXPECT_EQ(record.timestamp_ms, time_of(i));
            EXPECT_EQ(record.header_count(), 2u);
            EXPECT_EQ(record.header("trace")->value, record.value);
            EXPECT_EQ(value_of(source_of(record)), (Source{name_, in_, partition, Offset{i / 2}, 0}));
        });
    }
    read(dead_, 1, [&](const RecordView& record) {
        const int i = std::stoi(std::string(*record.value));
        EXPECT_EQ(record.key, "k");
        EXPECT_EQ(record.timestamp_ms, time_of(i));
        EXPECT_EQ(record.header("trace")->value, record.value);
        EXPECT_THAT(std::string(record.header("flowstone.error")->value.value_or("")), HasSubstr("seven"));
        EXPECT_EQ(record.header("flowstone.error.code")->value, "invalid");
        EXPECT_EQ(record.header("flowstone.error.stage")->value, name_);
        EXPECT_EQ(record.header("flowstone.error.topic")->value, in_);
        EXPECT_EQ(record.header("flowstone.error.partition")->value, "1");
        EXPECT_EQ(record.header("flowstone.error.offset")->value, std::to_string(i / 2));
        EXPECT_EQ(record.header("flowstone.error.tries")->value, "1");
    });
}

TEST_P(StageContract, WhoIsOpenedAgainGoesOnBehindWhatIsStored) {
    for (int round = 0; round < 3; ++round) {
        put(round * 20, round * 20 + 20);
        auto stage = open_stage(copy());
        run(stage, 20);
        EXPECT_EQ(stage.metrics().already_written, 0u);
        if (round == 1) { continue; }  // without a word to anybody, as when it is destroyed
        leave(stage);
    }
    expect_each_once(60);
}

TEST_P(StageContract, WhoBeginsInFrontOfWhatIsWrittenWritesNothingTwice) {
    put(0, 20);
    {
        auto stage = open_stage(copy());
        run(stage, 20);
        leave(stage);
    }
    // As if the outputs had been written, and then nothing was stored.
    ASSERT_TRUE(client_->admin().alter_offsets(name_, {{in_, 0, Offset{0}}, {in_, 1, Offset{4}}}));
    put(20, 30);
    auto stage = open_stage(copy());
    run(stage, 10 + 6 + 10);
    EXPECT_EQ(stage.metrics().already_written, 16u);
    expect_each_once(30);
    EXPECT_EQ(stored(), (Stored{{0, Offset{15}}, {1, Offset{15}}}));
}

TEST_P(StageContract, WhatComesTwiceIsUsedOnce) {
    const std::string last = make_topic(2);
    put(0, 10);
    {
        auto stage = open_stage(copy());
        run(stage, 10);
        leave(stage);
    }
    // What one who stalled, and was overtaken, writes when he goes on.
    auto producer = value_of(client_->producer());
    auto out = value_of(producer.topic(out_));
    const std::string source = value_of(encode_source({name_, in_, 1, Offset{2}, 0}));
    const std::vector<Header> headers{{source_header, source}};
    ASSERT_TRUE(value_of(out.send({.key = "k", .value = "5", .headers = headers}, 1)).wait());
    ASSERT_TRUE(value_of(out.send({.key = "k", .value = "11"}, 1)).wait());  // says nothing of a source

    auto second = value_of(Stage::open(*client_, {.name = name_ + "-second", .inputs = {out_}, .outputs = {last}},
                                       [&](const StageRecord& record, StageOutput& to) -> Result<void> {
                                           return to.send(last, {.value = record.value});
                                       }));
    run(second, 11);
    EXPECT_EQ(second.metrics().dropped, 1u);
    EXPECT_EQ(values(out_, 1), (Values{"1", "3", "5", "9", "5", "11"}));
    EXPECT_EQ(values(last, 1), (Values{"1", "3", "5", "9", "11"}));
}

TEST_P(StageContract, StagesOfOneNameShareThePartitions) {
    put(0, 20);
    auto one = open_stage(copy());
    run(one, 20);
    auto other = open_stage(copy());
    EXPECT_TRUE(
        step_until({&one, &other}, [&] { return one.metrics().partitions == 1 && other.metrics().partitions == 1; }));
    put(20, 40);
    EXPECT_TRUE(step_until({&one, &other}, [&] { return one.metrics().records + other.metrics().records >= 40; }));
    EXPECT_EQ(one.metrics().records, 30u);
    EXPECT_EQ(other.metrics().records, 10u);
    leave(one);
    EXPECT_TRUE(step_until({&other}, [&] { return other.metrics().partitions == 2; }));
    put(40, 60);
    run(other, 30);
    expect_each_once(60);
}

TEST_P(StageContract, WithoutADeadLetterTopicItEndsInFrontOfTheRecord) {
    put(0, 20);
    const StageOptions options{.name = name_, .inputs = {in_}, .outputs = {out_}};
    std::atomic<bool> stop = false;
    {
        auto stage = value_of(Stage::open(*client_, options, copy()));
        const auto ended = stage.run(stop);
        ASSERT_FALSE(ended);
        EXPECT_EQ(ended.error().code, Code::invalid);
        EXPECT_THAT(ended.error().message(), HasSubstr("seven"));
    }
    EXPECT_EQ(stored().at(1), Offset{3});
    EXPECT_EQ(values(out_, 1), (Values{"1", "3", "5"}));
    auto stage = value_of(Stage::open(*client_, options, [&](const StageRecord& record, StageOutput& out) {
        return out.send(out_, {.value = record.value});
    }));
    EXPECT_TRUE(step_until({&stage}, [&] { return stored() == Stored{{0, Offset{10}}, {1, Offset{10}}}; }));
    EXPECT_EQ(values(out_, 1), (Values{"1", "3", "5", "7", "9", "11", "13", "15", "17", "19"}));
}

// A table and how far it got, in one transaction.
class TableSink : public StageSink {
public:
    Result<std::optional<Offset>> stored(const TopicPartition& place) override {
        const auto found = ends_.find(place.partition);
        return found == ends_.end() ? std::nullopt : std::optional(found->second);
    }
    Result<void> store(const SinkBatch& batch) override {
        EXPECT_EQ(batch.begin, value_of(stored(batch.place)));
        for (const StageRecord& record : batch.records) { rows[batch.place.partition].emplace_back(*record.value); }
        ends_[batch.place.partition] = batch.end;
        return {};
    }
    std::map<int32_t, std::vector<std::string>> rows;

private:
    std::map<int32_t, Offset> ends_;
};

TEST_P(StageContract, ASinkHasEachRecordOnceWhateverTheGroupStored) {
    put(0, 20);
    TableSink sink;
    const StageOptions options{.name = name_, .inputs = {in_}};
    {
        auto stage = value_of(Stage::open(*client_, options, sink));
        run(stage, 20);
        leave(stage);
    }
    EXPECT_EQ(stored(), (Stored{{0, Offset{10}}, {1, Offset{10}}}));
    ASSERT_TRUE(client_->admin().alter_offsets(name_, {{in_, 0, Offset{3}}, {in_, 1, Offset{0}}}));
    put(20, 30);
    auto stage = value_of(Stage::open(*client_, options, sink));
    run(stage, 10);
    for (const int32_t partition : {0, 1}) {
        Values all;
        for (int i = partition; i < 30; i += 2) { all.push_back(std::to_string(i)); }
        EXPECT_EQ(sink.rows[partition], all);
    }
}

TEST_P(StageContract, WhatIsWrongIsSaidWhenItIsOpened) {
    const std::string narrow = make_topic(1);
    const auto refused = [&](StageOptions options) {
        const auto opened = Stage::open(*client_, std::move(options), copy());
        return opened ? std::string() : std::string(name(opened.error().code));
    };
    EXPECT_EQ(refused({.name = name_, .inputs = {in_}, .outputs = {narrow}}), "invalid");
    EXPECT_EQ(refused({.name = name_, .inputs = {in_}, .outputs = {in_}}), "invalid");
    EXPECT_EQ(refused({.name = "two words", .inputs = {in_}, .outputs = {out_}}), "invalid");
}

}  // namespace
}  // namespace flowstone
