// Members of groups, each a client of its own, and a broker of ours in one simulated world.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/impl/group_consumer.h"
#include "tests/client/client_world.h"

namespace flowstone {

class GroupWorld : public ClientWorld {
protected:
    // A program that polls whenever it has its turn.
    struct Reader {
        std::unique_ptr<SimClientNetwork> network;
        std::unique_ptr<ClientEngine> engine;
        std::shared_ptr<ConsumerCore> core;
        std::shared_ptr<ConsumerMember> member;
        std::unique_ptr<GroupConsumer> group;
        std::string name{};  // of the group
        FetchedBatch batch{};
        bool polls = true;
        bool runs = true;  // else its process stands still
        std::set<TopicPartition> owned{};
        std::vector<std::string> said{};  // by the listener: "+events-0", "-events-0", "!events-0"
        std::vector<std::pair<TopicPartition, int64_t>> given{};
        std::function<void(Reader&)> on_revoked{};
        std::optional<Error> error{};
        std::vector<Result<void>> commits{};  // that were not waited for
    };

    static ConsumerOptions options(ConsumerOptions out = {}) {
        out.group = out.group.empty() ? "g" : out.group;
        return out;
    }
    Reader& add_reader(const ConsumerOptions& options, const ClientOptions& client = {}) {
        auto reader = std::make_unique<Reader>();
        reader->network = std::make_unique<SimClientNetwork>(network_, 100 + readers_.size());
        reader->engine = std::make_unique<ClientEngine>(ClientEngine::World{*reader->network, clock_, random_},
                                                        std::vector<HostPort>{address_}, client);
        reader->name = options.group;
        reader->core = reader->engine->add_consumer(options);
        reader->member = reader->engine->add_member(reader->core, options);
        reader->group = std::make_unique<GroupConsumer>(reader->core, reader->member, options, clock_,
                                                        reader->engine->request_ms());
        readers_.push_back(std::move(reader));
        return *readers_.back();
    }
    Reader& join(const ConsumerOptions& options, std::vector<std::string> topics = {"events"}) {
        Reader& reader = add_reader(options);
        reader.group->subscribe(std::move(topics));
        return reader;
    }
    // Its process dies.
    void kill(Reader& reader) {
        std::erase_if(readers_, [&](const auto& one) { return one.get() == &reader; });
    }
    // As unsubscribe() and close() do it.
    void leave(Reader& reader) {
        reader.group->leave();
        ASSERT_TRUE(until([&] { return reader.group->left(); }));
        reader.group->ended();
        reader.engine->remove(*reader.core);
        ASSERT_TRUE(until([&] { return reader.engine->all_delivered(); }));
        kill(reader);
    }

    // A turn of whoever answers.
    virtual void serve() {
        if (broker_ != nullptr) {
            run();
        } else {
            clock_.advance_ms(10);
        }
    }
    void step() {
        for (size_t i = 0; i < readers_.size(); ++i) { turn(*readers_[i]); }
        serve();
        for (size_t i = 0; i < readers_.size(); ++i) {
            if (readers_[i]->runs && readers_[i]->polls) { poll(*readers_[i]); }
        }
    }
    [[nodiscard]] bool until(const std::function<bool()>& done, int64_t ms = 120'000) {
        const int64_t end = clock_.wall_ms() + ms;
        while (!done()) {
            if (clock_.wall_ms() > end || testing::Test::HasFatalFailure()) { return false; }
            step();
        }
        return true;
    }
    void pass(int64_t ms) {
        static_cast<void>(until([] { return false; }, ms));
    }

    static void turn(Reader& reader) {
        if (!reader.runs) { return; }
        std::vector<NetworkEvent> events;
        ASSERT_TRUE(reader.network->wait(0, events));
        reader.engine->turn(events);
    }
    static std::string text(const TopicPartition& place) { return place.topic + "-" + std::to_string(place.partition); }

