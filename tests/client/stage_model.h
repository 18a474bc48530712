// A world for stages that a test can read in one go: topics are vectors, a group is a list of members, and at every call of a
// stage something may happen: another stage runs, the group shares anew, the stage dies, a request gets lost or comes late.
// It is meaner than brokers are: a group takes partitions away from who has not heard of it, at once.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/impl/stage_core.h"
#include "storage/batch.h"
#include "storage/bytes.h"

namespace flowstone {

struct ModelRecord {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    int64_t timestamp_ms = 0;
};

// A record as readers get it: encoded and read again.
class ModelViews {
public:
    RecordView add(const ModelRecord& record, Offset offset) {
        std::vector<Header> headers;
        for (const auto& [name, value] : record.headers) {
            headers.push_back({name, value ? std::optional<std::string_view>(*value) : std::nullopt});
        }
        const Record borrowed{.key = record.key ? std::optional<std::string_view>(*record.key) : std::nullopt,
                              .value = record.value ? std::optional<std::string_view>(*record.value) : std::nullopt,
                              .headers = headers,
                              .timestamp_ms = record.timestamp_ms};
        auto& space = spaces_.emplace_back(BatchBuilder::record_bytes_max(borrowed) + batch_header_bytes);
        BatchBuilder builder(space, {});
        EXPECT_TRUE(builder.append(borrowed, record.timestamp_ms));
        const BatchView batch = builder.close();
        auto cursor = RecordCursor::open(batch, scratch_);
        EXPECT_TRUE(cursor);
        auto read = cursor->next();
        EXPECT_TRUE(read && *read);
        RecordView view = **read;
        view.offset = offset;
        return view;
    }

private:
    std::deque<std::vector<std::byte>> spaces_;
    std::vector<std::byte> scratch_;
};

class ModelPort;

class ModelWorld {
public:
    using Log = std::vector<ModelRecord>;

    explicit ModelWorld(uint64_t seed, bool atomic) : atomic(atomic), random(seed) {}

    void make_topic(const std::string& name, int32_t partitions) {
        topics[name] = partitions;
        for (int32_t i = 0; i < partitions; ++i) { logs[{name, i}]; }
    }
    void append(const TopicPartition& place, const Record& record) {
        ModelRecord copy;
        if (record.key) { copy.key = std::string(*record.key); }
        if (record.value) { copy.value = std::string(*record.value); }
        for (const Header& header : record.headers) {
            copy.headers.emplace_back(header.name,
                                      header.value ? std::optional(std::string(*header.value)) : std::nullopt);
        }
        copy.timestamp_ms = record.timestamp_ms.value_or(wall_ms);
        logs.at(place).push_back(std::move(copy));
    }
    uint64_t draw(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(random); }

    const bool atomic;
    std::mt19937_64 random;
    std::map<std::string, int32_t> topics;
    std::map<TopicPartition, Log> logs;
    struct Group {
        std::map<TopicPartition, GroupOffset> offsets{};
        std::vector<ModelPort*> members{};
        int64_t generation = 0;
    };
    std::map<std::string, Group> groups;
    int64_t wall_ms = 1'400'000'000'000;
    // Called within every call of a stage, before it does anything.
    std::function<void(ModelPort&)> meanwhile = [](ModelPort&) {};
    // Writes that a stage gave up waiting for, and that are still on their way.
    std::vector<std::vector<std::pair<TopicPartition, ModelRecord>>> late;

    // Everybody who lives gets another share; who has not polled since does not know.
    void share_anew(Group& group);
    void land_late() {
        for (auto& writes : std::exchange(late, {})) {
            for (auto& [place, record] : writes) { logs.at(place).push_back(std::move(record)); }
        }
    }
};

class ModelPort final : public StagePort {
public:
    explicit ModelPort(ModelWorld& world, const std::string& group = "stage")
        : world_(world), group_(world.groups[group]) {}
    ~ModelPort() override { die(); }

    // Nothing it does reaches anybody any more.
    void die() {
        if (std::exchange(dead_, true)) { return; }
        const auto found = std::ranges::find(group_.members, this);
        if (found == group_.members.end()) { return; }
        group_.members.erase(found);
        world_.share_anew(group_);
    }
    bool dead() const { return dead_; }
    void fail_next_send(bool arrives_late) { lose_send_ = arrives_late ? 2 : 1; }

