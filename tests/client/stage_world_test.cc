// Stages as they run: members of a group at our own broker in the simulated world, with everything that goes wrong there. The
// broker loses its power, connections break at any byte, stages die, stall while others take over, and come back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/impl/stage_core.h"
#include "client/impl/stage_rounds.h"
#include "storage/try.h"
#include "tests/client/group_world.h"

namespace flowstone {
namespace {

using Values = std::vector<std::string>;
constexpr int64_t ms_ns = 1'000'000;

class StageWorld : public GroupWorld {
protected:
    ~StageWorld() override {
        for (const auto& reader : readers_) { reader->engine->close(); }  // what is under way ends before its producer
    }
    class Port;
    // A process with one stage in it.
    struct Running {
        Reader* reader = nullptr;
        std::unique_ptr<StagePort> port;
        std::unique_ptr<StageCore> core;
        bool in_step = false;
        bool dead = false;
    };

    void start_world(uint64_t seed, bool atomic) {
        dice_ = std::make_unique<SimRandom>(seed);
        atomic_ = atomic;
        power_on();
        for (const char* topic : {"in", "odd", "even", "dead"}) { make_topic(topic, partitions); }
    }
    void power_on() {
        BrokerConfig config;
        config.groups.initial_rebalance_delay_ms = 0;
        if (disk_now_ == nullptr) { disk_now_ = std::make_unique<SimDisk>(); }
        start_on(*disk_now_, config, {.journal_bytes_max = 1u << 20, .reserve_bytes = 0});
    }
    void lose_power() {
        network_.lose_server();
        auto after = disk_now_->crash({.seed = draw(1u << 30)});
        BrokerWorld::kill();
        disk_now_ = std::move(after);
        dark_until_ms_ = clock_.wall_ms() + 300;
    }
    uint64_t draw(uint64_t below) { return dice_->next() % below; }

    // Everybody's connections and the broker go on for a moment; no stage does.
    void pump() {
        for (const auto& reader : readers_) { turn(*reader); }
        if (broker_ != nullptr) { return run(); }
        clock_.advance_ms(10);
        if (dark_until_ms_ >= 0 && clock_.wall_ms() >= dark_until_ms_) {
            dark_until_ms_ = -1;
            power_on();
        }
    }

