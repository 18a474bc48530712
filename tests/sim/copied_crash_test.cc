// Power is lost at any moment while another log's batches are taken as they are: what was acknowledged is there, at its
// offsets and byte for byte, nothing else is, and copying goes on where the log ends.
//
// With FLOWSTONE_SIM_FILES=FOLDER nothing is opened, as in crash_test.cc.
#include <gtest/gtest.h>

#include <cstdlib>

#include <fmt/format.h>

#include "log/environment.h"
#include "log/served_log.h"
#include "tests/log/foreign_log.h"
#include "tests/number_from.h"
#include "tests/sim/world/copy_out.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/world_verify.h"

namespace flowstone {
namespace {

class Copying {
public:
    Copying(uint64_t seed, const ForeignLog& from) : random_(seed), from_(from) {}
    Copying(const Copying& other) : random_(other.random_), from_(other.from_), kept_(other.kept_) {}

    // Copies everything, with deaths, checkpoints and closes on the way.
    std::string run(SimDisk& disk) {
        below_ = &disk;
        if (!open(disk)) { return fault_; }
        while (fault_.empty() && taken_ < from_.batches().size()) {
            const uint64_t dice = random_.next() % 24;
            if (dice == 0) { must(log_->checkpoint(), "checkpoint"); }
            if (dice == 1) { must(log_->maintain(), "maintain"); }
            if (dice == 2) { must(log_->close(), "close"); }
            if (dice == 2 || dice == 3) {
                end();
                if (!open(disk)) { break; }
            }
            take(1 + random_.next() % 6);
            if (dice > 12) { acknowledged(); }
        }
        if (fault_.empty()) { must(log_->close(), "close"); }
        end();
        return fault_;
    }

    // After a crash at `operation`. Goes on to the end when it is as it must be.
    std::string check(SimDisk& disk, uint64_t operation) {
        below_ = &disk;
        size_t kept = 0;
        for (const auto& [at, count] : kept_) {
            if (at <= operation) { kept = std::max(kept, count); }
        }
        if (!open(disk)) { return fault_; }
        if (taken_ < kept) { return fmt::format("{} batches, {} were acknowledged", taken_, kept); }
        while (fault_.empty() && taken_ < from_.batches().size()) { take(20); }
        must(log_->flush(), "flush");
        if (fault_.empty()) { look(); }
        if (fault_.empty()) { must(log_->close(), "close"); }
        end();
        return fault_.empty() ? verify_directory(disk, "data") : fault_;
    }

private:
    template <class T>
    void must(const Result<T>& result, const char* what) {
        if (!result && fault_.empty()) { fault_ = fmt::format("{}: {}", what, result.error().message()); }
    }

    void end() {
        pending_.reset();
        topic_.reset();
        log_.reset();
    }
    bool open(SimDisk& disk) {
        Options options;
        options.journal_bytes_max = 8u << 20;
        options.tail_bytes_max = 64u << 10;
        options.reserve_bytes = 1u << 20;
        auto log = open_log({&disk, &clock_, &random_}, "data", options, {.direct_bytes_min = 16u << 10});
        must(log, "open");
        if (!log) { return false; }
        log_.emplace(std::move(*log));
        auto topic =
            log_->create_topic("copied", {.configs = {{"internal.segment.bytes", "60000"}}, .exists_ok = true});
        must(topic, "create_topic");
        if (!topic) { return false; }
        topic_.emplace(std::move(*topic));
        if (!log_->losses().empty()) { fault_ = "something is lost"; }
        look();
        return fault_.empty();
    }