    Result<int32_t> partitions(const std::string& topic) override {
        const auto found = world_.topics.find(topic);
        if (found == world_.topics.end()) { return fail(Code::not_found, "model.partitions", topic); }
        return found->second;
    }
    Result<void> join(const std::vector<std::string>& topics, StageShare& share) override {
        topics_ = topics;
        share_ = &share;
        group_.members.push_back(this);
        world_.share_anew(group_);
        return {};
    }
    void leave() override { die(); }
    Result<Polled> poll(int64_t timeout_ms) override {
        if (auto alive = happen(); !alive) { return std::unexpected(alive.error()); }
        if (joined_ != group_.generation) { hear(); }
        if (dead_) { return closed(); }
        Polled polled;
        views_ = {};
        for (size_t i = 0; i < own_.size(); ++i) {
            const TopicPartition& place = own_[(turn_ + i) % own_.size()];
            const auto& log = world_.logs.at(place);
            int64_t& at = positions_[place];
            if (at >= std::ssize(log)) { continue; }
            polled.place = place;
            const int64_t end = std::min<int64_t>(std::ssize(log), at + 1 + static_cast<int64_t>(world_.draw(5)));
            for (; at < end; ++at) { polled.records.push_back(views_.add(log[static_cast<size_t>(at)], Offset{at})); }
            polled.next_offset = Offset{at};
            ++turn_;
            return polled;
        }
        world_.wall_ms += timeout_ms;
        return polled;
    }
    Result<void> seek(const TopicPartition& place, From from) override {
        const auto* const offset = std::get_if<Offset>(&from.value());
        positions_[place] = offset == nullptr ? 0 : offset->value;
        return {};
    }
    std::optional<int64_t> lag(const TopicPartition& place) override {
        return std::ssize(world_.logs.at(place)) - positions_[place];
    }
    Result<std::optional<GroupOffset>> committed(const TopicPartition& place) override {
        if (auto alive = happen(); !alive) { return std::unexpected(alive.error()); }
        const auto found = group_.offsets.find(place);
        return found == group_.offsets.end() ? std::optional<GroupOffset>() : std::optional(found->second);
    }
    Result<Ends> ends(const TopicPartition& place) override {
        if (auto alive = happen(); !alive) { return std::unexpected(alive.error()); }
        return Ends{Offset{0}, Offset{std::ssize(world_.logs.at(place))}};
    }
    Result<void> read_back(const TopicPartition& place, Offset begin, Offset end,
                           const std::function<Result<void>(const RecordView&)>& visit) override {
        if (auto alive = happen(); !alive) { return alive; }
        ModelViews views;
        for (int64_t i = begin.value; i < end.value; ++i) {
            const ModelRecord record = world_.logs.at(place).at(static_cast<size_t>(i));
            if (auto done = visit(views.add(record, Offset{i})); !done) { return done; }
            ++read_back_;
        }
        return {};
    }

    bool atomic() const override { return world_.atomic; }
    size_t step_bytes_max() const override { return 100'000; }
    Result<void> write_step(std::span<const StageWrite> writes, std::span<const OffsetMove> moves) override {
        if (auto alive = happen(); !alive) { return alive; }
        before_write();
        for (const OffsetMove& move : moves) {
            const auto found = group_.offsets.find({move.topic, move.partition});
            const auto now = found == group_.offsets.end() ? std::nullopt : std::optional(found->second.offset);
            if (now != move.from) { return fail(Code::stale_epoch, "model.write_step", "elsewhere"); }
        }
        for (const StageWrite& write : writes) { world_.append(write.place, write.record); }
        set(moves);
        return happen();  // written, and nobody hears of it
    }
    Result<void> send(std::span<const StageWrite> writes) override {
        if (auto alive = happen(); !alive) { return alive; }
        before_write();
        const int lose = std::exchange(lose_send_, 0);
        if (lose > 0) {
            if (lose == 2) { keep_for_later(writes); }
            return fail(Code::timed_out, "model.send", "nobody answers");
        }
        for (const StageWrite& write : writes) {
            if (auto alive = happen(); !alive) { return alive; }  // the first of them are there
            world_.append(write.place, write.record);
        }
        return happen();
    }
    Result<void> commit(std::span<const OffsetMove> moves) override {
        if (auto alive = happen(); !alive) { return alive; }
        if (joined_ != group_.generation) { return fail(Code::stale_epoch, "model.commit", "another generation"); }
        set(moves);
        return happen();
    }

    int64_t wall_ms() override { return world_.wall_ms; }
    int64_t monotonic_ns() override { return world_.wall_ms * 1'000'000; }
    uint64_t random() override { return world_.draw(1'000); }
    void sleep(int64_t ms) override {
        slept_ms += ms;
        world_.wall_ms += ms;
        (void)happen();
    }
    std::function<void()> before_write = [] {};
    int64_t slept_ms = 0;
    int64_t read_back_ = 0;

private:
    friend class ModelWorld;
    std::unexpected<Error> closed() { return fail(Code::closed, "model", "the process is dead"); }
    Result<void> happen() {
        if (dead_) { return closed(); }
        world_.meanwhile(*this);
        if (dead_) { return closed(); }
        return {};
    }
    // As eager members: all of it goes, and comes again.
    void hear() {
        const auto before = std::exchange(own_, {});
        if (!before.empty()) { share_->lost(before); }
        joined_ = group_.generation;
        own_ = given_;
        for (const TopicPartition& place : own_) { positions_[place] = 0; }
        if (!own_.empty()) { share_->assigned(own_); }
    }
    void set(std::span<const OffsetMove> moves) {
        for (const OffsetMove& move : moves) {
            group_.offsets[{move.topic, move.partition}] = {move.topic, move.partition, move.to, move.metadata};
        }
    }
    void keep_for_later(std::span<const StageWrite> writes) {
        ModelWorld copy(0, false);
        auto& late = world_.late.emplace_back();
        for (const StageWrite& write : writes) {
            copy.logs[write.place];
            copy.append(write.place, write.record);
            late.emplace_back(write.place, copy.logs[write.place].back());
        }
    }

    ModelWorld& world_;
    ModelWorld::Group& group_;
    std::vector<std::string> topics_;
    StageShare* share_ = nullptr;
    int64_t joined_ = -1;
    bool dead_ = false;
    int lose_send_ = 0;
    size_t turn_ = 0;
    std::vector<TopicPartition> given_;
    std::vector<TopicPartition> own_;
    std::map<TopicPartition, int64_t> positions_;
    ModelViews views_;
};

inline void ModelWorld::share_anew(Group& group) {
    ++group.generation;
    for (ModelPort* member : group.members) { member->given_.clear(); }
    if (group.members.empty()) { return; }
    size_t next = draw(group.members.size());
    for (const auto& [place, log] : logs) {
        const auto& wanted = group.members[0]->topics_;
        if (std::ranges::find(wanted, place.topic) == wanted.end()) { continue; }
        group.members[next++ % group.members.size()]->given_.push_back(place);
    }
}

}  // namespace flowstone