    Running& start_stage();
    size_t step(Running& one) {
        if (one.in_step || one.dead) { return 0; }
        one.in_step = true;
        const auto done = one.core->step(20, stop_);
        one.in_step = false;
        if (!done && !one.dead) { last_error_ = done.error().message(); }
        return done ? *done : 0;
    }
    void die(Running& one);
    // Called within every call of a stage.
    void happen(Running& self) {
        if (calm_ || depth_ >= 2) { return; }
        ++depth_;
        switch (draw(150)) {
            case 0:
                if (broker_ != nullptr) {
                    lose_power();
                    ++power_losses_;
                }
                break;
            case 1: die(self); break;
            case 2:
            case 3: readers_[draw(readers_.size())]->network->break_all(); break;
            case 4: start_stage(); break;
            case 5:
            case 6:
            case 7:
                for (uint64_t i = draw(5); i > 0; --i) { step(*running_[draw(running_.size())]); }
                break;
            case 8: {  // it stalls until its session has ended, and the others go on
                Reader& reader = *self.reader;
                reader.runs = false;
                for (const int64_t end = clock_.wall_ms() + 12'000; clock_.wall_ms() < end;) {
                    for (size_t i = 0; i < running_.size(); ++i) { step(*running_[i]); }
                    pump();
                }
                reader.runs = true;
                ++stalls_;
                break;
            }
            default: break;
        }
        --depth_;
    }
    void make() {
        while (log_ == std::nullopt || broker_ == nullptr) { pump(); }
        const auto partition = static_cast<int32_t>(draw(partitions));
        const std::string value = std::to_string(made_);
        auto topic = log_->topic("in");
        ASSERT_TRUE(topic);
        auto at = topic->append({.key = "k", .value = value}, {.partition = partition});
        ASSERT_TRUE(at) << at.error().message();
        inputs_[partition].push_back(made_++);
    }
    static Result<void> split(const StageRecord& record, StageOutput& out) {
        const int number = std::stoi(std::string(*record.value));
        if (number % 7 == 3) { return fail(Code::invalid, "test", "a poison record"); }
        const std::string copy = std::string(*record.value) + "'";
        TRY_VOID(out.send(number % 2 == 1 ? "odd" : "even", {.key = record.key, .value = record.value}));
        return number % 3 == 0 ? out.send("even", {.key = record.key, .value = copy}) : Result<void>();
    }
    void run_all(uint64_t seed, bool atomic) {
        start_world(seed, atomic);
        start_stage();
        start_stage();
        for (int turn = 0; turn < 60; ++turn) {
            if (made_ < records) { make(); }
            if (running_.empty()) { start_stage(); }
            step(*running_[draw(running_.size())]);
            pump();
            std::erase_if(running_, [](const auto& one) { return one->dead && !one->in_step; });
        }
        while (made_ < records) { make(); }
        calm_ = true;
        start_stage();
        const int64_t end = clock_.wall_ms() + 600'000;
        while (!all_stored() && clock_.wall_ms() < end) {
            for (size_t i = 0; i < running_.size(); ++i) { step(*running_[i]); }
            pump();
        }
        ASSERT_TRUE(all_stored()) << last_error_ << state();
        check(seed);
    }
    bool all_stored() {
        if (broker_ == nullptr) { return false; }
        for (const auto& [partition, numbers] : inputs_) {
            if (committed("in", partition, "stage").value_or(0) < std::ssize(numbers)) { return false; }
        }
        return true;
    }
    std::string state() {
        std::string out = broker_ == nullptr ? "\nno broker" : "\nthere is a broker";
        for (const auto& one : running_) {
            const StageMetrics metrics = one->core->metrics();
            out += "\n" +
                   std::string(one->dead      ? "dead"
                               : one->in_step ? "in step"
                                              : "alive") +
                   ", records " + std::to_string(metrics.records) + ", fenced " + std::to_string(metrics.fenced) +
                   ", failures " + std::to_string(metrics.failures) + ", partitions " +
                   std::to_string(metrics.partitions) + ", lag " + std::to_string(metrics.lag_records);
        }
        for (const auto& [partition, numbers] : inputs_) {
            out += "\nin-" + std::to_string(partition) + ": " + std::to_string(numbers.size());
            if (broker_ != nullptr) {
                out += ", stored " + std::to_string(committed("in", partition, "stage").value_or(-1));
            }
        }
        return out;
    }
    Values fresh(const char* topic, int32_t partition) {
        Values out;
        SourceFilter filter;
        auto opened = log_->topic(topic);
        auto reader = opened->read({.partition = partition});
        for (;;) {
            auto batch = reader->next();
            EXPECT_TRUE(batch);
            if (!batch || batch->empty()) { break; }
            for (const auto& record : *batch) {
                const auto kept = filter.fresh({topic, partition}, record);
                EXPECT_TRUE(kept);
                if (kept && *kept) { out.emplace_back(record.value.value_or("")); }
            }
        }
        dropped_ += filter.dropped();
        return out;
    }
    void check(uint64_t seed) {
        for (const auto& [partition, numbers] : inputs_) {
            std::map<std::string, Values> expected;
            for (const int number : numbers) {
                const std::string value = std::to_string(number);
                if (number % 7 == 3) {
                    expected["dead"].push_back(value);
                    continue;
                }
                expected[number % 2 == 1 ? "odd" : "even"].push_back(value);
                if (number % 3 == 0) { expected["even"].push_back(value + "'"); }
            }
            for (const char* topic : {"odd", "even", "dead"}) {
                EXPECT_EQ(fresh(topic, partition), expected[topic]) << topic << "-" << partition << ", seed " << seed;
            }
        }
    }