    // What is there is the front of the other log, and so much of it was taken.
    void look() {
        const ServedLog served(*log_);
        auto place = served.partition(*served.topic("copied"), 0);
        must(place, "partition");
        if (!place) { return; }
        const PartitionEnds ends = served.ends(*place);
        taken_ = 0;
        for (Offset at = ends.log_start; at < ends.high_watermark && fault_.empty();) {
            auto found = served.read(*place, at, {.bytes_max = 100'000});
            must(found, "read");
            if (found && found->bytes == 0) { fault_ = fmt::format("nothing is at {}", at.value); }
            if (!fault_.empty()) { return; }
            for (const Bytes& piece : found->pieces) { compare(piece); }
            at = found->next_offset;
        }
        if (!fault_.empty()) { return; }
        const Offset first = from_.view(0).base_offset();
        const Offset next = taken_ == 0 ? ends.log_end : from_.view(taken_ - 1).next_offset();
        if (ends.log_end != next || (taken_ > 0 && ends.log_start != first)) {
            fault_ = fmt::format("[{}, {}) for {} batches", ends.log_start.value, ends.log_end.value, taken_);
        }
        if (taken_ == 0 && ends.log_end != Offset{0} && ends.log_end != first) { fault_ = "an end that nobody made"; }
        must(served.learn_aborted(*place), "learn_aborted");
        auto aborted = served.aborted(*place, Offset{0}, Offset{INT64_MAX}).value();
        // Ahead of what is there it may speak of what comes; of what nobody ended yet it says -1.
        std::erase_if(aborted, [&](const AbortedTransaction& one) {
            return one.last >= ends.log_end || one.last_stable_end < Offset{0};
        });
        if (aborted != from_.aborted(taken_)) { fault_ = fmt::format("{} aborted transactions", aborted.size()); }
    }
    void compare(Bytes piece) {
        while (const auto batch = BatchView::parse(piece)) {
            piece = piece.subspan(batch->size());
            if (taken_ == from_.batches().size() || !std::ranges::equal(batch->bytes(), from_.batches()[taken_])) {
                fault_ = fmt::format("at offset {} is what nobody wrote there", batch->base_offset().value);
                return;
            }
            ++taken_;
        }
    }

    void take(size_t count) {
        ForeignBatch bytes;
        const size_t end = std::min(from_.batches().size(), taken_ + count);
        for (size_t i = taken_; i < end; ++i) {
            bytes.insert(bytes.end(), from_.batches()[i].begin(), from_.batches()[i].end());
        }
        if (bytes.empty()) { return; }
        auto pending = topic_->append_as_is(0, bytes);
        must(pending, "append_as_is");
        taken_ = end;
        if (pending) { pending_ = *pending; }
    }
    void acknowledged() {
        if (!pending_ || !fault_.empty()) { return; }
        must(log_->wait(*pending_), "wait");
        kept_.emplace_back(below_->operations(), taken_);
    }

    SimRandom random_;
    const ForeignLog& from_;
    std::vector<std::pair<uint64_t, size_t>> kept_;  // by operation: so many batches
    SimClock clock_;
    const SimDisk* below_ = nullptr;
    std::optional<Log> log_;
    std::optional<Topic> topic_;
    std::optional<Pending> pending_;
    size_t taken_ = 0;
    std::string fault_;
};

TEST(CopiedCrashTest, WhatWasTakenIsThereAsItWasAndNothingElse) {
    const uint64_t first = number_from("FLOWSTONE_SIM_SEED", 1);
    const uint64_t seeds = std::getenv("FLOWSTONE_SIM_SEED") != nullptr ? 1 : number_from("FLOWSTONE_SIM_SEEDS", 3);
    for (uint64_t seed = first; seed < first + seeds; ++seed) {
        ForeignLog from(seed, Offset{seed % 3 == 0 ? 0 : 1'000'000});
        from.grow(150);
        SimDisk disk({.record = true});
        Copying copying(seed, from);
        const auto repeat = fmt::format("repeat with FLOWSTONE_SIM_SEED={}", seed);
        ASSERT_EQ(copying.run(disk), "") << repeat;
        const bool all = std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr;
        const auto points = all ? disk.all_crashes(4) : disk.sample_crashes(250, seed);
        for (size_t i = 0; i < points.size(); ++i) {
            if (const char* folder = std::getenv("FLOWSTONE_SIM_FILES")) {
                if (i % number_from("FLOWSTONE_SIM_FILES_EVERY", 1) != 0) { continue; }
                const auto state = disk.crash_state(points[i]);
                if (!state->info("data")) { continue; }
                ASSERT_TRUE(copy_out(*state, "data",
                                     fmt::format("{}/Copied-{}-{}-{}", folder, seed, i, points[i].to_string())));
                continue;
            }
            const auto state = disk.crash_state(points[i]);
            Copying after(copying);
            ASSERT_EQ(after.check(*state, points[i].operation), "")
                << repeat << ", crash " << points[i].to_string() << ": "
                << (points[i].operation < disk.operations() ? disk.describe(points[i].operation) : "at the end");
        }
    }
}

}  // namespace
}  // namespace flowstone
