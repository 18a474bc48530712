#include "client/impl/stage_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/try.h"
#include "tests/client/stage_model.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Values = std::vector<std::string>;

class StageCoreTest : public testing::Test {
protected:
    explicit StageCoreTest(bool atomic = false) : world_(1, atomic) {
        for (const char* topic : {"in", "out", "dead"}) { world_.make_topic(topic, 1); }
    }
    void make(int from, int to) {
        for (int i = from; i < to; ++i) {
            const std::string value = std::to_string(i);
            world_.append({"in", 0}, {.key = "k", .value = value, .timestamp_ms = 1'000 + i});
        }
    }
    StageCore& open(StageFunction function = copy(), StageOptions options = standard(), StageSink* sink = nullptr) {
        core_.reset();
        port_ = std::make_unique<ModelPort>(world_);
        core_ = std::make_unique<StageCore>(*port_, std::move(options), std::move(function), sink);
        EXPECT_TRUE(core_->open());
        return *core_;
    }
    static StageOptions standard() {
        return {.name = "stage", .inputs = {"in"}, .outputs = {"out"}, .dead_letters = "dead"};
    }
    static StageFunction copy() {
        return [](const StageRecord& record, StageOutput& out) {
            return out.send("out", {.key = record.key, .value = record.value});
        };
    }
    Result<size_t> step() { return core_->step(10, stop_); }
    void drain() {
        for (int i = 0; i < 100; ++i) {
            const auto done = step();
            ASSERT_TRUE(done) << done.error().message();
            if (*done == 0) { return; }
        }
        FAIL() << "there is no end";
    }
    Values values(const std::string& topic) {
        Values out;
        for (const auto& record : world_.logs.at({topic, 0})) { out.push_back(record.value.value_or("(none)")); }
        return out;
    }
    static std::optional<std::string> header(const ModelRecord& record, std::string_view name) {
        for (const auto& [key, value] : record.headers) {
            if (key == name) { return value; }
        }
        return {};
    }
    ModelWorld::Group& group() { return world_.groups["stage"]; }
    std::optional<Offset> committed() {
        const auto found = group().offsets.find({"in", 0});
        return found == group().offsets.end() ? std::nullopt : std::optional(found->second.offset);
    }
    const ModelRecord& only(const std::string& topic) {
        const auto& log = world_.logs.at({topic, 0});
        EXPECT_THAT(log, SizeIs(1));
        static const ModelRecord none;
        return log.empty() ? none : log[0];
    }

    ModelWorld world_;
    std::unique_ptr<ModelPort> port_;
    std::unique_ptr<StageCore> core_;
    std::atomic<bool> stop_ = false;
};

TEST_F(StageCoreTest, MakesOutputsWithTheirSourcesAndStoresHowFarItGot) {
    make(0, 3);
    open();
    drain();
    EXPECT_EQ(values("out"), (Values{"0", "1", "2"}));
    EXPECT_EQ(committed(), Offset{3});
    EXPECT_EQ(header(world_.logs.at({"out", 0})[2], "flowstone.source"), "stage in 0 2 0");
    EXPECT_EQ(world_.logs.at({"out", 0})[2].timestamp_ms, 1'002);
    EXPECT_EQ(core_->metrics().records, 3u);
    EXPECT_EQ(core_->metrics().outputs, 3u);
    EXPECT_EQ(core_->metrics().lag_records, 0);
}

TEST_F(StageCoreTest, GoesOnWhereTheGroupStands) {
    make(0, 3);
    open();
    drain();
    make(3, 5);
    open();
    drain();
    EXPECT_EQ(values("out"), (Values{"0", "1", "2", "3", "4"}));
}

TEST_F(StageCoreTest, OutputsThatAreThereAlreadyAreNotWrittenAgain) {
    make(0, 3);
    open();
    drain();
    group().offsets.clear();  // the commit was lost
    make(3, 4);
    open();
    drain();
    EXPECT_EQ(values("out"), (Values{"0", "1", "2", "3"}));
    EXPECT_EQ(core_->metrics().already_written, 3u);
    EXPECT_EQ(committed(), Offset{4});
}

TEST_F(StageCoreTest, OnlyTheTailBehindWhatWasCommittedIsReadBack) {
    make(0, 2'000);
    open();
    drain();
    world_.wall_ms += 5'000;
    make(2'000, 2'010);
    drain();
    open();
    drain();
    EXPECT_LE(port_->read_back_, 100);
    EXPECT_THAT(values("out"), SizeIs(2'010));
}

TEST_F(StageCoreTest, WhatComesTwiceIsDroppedByItsSource) {
    const auto arrive = [&](const char* source, const char* value) {
        const std::array<Header, 1> headers{{{"flowstone.source", source}}};
        world_.append({"in", 0}, {.value = value, .headers = headers});
    };
    arrive("first raw 0 5 0", "a");
    arrive("first raw 0 5 1", "b");
    open();
    drain();
    arrive("first raw 0 5 0", "a again");
    arrive("first raw 0 5 1", "b again");
    open();  // another one, which knows from what was stored with the offset
    drain();
    arrive("first raw 0 6 0", "c");
    group().offsets.at({"in", 0}).metadata.clear();  // by somebody who keeps no such thing
    arrive("first raw 0 6 0", "c again");
    open();
    drain();
    EXPECT_EQ(values("out"), (Values{"a", "b", "c"}));
    EXPECT_EQ(committed(), Offset{6});
}

TEST_F(StageCoreTest, ARecordThatIsWorthAnotherTryIsTriedAgain) {
    make(0, 2);
    Values tried;
    open([&](const StageRecord& record, StageOutput& out) -> Result<void> {
        tried.push_back(std::string(*record.value) + "/" + std::to_string(record.tries));
        TRY_VOID(out.send("out", {.value = record.value}));
        if (record.value == "0" && record.tries < 3) { return fail(Code::busy, "test", "not yet"); }
        return {};
    });
    drain();
    EXPECT_THAT(tried, ElementsAre("0/1", "0/2", "0/3", "1/1"));
    EXPECT_EQ(values("out"), (Values{"0", "1"}));
    EXPECT_EQ(header(world_.logs.at({"out", 0})[0], "flowstone.source"), "stage in 0 0 0");
    EXPECT_EQ(core_->metrics().errors, 2u);
    EXPECT_EQ(core_->metrics().retries, 2u);
    EXPECT_GE(port_->slept_ms, 25 + 50);  // half of 50 and of 100
    EXPECT_LE(port_->slept_ms, 50 + 100);
}

TEST_F(StageCoreTest, ARecordThatFailsForGoodBecomesADeadLetterAsItWas) {
    const std::array<Header, 3> headers{
        {{"trace", "7"}, {"flowstone.source", "first raw 3 9 0"}, {"null", std::nullopt}}};
    world_.append({"in", 0}, {.key = "key", .value = "bad", .headers = headers, .timestamp_ms = 77});
    open([](const StageRecord&, StageOutput& out) -> Result<void> {
        TRY_VOID(out.send("out", {.value = "half"}));
        return fail(Code::invalid, "fraud.parse", "no amount");
    });
    drain();
    EXPECT_THAT(values("out"), IsEmpty());
    const ModelRecord& letter = only("dead");
    EXPECT_EQ(letter.key, "key");
    EXPECT_EQ(letter.value, "bad");
    EXPECT_EQ(letter.timestamp_ms, 77);
    EXPECT_EQ(header(letter, "trace"), "7");
    EXPECT_EQ(header(letter, "null"), std::nullopt);
    EXPECT_EQ(header(letter, "flowstone.error.source"), "first raw 3 9 0");
    EXPECT_EQ(header(letter, "flowstone.source"), "stage in 0 0 0");
    EXPECT_THAT(header(letter, "flowstone.error").value_or(""), HasSubstr("no amount"));
    EXPECT_EQ(header(letter, "flowstone.error.code"), "invalid");
    EXPECT_EQ(header(letter, "flowstone.error.stage"), "stage");
    EXPECT_EQ(header(letter, "flowstone.error.topic"), "in");
    EXPECT_EQ(header(letter, "flowstone.error.partition"), "0");
    EXPECT_EQ(header(letter, "flowstone.error.offset"), "0");
    EXPECT_EQ(header(letter, "flowstone.error.tries"), "1");
    EXPECT_EQ(core_->metrics().dead_letters, 1u);
    EXPECT_EQ(core_->metrics().records, 1u);
}

TEST_F(StageCoreTest, TriesHaveALimitAndThenItIsADeadLetter) {
    make(0, 2);
    auto options = standard();
    options.tries_max = 4;
    options.retry_wait_max = std::chrono::milliseconds(60);
    open(
        [](const StageRecord& record, StageOutput& out) -> Result<void> {
            if (record.value == "0") { return fail(Code::timed_out, "test", "never"); }
            return out.send("out", {.value = record.value});
        },
        options);
    drain();
    EXPECT_EQ(values("out"), (Values{"1"}));
    EXPECT_EQ(header(only("dead"), "flowstone.error.tries"), "4");
    EXPECT_EQ(core_->metrics().errors, 4u);
    EXPECT_LE(port_->slept_ms, 50 + 60 + 60);
}

TEST_F(StageCoreTest, WithoutADeadLetterTopicItEndsInFrontOfTheRecord) {
    make(0, 5);
    auto options = standard();
    options.dead_letters.clear();
    open(
        [](const StageRecord& record, StageOutput& out) -> Result<void> {
            if (record.value == "3") { return fail(Code::invalid, "test", "poison"); }
            return out.send("out", {.value = record.value});
        },
        options);
    const auto ended = core_->run(stop_);
    ASSERT_FALSE(ended);
    EXPECT_THAT(ended.error().message(), HasSubstr("poison"));
    EXPECT_EQ(values("out"), (Values{"0", "1", "2"}));
    EXPECT_EQ(committed(), Offset{3});
    open(copy(), options);
    drain();
    EXPECT_EQ(values("out"), (Values{"0", "1", "2", "3", "4"}));
}

TEST_F(StageCoreTest, WhatIsStoredInFrontOfARecordDoesNotSayThatItWasSeen) {
    const std::string large(15'000, 'x');
    for (int i = 0; i < 5; ++i) {
        const std::string source = "first raw 0 " + std::to_string(i) + " 0";
        const std::array<Header, 1> headers{{{"flowstone.source", source}}};
        world_.append({"in", 0}, {.key = std::to_string(i), .value = large, .headers = headers});
    }
    // Where it ends for want of a dead letter topic, and where the next record's outputs are too many for the step.
    auto options = standard();
    options.dead_letters.clear();
    options.step_bytes_max = 100u << 20;
    open(
        [](const StageRecord& record, StageOutput& out) -> Result<void> {
            if (record.key == "1") { return fail(Code::invalid, "test", "poison"); }
            return out.send("out", {.key = record.key});
        },
        options);
    ASSERT_FALSE(core_->run(stop_));
    EXPECT_EQ(committed(), Offset{1});
    const auto twice = [](const StageRecord& record, StageOutput& out) -> Result<void> {
        TRY_VOID(out.send("out", {.key = record.key, .value = record.value}));
        return out.send("out", {.key = record.key, .value = record.value});
    };
    open(twice, options);
    ASSERT_LT(port_->step_bytes_max(), 2 * 4 * large.size());
    const auto in_the_middle = [&] { return committed() > Offset{1} && committed() < Offset{5}; };
    world_.meanwhile = [&](ModelPort& port) {
        if (in_the_middle()) { port.die(); }
    };
    (void)step();
    ASSERT_TRUE(port_->dead());
    ASSERT_TRUE(in_the_middle());
    world_.meanwhile = [](ModelPort&) {};
    open(twice, options);
    drain();
    Values keys;
    for (const auto& record : world_.logs.at({"out", 0})) { keys.push_back(record.key.value_or("")); }
    EXPECT_EQ(keys, (Values{"0", "1", "1", "2", "2", "3", "3", "4", "4"}));
}

TEST_F(StageCoreTest, AnErrorWorthAnotherTryEndsItTooWhenNobodyTakesTheLetter) {
    make(0, 1);
    auto options = standard();
    options.dead_letters.clear();
    options.tries_max = 2;
    open([](const StageRecord&, StageOutput&) -> Result<void> { return fail(Code::busy, "test", "never"); }, options);
    EXPECT_EQ(core_->run(stop_).error().code, Code::busy);
    EXPECT_EQ(committed(), std::nullopt);
}

TEST_F(StageCoreTest, AFencedFunctionEndsTheStage) {
    make(0, 1);
    open([](const StageRecord&, StageOutput&) -> Result<void> { return fail(Code::stale_epoch, "test", "gone"); });
    EXPECT_EQ(core_->run(stop_).error().code, Code::stale_epoch);
    EXPECT_THAT(values("dead"), IsEmpty());
    EXPECT_EQ(committed(), std::nullopt);
}

TEST_F(StageCoreTest, StopEndsTheWaitForAnotherTryAndTheRecordComesAgain) {
    make(0, 1);
    open([&](const StageRecord&, StageOutput&) -> Result<void> {
        stop_ = true;
        return fail(Code::busy, "test", "not yet");
    });
    EXPECT_TRUE(core_->run(stop_));
    EXPECT_EQ(committed(), std::nullopt);
    EXPECT_THAT(values("dead"), IsEmpty());
}

TEST_F(StageCoreTest, AnOutputNobodyDeclaredIsRefused) {
    make(0, 1);
    open([](const StageRecord&, StageOutput& out) { return out.send("elsewhere", {.value = "x"}); });
    drain();
    EXPECT_EQ(header(only("dead"), "flowstone.error.code"), "invalid");
}

TEST_F(StageCoreTest, AnOutputThatIsTooLargeIsRefused) {
    make(0, 1);
    open([](const StageRecord&, StageOutput& out) { return out.send("out", {.value = std::string(200'000, 'x')}); });
    drain();
    EXPECT_EQ(header(only("dead"), "flowstone.error.code"), "too_large");
}

TEST_F(StageCoreTest, ASourceThatMakesNoSenseIsADeadLetter) {
    const std::array<Header, 1> headers{{{"flowstone.source", "nonsense"}}};
    world_.append({"in", 0}, {.value = "x", .headers = headers});
    open();
    drain();
    EXPECT_EQ(header(only("dead"), "flowstone.error.code"), "corrupt");
}

TEST_F(StageCoreTest, OpeningSaysWhatIsWrong) {
    world_.make_topic("wide", 3);
    const auto refused = [&](StageOptions options, StageFunction function = copy()) {
        ModelPort port(world_);
        StageCore core(port, std::move(options), std::move(function), nullptr);
        const auto opened = core.open();
        return opened ? std::string("opened") : std::string(name(opened.error().code)) + ": " + opened.error().detail;
    };
    auto options = standard();
    options.inputs = {"wide"};
    EXPECT_EQ(refused(options), "invalid: output out has 1 partitions, the inputs have 3");
    options.inputs = {"missing"};
    EXPECT_THAT(refused(options), HasSubstr("not_found"));
    options.inputs = {"out"};
    EXPECT_THAT(refused(options), HasSubstr("an input and an output"));
    options.inputs = {};
    EXPECT_THAT(refused(options), HasSubstr("no inputs"));
    options = standard();
    options.name = "two words";
    EXPECT_THAT(refused(options), HasSubstr("named"));
    options = standard();
    options.tries_max = 0;
    EXPECT_THAT(refused(options), HasSubstr("one at least"));
    EXPECT_THAT(refused(standard(), {}), HasSubstr("neither"));
}

// --- sinks -------------------------------------------------------------------------------------------------------------

// A table with the offset of each partition in it.
struct Table final : StageSink {
    Result<std::optional<Offset>> stored(const TopicPartition& place) override {
        const auto found = offsets.find(place);
        return found == offsets.end() ? std::optional<Offset>() : std::optional(found->second);
    }
    Result<void> store(const SinkBatch& batch) override {
        ++calls;
        if (const auto error = next_error(calls)) { return std::unexpected(*error); }
        const auto found = offsets.find(batch.place);
        if ((found == offsets.end() ? std::nullopt : std::optional(found->second)) != batch.begin) {
            return fail(Code::stale_epoch, "table", "somebody else was here");
        }
        for (const StageRecord& record : batch.records) { rows.emplace_back(*record.value); }
        offsets[batch.place] = batch.end;
        return {};
    }
    std::function<std::optional<Error>(int call)> next_error = [](int) { return std::optional<Error>(); };
    int calls = 0;
    Values rows;
    std::map<TopicPartition, Offset> offsets;
};

TEST_F(StageCoreTest, ASinkStoresRecordsWithItsOwnOffset) {
    make(0, 3);
    Table table;
    open({}, standard(), &table);
    drain();
    EXPECT_EQ(table.rows, (Values{"0", "1", "2"}));
    EXPECT_EQ((table.offsets[{"in", 0}]), Offset{3});
    EXPECT_EQ(committed(), Offset{3});
}

TEST_F(StageCoreTest, TheSinksOffsetCountsNotTheGroups) {
    make(0, 5);
    Table table;
    table.offsets[{"in", 0}] = Offset{2};
    group().offsets[{"in", 0}] = {"in", 0, Offset{4}};
    open({}, standard(), &table);
    drain();
    EXPECT_EQ(table.rows, (Values{"2", "3", "4"}));
    EXPECT_EQ(committed(), Offset{5});
}

TEST_F(StageCoreTest, ASinkIsAskedAgainAndThenItsErrorEndsTheStage) {
    make(0, 2);
    Table table;
    table.next_error = [](int call) {
        return call == 1 ? std::optional(fail(Code::busy, "table", "locked").error()) : std::nullopt;
    };
    open({}, standard(), &table);
    drain();
    EXPECT_EQ(table.rows, (Values{"0", "1"}));
    make(2, 3);
    table.next_error = [](int) { return std::optional(fail(Code::invalid, "table", "no such column").error()); };
    EXPECT_THAT(core_->run(stop_).error().message(), HasSubstr("no such column"));
    EXPECT_EQ(committed(), Offset{2});
    EXPECT_THAT(values("dead"), IsEmpty());
}

TEST_F(StageCoreTest, ASinkThatAnotherWroteToIsAskedWhereItStands) {
    make(0, 4);
    Table table;
    open({}, standard(), &table);
    drain();
    make(4, 8);
    table.offsets[{"in", 0}] = Offset{6};  // somebody else stored two
    drain();
    drain();  // once more, for a step that is fenced stores nothing
    EXPECT_EQ(table.rows, (Values{"0", "1", "2", "3", "6", "7"}));
    EXPECT_EQ(core_->metrics().fenced, 1u);
}

TEST_F(StageCoreTest, WithAFunctionASinkGetsWhatIsNoDeadLetter) {
    make(0, 3);
    Table table;
    open(
        [](const StageRecord& record, StageOutput& out) -> Result<void> {
            if (record.value == "1") { return fail(Code::invalid, "test", "bad"); }
            return out.send("out", {.value = record.value});
        },
        standard(), &table);
    drain();
    EXPECT_EQ(table.rows, (Values{"0", "2"}));
    EXPECT_EQ(values("out"), (Values{"0", "2"}));
    EXPECT_EQ(values("dead"), (Values{"1"}));
}

// --- whoever stalls, dies or is late -----------------------------------------------------------------------------------

// A stage that stalls in front of its write, while another one takes over and does all of it.
class StalledOwner : public StageCoreTest, public testing::WithParamInterface<bool> {
protected:
    StalledOwner() : StageCoreTest(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Everywhere, StalledOwner, testing::Bool());

TEST_P(StalledOwner, CostsACounterAndNothingElse) {
    make(0, 3);
    StageCore& stalled = open();
    ModelPort* const stalled_port = port_.get();
    ModelPort other_port(world_);
    StageCore other(other_port, standard(), copy(), nullptr);
    bool taken_over = false;
    stalled_port->before_write = [&] {
        if (std::exchange(taken_over, true)) { return; }
        std::erase(group().members, stalled_port);  // its session ended
        ASSERT_TRUE(other.open());
        while (value_of(other.step(10, stop_)) > 0) {}
        group().members.push_back(stalled_port);
        world_.share_anew(group());
    };
    drain();
    drain();  // once more, for a step that is fenced stores nothing
    ASSERT_TRUE(taken_over);
    Values fresh;
    SourceFilter filter;
    ModelViews views;
    int64_t offset = 0;
    for (const auto& record : world_.logs.at({"out", 0})) {
        if (value_of(filter.fresh({"out", 0}, views.add(record, Offset{offset++})))) { fresh.push_back(*record.value); }
    }
    EXPECT_EQ(fresh, (Values{"0", "1", "2"}));
    EXPECT_EQ(stalled.metrics().fenced, 1u);
    EXPECT_EQ(filter.dropped(), GetParam() ? 0u : 3u);  // in one journal entry nothing is there twice at all
}

struct Chaos {
    uint64_t seed;
    bool atomic;
};
// What a test may break, to see that it would notice.
struct ChaosResult {
    uint64_t dropped = 0;  // by readers
    uint64_t fenced = 0;
    uint64_t already_written = 0;
    int deaths = 0;
};

// Everything at once, by a seed: inputs through two stages one behind the other, several of each, which die, come back, run
// within each other's calls, lose requests, and have them arrive late.
class ChaosRun {
public:
    static constexpr int32_t partitions = 2;
    static constexpr int records = 60;

    explicit ChaosRun(const Chaos& chaos) : chaos_(chaos), world_(chaos.seed, chaos.atomic) {
        for (const char* topic : {"in", "odd", "even", "dead", "end"}) { world_.make_topic(topic, partitions); }
        world_.meanwhile = [this](ModelPort& port) { happen(port); };
    }

    ChaosResult run() {
        for (int i = 0; i < 3; ++i) { start(i % 2); }
        for (int turn = 0; turn < 120; ++turn) {
            if (made_ < records && world_.draw(2) == 0) { make(); }
            if (running_.empty() || world_.draw(12) == 0) { start(static_cast<int>(world_.draw(2))); }
            step(*running_[world_.draw(running_.size())]);
            std::erase_if(running_, [](const auto& one) { return one->port->dead() && !one->in_step; });
        }
        while (made_ < records) { make(); }
        calm_ = true;
        world_.land_late();
        start(0);
        start(1);
        for (int quiet = 0; quiet < 30; ++quiet) {
            for (size_t i = 0; i < running_.size(); ++i) {
                if (step(*running_[i]) > 0) { quiet = 0; }
            }
        }
        for (const auto& one : running_) { count(*one); }
        check();
        return result_;
    }

private:
    struct Running {
        std::unique_ptr<ModelPort> port;
        std::unique_ptr<StageCore> core;
        bool in_step = false;
    };

    static Result<void> split(const StageRecord& record, StageOutput& out) {
        const int number = std::stoi(std::string(*record.value));
        if (number % 7 == 3) { return fail(Code::invalid, "test", "a poison record"); }
        const std::string copy = std::string(*record.value) + "'";
        TRY_VOID(out.send(number % 2 == 1 ? "odd" : "even", {.key = record.key, .value = record.value}));
        return number % 3 == 0 ? out.send("even", {.key = record.key, .value = copy}) : Result<void>();
    }
    static Result<void> pass(const StageRecord& record, StageOutput& out) {
        return out.send("end", {.key = record.topic, .value = record.value});
    }
    void start(int which) {
        auto& one = *running_.emplace_back(std::make_unique<Running>());
        one.port = std::make_unique<ModelPort>(world_, which == 0 ? "first" : "second");
        if (which == 0) {
            one.core = std::make_unique<StageCore>(*one.port,
                                                   StageOptions{.name = "first",
                                                                .inputs = {"in"},
                                                                .outputs = {"odd", "even"},
                                                                .dead_letters = "dead",
                                                                .step_records_max = 4},
                                                   split, nullptr);
        } else {
            one.core = std::make_unique<StageCore>(
                *one.port,
                StageOptions{.name = "second", .inputs = {"odd", "even"}, .outputs = {"end"}, .step_records_max = 3},
                pass, nullptr);
        }
        (void)one.core->open();
    }
    size_t step(Running& one) {
        if (one.in_step || one.port->dead()) { return 0; }
        one.in_step = true;
        const auto done = one.core->step(10, stop_);
        one.in_step = false;
        if (one.port->dead()) { count(one); }
        return done ? *done : 1;
    }
    void count(const Running& one) {
        result_.fenced += one.core->metrics().fenced;
        result_.already_written += one.core->metrics().already_written;
    }
    void make() {
        const int32_t partition = static_cast<int32_t>(world_.draw(partitions));
        const std::string value = std::to_string(made_++);
        world_.append({"in", partition}, {.key = "k", .value = value});
    }
    void happen(ModelPort& port) {
        if (calm_ || depth_ >= 3) { return; }
        ++depth_;
        switch (world_.draw(40)) {
            case 0:
                port.die();
                ++result_.deaths;
                break;
            case 1: port.fail_next_send(false); break;
            case 2: port.fail_next_send(true); break;
            case 3: world_.land_late(); break;
            case 4: world_.share_anew(world_.groups[world_.draw(2) == 0 ? "first" : "second"]); break;
            case 5:
            case 6:
            case 7:  // others go on while this one stalls
                for (uint64_t i = world_.draw(6); i > 0; --i) { step(*running_[world_.draw(running_.size())]); }
                break;
            default: break;
        }
        --depth_;
    }

    // What readers get of a place, of those that `wanted` picks.
    Values fresh(const TopicPartition& place) {
        Values out;
        SourceFilter filter;
        ModelViews views;
        int64_t offset = 0;
        for (const ModelRecord& record : world_.logs.at(place)) {
            const auto kept = filter.fresh(place, views.add(record, Offset{offset++}));
            EXPECT_TRUE(kept);
            if (kept && *kept) { out.push_back(record.key.value_or("") + ":" + record.value.value_or("")); }
        }
        result_.dropped += filter.dropped();
        return out;
    }
    void check() {
        for (int32_t partition = 0; partition < partitions; ++partition) {
            std::map<std::string, Values> expected;
            for (const ModelRecord& record : world_.logs.at({"in", partition})) {
                const int number = std::stoi(*record.value);
                if (number % 7 == 3) {
                    expected["dead"].push_back("k:" + *record.value);
                    continue;
                }
                expected[number % 2 == 1 ? "odd" : "even"].push_back("k:" + *record.value);
                if (number % 3 == 0) { expected["even"].push_back("k:" + *record.value + "'"); }
            }
            for (const char* topic : {"odd", "even", "dead"}) {
                EXPECT_EQ(fresh({topic, partition}), expected[topic])
                    << topic << "-" << partition << ", seed " << chaos_.seed;
            }
            // The second stage's output has those of each of its inputs in their order.
            const Values end = fresh({"end", partition});
            for (const std::string topic : {"odd", "even"}) {
                Values of_topic;
                for (const std::string& one : end) {
                    if (one.starts_with(topic)) { of_topic.push_back("k" + one.substr(topic.size())); }
                }
                EXPECT_EQ(of_topic, expected[topic])
                    << "end of " << topic << "-" << partition << ", seed " << chaos_.seed;
            }
        }
    }

    const Chaos chaos_;
    ModelWorld world_;
    ChaosResult result_;
    std::vector<std::unique_ptr<Running>> running_;
    const std::atomic<bool> stop_ = false;
    bool calm_ = false;
    int depth_ = 0;
    int made_ = 0;
};

TEST(StageChaos, EveryInputHasItsOutputsOnceForReadersWhoFilter) {
    ChaosResult all;
    for (uint64_t seed = 0; seed < 300 && !testing::Test::HasFailure(); ++seed) {
        const ChaosResult result = ChaosRun({seed, false}).run();
        all.dropped += result.dropped;
        all.fenced += result.fenced;
        all.already_written += result.already_written;
        all.deaths += result.deaths;
    }
    EXPECT_GT(all.dropped, 0u);  // it was needed
    EXPECT_GT(all.fenced, 0u);
    EXPECT_GT(all.already_written, 0u);
    EXPECT_GT(all.deaths, 300);
}

TEST(StageChaos, WithOneJournalEntryNothingIsThereTwiceAtAll) {
    ChaosResult all;
    for (uint64_t seed = 0; seed < 300 && !testing::Test::HasFailure(); ++seed) {
        const ChaosResult result = ChaosRun({seed, true}).run();
        EXPECT_EQ(result.dropped, 0u) << "seed " << seed;
        all.fenced += result.fenced;
        all.deaths += result.deaths;
    }
    EXPECT_GT(all.fenced, 0u);
    EXPECT_GT(all.deaths, 300);
}

}  // namespace
}  // namespace flowstone