    // One batch, if there is one.
    void poll(Reader& reader) {
        reader.group->begin_poll();
        for (;;) {
            auto next = reader.group->next();
            if (!next) {
                reader.error = next.error();
                break;
            }
            if (next->kind == GroupConsumer::Step::Kind::wait) { break; }
            if (next->kind == GroupConsumer::Step::Kind::give) {
                take(reader);
                break;
            }
            on_step(reader, *next);
        }
        reader.group->end_poll();
    }
    void on_step(Reader& reader, const GroupConsumer::Step& step) {
        using Kind = GroupConsumer::Step::Kind;
        if (step.kind == Kind::committed) {
            if (step.callback) { step.callback(step.result); }
            return;
        }
        for (const TopicPartition& place : step.places) {
            const char* const sign = step.kind == Kind::assigned ? "+" : step.kind == Kind::revoked ? "-" : "!";
            reader.said.push_back(sign + text(place));
            if (step.kind == Kind::assigned) {
                for (const auto& other : readers_) {
                    if (other->name != reader.name || !shared_strictly_) { continue; }
                    EXPECT_FALSE(other->owned.contains(place)) << text(place) << " has two readers";
                }
                EXPECT_TRUE(reader.owned.insert(place).second) << text(place) << " is given twice";
            } else {
                EXPECT_EQ(reader.owned.count(place), 1u) << text(place) << " is not there to be taken";
            }
        }
        if (step.kind == Kind::revoked && reader.on_revoked) { reader.on_revoked(reader); }
        if (step.kind == Kind::assigned) { return; }
        for (const TopicPartition& place : step.places) { reader.owned.erase(place); }
    }
    void take(Reader& reader) {
        auto taken = reader.core->take(reader.batch);
        if (!taken) {
            reader.error = taken.error();
            return;
        }
        if (*taken == nullptr) { return; }
        const TopicPartition place = reader.batch.place;
        EXPECT_TRUE(reader.owned.contains(place)) << text(place) << " was taken away";
        for (;;) {
            const auto record = reader.batch.cursor->next();
            ASSERT_TRUE(record);
            if (!*record) { return; }
            if ((*record)->offset < reader.batch.from) { continue; }
            reader.given.emplace_back(place, (*record)->offset.value);
            ++times_[{place, (*record)->offset.value}];
        }
    }

    // The answer to what a reader asked; everybody goes on meanwhile.
    template <class T>
    Result<T> answer(const std::shared_ptr<Awaited<T>>& outcome, int64_t ms = 60'000) {
        EXPECT_TRUE(until_turned([&] { return outcome->done.load(); }, ms));
        return outcome->result;
    }
    // Nobody polls: for calls from within a poll.
    bool until_turned(const std::function<bool()>& done, int64_t ms) {
        const int64_t end = clock_.wall_ms() + ms;
        while (!done()) {
            if (clock_.wall_ms() > end || testing::Test::HasFatalFailure()) { return false; }
            for (const auto& reader : readers_) { turn(*reader); }
            serve();
        }
        return true;
    }
    Result<void> commit(Reader& reader, std::vector<GroupOffset> offsets) {
        auto started = reader.group->commit(std::move(offsets), true, clock_.monotonic_ns() + 30'000'000'000);
        if (!started) { return std::unexpected(started.error()); }
        return answer(*started);
    }
    Result<void> commit(Reader& reader) { return commit(reader, reader.group->positions()); }

    void fill(const char* topic, int32_t partition, int records) {
        auto opened = log_->topic(topic);
        ASSERT_TRUE(opened);
        for (int i = 0; i < records; ++i) { ASSERT_TRUE(opened->append({.value = "v"}, {.partition = partition})); }
    }
    void fill_all(const char* topic, int32_t partitions, int records) {
        for (int32_t partition = 0; partition < partitions; ++partition) { fill(topic, partition, records); }
    }
    std::optional<int64_t> committed(const char* topic, int32_t partition, const char* group = "g") {
        for (const GroupOffset& one : value_of(log_->fetch_offsets(group))) {
            if (one.topic == topic && one.partition == partition) { return one.offset.value; }
        }
        return {};
    }
    // How often records in [begin, end) of a partition were given, at least and at most.
    std::pair<int, int> times(const char* topic, int32_t partition, int64_t begin, int64_t end) {
        std::pair<int, int> out{1'000'000, 0};
        for (int64_t offset = begin; offset < end; ++offset) {
            const int count = times_[{TopicPartition{topic, partition}, offset}];
            out = {std::min(out.first, count), std::max(out.second, count)};
        }
        return out;
    }
    // All partitions of a topic have readers, and nobody has anything to do with the group.
    [[nodiscard]] bool settled(size_t partitions, int64_t ms = 120'000) {
        return until(
            [&] {
                size_t owned = 0;
                for (const auto& reader : readers_) { owned += reader->owned.size(); }
                return owned == partitions;
            },
            ms);
    }

    std::vector<std::unique_ptr<Reader>> readers_;
    std::map<std::pair<TopicPartition, int64_t>, int> times_;  // that a record was given to anybody
    bool shared_strictly_ = true;                              // nobody of them is taken for dead
};

}  // namespace flowstone