    static constexpr int32_t partitions = 2;
    static constexpr int records = 50;
    std::unique_ptr<SimRandom> dice_;
    std::unique_ptr<SimDisk> disk_now_;
    bool atomic_ = false;
    int64_t dark_until_ms_ = -1;
    std::vector<std::unique_ptr<Running>> running_;
    const std::atomic<bool> stop_ = false;
    bool calm_ = false;
    int depth_ = 0;
    int made_ = 0;
    int power_losses_ = 0;
    int stalls_ = 0;
    uint64_t dropped_ = 0;
    std::string last_error_;
    std::map<int32_t, std::vector<int>> inputs_;
};

// What ClientStagePort does with a client's threads, here in turns.
class StageWorld::Port final : public StagePort {
public:
    Port(StageWorld& world, Running& self) : world_(world), self_(self) {
        self.reader = reader_ =
            &world.add_reader(options({.group = "stage", .session_timeout = std::chrono::milliseconds(6'000)}));
        producer_ = reader_->engine->add_producer(stage_producer_options());
        tails_ = reader_->engine->add_consumer({});
    }

    Result<int32_t> partitions(const std::string& /*topic*/) override { return StageWorld::partitions; }
    Result<void> join(const std::vector<std::string>& topics, StageShare& share) override {
        share_ = &share;
        reader_->group->subscribe(topics);
        return {};
    }
    void leave() override {}
    Result<Polled> poll(int64_t timeout_ms) override {
        TRY_VOID(happen());
        const int64_t end = world_.clock_.monotonic_ns() + timeout_ms * ms_ns;
        for (;;) {
            reader_->group->begin_poll();
            auto polled = look();
            if (self_.dead) { return closed(); }
            reader_->group->end_poll();
            if (!polled || !polled->place.topic.empty() || world_.clock_.monotonic_ns() >= end) { return polled; }
            world_.pump();
        }
    }
    Result<void> seek(const TopicPartition& place, From from) override {
        TRY_VOID(happen());
        return reader_->core->seek(place, from);
    }
    std::optional<int64_t> lag(const TopicPartition& place) override {
        return self_.dead ? std::nullopt : reader_->core->lag(place);
    }
    Result<std::optional<GroupOffset>> committed(const TopicPartition& place) override {
        TRY_VOID(happen());
        if (atomic()) {
            TRY_VOID(wait("a broker", [&] { return world_.broker_ != nullptr; }, 60'000));
            for (const GroupOffset& one : value_of(world_.log_->fetch_offsets("stage"))) {
                if (one.topic == place.topic && one.partition == place.partition) { return std::optional(one); }
            }
            return std::optional<GroupOffset>();
        }
        const auto asked = reader_->group->committed({place}, world_.clock_.monotonic_ns() + 30'000 * ms_ns);
        TRY_VOID(wait("what is committed", [&] { return asked->done.load(); }, 60'000));
        TRY(const auto found, asked->result);
        return found.empty() ? std::optional<GroupOffset>() : std::optional(found[0]);
    }
    Result<Ends> ends(const TopicPartition& place) override {
        TRY_VOID(happen());
        TRY_VOID(wait("a broker", [&] { return world_.broker_ != nullptr; }, 60'000));
        auto topic = world_.log_->topic(place.topic);
        TRY(const PartitionInfo info, topic->partition(place.partition));
        return Ends{info.log_start, info.high_watermark};
    }
    Result<void> read_back(const TopicPartition& place, Offset begin, Offset end,
                           const std::function<Result<void>(const RecordView&)>& visit) override {
        if (begin >= end) { return {}; }
        tails_->assign({}, {});
        tails_->assign({place}, begin);
        FetchedBatch batch;
        while (tails_->position(place).value_or(begin) < end) {
            TRY_VOID(happen());
            FetchedBatch* taken = nullptr;
            TRY(taken, tails_->take(batch));
            if (taken == nullptr) {
                world_.pump();
                continue;
            }
            for (;;) {
                TRY(const auto record, batch.cursor->next());
                if (!record) { break; }
                if (record->offset >= batch.from && record->offset < end) { TRY_VOID(visit(*record)); }
            }
        }
        return {};
    }

    bool atomic() const override { return world_.atomic_; }
    size_t step_bytes_max() const override { return 300u << 10; }
    Result<void> write_step(std::span<const StageWrite> writes, std::span<const OffsetMove> moves) override {
        TRY_VOID(happen());
        TRY_VOID(wait("a broker", [&] { return world_.broker_ != nullptr; }, 60'000));
        std::map<TopicPartition, std::vector<Record>> by_place;
        for (const StageWrite& write : writes) { by_place[write.place].push_back(write.record); }
        std::vector<AtomicPart> parts;
        for (const auto& [place, sent] : by_place) {
            parts.push_back(
                {.topic = value_of(world_.log_->topic(place.topic)), .partition = place.partition, .records = sent});
        }
        TRY(const Pending pending, world_.log_->append_step("stage", moves, parts));
        if (world_.draw(4) > 0 || world_.calm_) { TRY_VOID(world_.log_->wait(pending)); }
        return happen();
    }
    Result<void> send(std::span<const StageWrite> writes) override {
        for (const auto& round : rounds_of(writes, 2'000)) {
            std::vector<ProducerCore::Sent> sent;
            for (const StageWrite& write : round) {
                TRY_VOID(happen());
                ProducerTopicQueue& queue = producer_->queue(write.place.topic);
                reader_->engine->cluster().want(write.place.topic);
                TRY_VOID(wait("metadata", [&] { return queue.partition_count > 0; }, 60'000));
                DeliveryCallback none;
                auto one = producer_->send(queue, write.record, write.place.partition, none);
                if (!one) { return std::unexpected(one.error()); }
                sent.push_back(std::move(*one));
            }
            TRY_VOID(happen());
            const uint64_t mark = producer_->flush_begin();
            TRY_VOID(wait("a flush", [&] { return producer_->flushed(mark); }, 130'000));
            for (const auto& one : sent) { TRY_VOID(one.batch->verdict(one.index)); }
        }
        return happen();
    }
    Result<void> commit(std::span<const OffsetMove> moves) override {
        TRY_VOID(happen());
        std::vector<GroupOffset> offsets;
        for (const OffsetMove& move : moves) {
            offsets.push_back({move.topic, move.partition, move.to, move.metadata});
        }
        TRY(const auto asked, reader_->group->commit(offsets, true, world_.clock_.monotonic_ns() + 30'000 * ms_ns));
        TRY_VOID(wait("a commit", [&] { return asked->done.load(); }, 60'000));
        TRY_VOID(asked->result);
        return happen();
    }
    int64_t wall_ms() override { return world_.clock_.wall_ms(); }
    int64_t monotonic_ns() override { return world_.clock_.monotonic_ns(); }
    uint64_t random() override { return world_.draw(1'000); }
    void sleep(int64_t ms) override {
        const int64_t end = world_.clock_.wall_ms() + ms;
        while (world_.clock_.wall_ms() < end && !self_.dead) { world_.pump(); }
    }

private:
    static std::unexpected<Error> closed() { return fail(Code::closed, "stage.world", "the process is dead"); }
    Result<void> happen() {
        if (self_.dead) { return closed(); }
        world_.happen(self_);
        if (self_.dead) { return closed(); }
        return {};
    }
    Result<void> wait(const char* what, const std::function<bool()>& done, int64_t ms) {
        const int64_t end = world_.clock_.wall_ms() + ms;
        while (!done()) {
            if (world_.clock_.wall_ms() > end) { return fail(Code::timed_out, "stage.world", what); }
            TRY_VOID(happen());
            world_.pump();
        }
        return self_.dead ? Result<void>(closed()) : Result<void>();
    }
    Result<Polled> look() {
        using Kind = GroupConsumer::Step::Kind;
        for (;;) {
            TRY(auto next, reader_->group->next());
            if (next.kind == Kind::assigned) { share_->assigned(next.places); }
            if (next.kind == Kind::revoked) { share_->revoked(next.places); }
            if (next.kind == Kind::lost) { share_->lost(next.places); }
            if (self_.dead) { return closed(); }
            if (next.kind == Kind::wait) { return Polled{}; }
            if (next.kind == Kind::give) { break; }
        }
        Polled polled;
        TRY(FetchedBatch* const taken, reader_->core->take(reader_->batch));
        if (taken == nullptr) { return polled; }
        polled.place = taken->place;
        for (;;) {
            TRY(const auto record, taken->cursor->next());
            if (!record) { return polled; }
            if (record->offset < taken->from) { continue; }
            polled.records.push_back(*record);
            polled.next_offset = record->offset + 1;
        }
    }

    StageWorld& world_;
    Running& self_;
    Reader* reader_ = nullptr;
    std::shared_ptr<ProducerCore> producer_;
    std::shared_ptr<ConsumerCore> tails_;
    StageShare* share_ = nullptr;
};

StageWorld::Running& StageWorld::start_stage() {
    auto& one = *running_.emplace_back(std::make_unique<Running>());
    one.port = std::make_unique<Port>(*this, one);
    one.core = std::make_unique<StageCore>(*one.port,
                                           StageOptions{.name = "stage",
                                                        .inputs = {"in"},
                                                        .outputs = {"odd", "even"},
                                                        .dead_letters = "dead",
                                                        .step_records_max = 5},
                                           split, nullptr);
    EXPECT_TRUE(one.core->open());
    return one;
}
// Its connections break, and it does nothing any more. What it is made of stays until the world ends, for it is in a call.
void StageWorld::die(Running& one) {
    one.dead = true;
    one.reader->network->break_all();
    one.reader->runs = false;
}

class StageSeeds : public StageWorld, public testing::WithParamInterface<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, StageSeeds, testing::Range<uint64_t>(2, 22));

TEST_P(StageSeeds, OverTheNetworkOnceForReadersWhoFilter) { run_all(GetParam(), false); }

TEST_P(StageSeeds, InOneJournalEntryNothingIsThereTwice) {
    run_all(GetParam(), true);
    EXPECT_EQ(dropped_, 0u);
}

}  // namespace
}  // namespace flowstone
