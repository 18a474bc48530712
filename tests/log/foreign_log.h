// What another log holds, made from a seed: batches with gaps between them and in them, of all codecs, of producers with
// and without transactions, markers, and leader epochs that grow.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "log/transactions.h"
#include "storage/batch.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {

using ForeignBatch = std::vector<std::byte>;

class ForeignLog {
public:
    explicit ForeignLog(uint64_t seed, Offset first = Offset{0}) : random_(seed), next_(first) {}

    const std::vector<ForeignBatch>& batches() const { return batches_; }
    BatchView view(size_t index) const { return value_of(BatchView::parse(batches_[index])); }
    Offset next() const { return next_; }

    // Some of everything.
    void grow(size_t batches) {
        while (batches_.size() < batches) { step(); }
    }
    void gap(int64_t offsets) { next_ = next_ + offsets; }
    void start_epoch() { epoch_ = Epoch{epoch_.value + 3}; }
    void plain(int records, size_t bytes, Codec codec = Codec::none) { add({}, records, bytes, codec); }
    void transactional(int64_t producer, int records) {
        open_.try_emplace(producer, next_);
        BatchBuilder::Options options{.transactional = true, .producer_id = producer, .producer_epoch = 0};
        options.base_sequence = std::exchange(sequences_[producer], sequences_[producer] + records);
        add(options, records, 80, Codec::none);
    }
    void marker(int64_t producer, bool commit) {
        std::string key(4, '\0');
        key[3] = commit ? '\1' : '\0';
        const std::string value(6, '\0');
        std::vector<std::byte> space(200);
        BatchBuilder builder(space, {.base_offset = next_,
                                     .epoch = epoch_,
                                     .transactional = true,
                                     .control = true,
                                     .producer_id = producer,
                                     .producer_epoch = 0});
        EXPECT_TRUE(builder.append({.key = key, .value = value}, time_ms_));
        put(builder.close());
        open_.erase(producer);
    }
    // Records at every third offset only, and the last ones gone.
    void sparse(int records) {
        std::vector<std::byte> space(20'000);
        BatchBuilder builder(space, {.base_offset = next_, .epoch = epoch_});
        for (int i = 0; i < records; ++i) {
            const std::string value = text(60);
            RecordView record;
            record.key = "sparse";
            record.value = value;
            record.timestamp_ms = ++time_ms_;
            EXPECT_TRUE(builder.append_at(3 * i, record));
        }
        put(builder.close_at(3 * records + 4));
    }

    // Those that the first `count` batches end with an abort.
    std::vector<AbortedTransaction> aborted(size_t count) const {
        TransactionWalk walk;
        for (size_t i = 0; i < count; ++i) { walk.applied(view(i)); }
        return walk.take_aborted();
    }

private:
    void step() {
        const uint64_t dice = random_.next() % 16;
        const auto some = [&](uint64_t below) { return static_cast<int>(1 + random_.next() % below); };
        if (dice < 5) { return plain(some(3), 200); }
        if (dice < 6) { return plain(some(2), 20'000); }  // straight to the segment
        if (dice < 8) { return plain(some(9), 300, static_cast<Codec>(random_.next() % 5)); }
        if (dice < 10) { return gap(some(50)); }
        if (dice < 11) { return sparse(some(20)); }
        if (dice < 13) { return transactional(4'000 + some(3), some(4)); }
        if (dice < 15 && !open_.empty()) { return marker(open_.begin()->first, random_.next() % 2 == 0); }
        if (dice == 15) { start_epoch(); }
    }

    void add(BatchBuilder::Options options, int records, size_t bytes, Codec codec) {
        options.base_offset = next_;
        options.epoch = epoch_;
        std::vector<std::byte> space(static_cast<size_t>(records) * (bytes + 200) + 200);
        BatchBuilder builder(space, options);
        const Header headers[] = {{"from", "afar"}, {"none", std::nullopt}};
        for (int i = 0; i < records; ++i) {
            const std::string value = text(bytes);
            Record record{.value = value, .headers = headers};
            if (i % 2 == 0) { record.key = "key"; }
            EXPECT_TRUE(builder.append(record, ++time_ms_));
        }
        const BatchView batch = builder.close();
        std::vector<std::byte> packed;
        put(codec == Codec::none ? batch : value_of(recompress(batch, codec, packed)));
    }
    void put(BatchView batch) {
        batches_.emplace_back(batch.bytes().begin(), batch.bytes().end());
        next_ = batch.next_offset();
    }
    std::string text(size_t bytes) {
        std::string out = std::to_string(texts_++) + " ";
        while (out.size() < bytes) { out += static_cast<char>('a' + random_.next() % 26); }
        return out;
    }

    SimRandom random_;
    Offset next_;
    Epoch epoch_{7};
    int64_t time_ms_ = 1'398'000'000'000;
    uint64_t texts_ = 0;
    std::map<int64_t, Offset> open_;
    std::map<int64_t, int32_t> sequences_;
    std::vector<ForeignBatch> batches_;
};

}  // namespace flowstone
