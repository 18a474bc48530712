// The events that were taken in lately, to tell one that comes a second time. A part of one partition's state; pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <string_view>
#include <unordered_map>

#include "storage/checksum.h"

namespace flowstone::fintech {

struct SeenLimits {
    int64_t keep_ms = 7 * 86'400'000LL;  // of intake
    size_t events_max = 2'000'000;       // beyond it the oldest are forgotten, and counted; some 80 bytes each
};

// Ids are kept as hashes of 128 bits: two that are taken for one would be a payment lost.
class SeenEvents {
public:
    explicit SeenEvents(SeenLimits limits = {}) : limits_(limits) {}

    // Whether the id was added with an intake at most keep_ms before this one.
    bool has(std::string_view event_id, int64_t intake_ms) const;
    void add(std::string_view event_id, int64_t intake_ms);
    size_t size() const { return ids_.size(); }
    uint64_t forgotten_early() const { return forgotten_early_; }

private:
    struct Entry {
        Hash128 id;
        int64_t intake_ms = 0;
    };
    struct First8 {
        size_t operator()(const Hash128& hash) const {
            size_t bytes = 0;
            std::memcpy(&bytes, hash.bytes.data(), sizeof bytes);
            return bytes;
        }
    };
    void forget_first();

    SeenLimits limits_;
    std::deque<Entry> order_;  // as they came
    std::unordered_map<Hash128, int64_t, First8> ids_;
    int64_t newest_ms_ = 0;
    uint64_t forgotten_early_ = 0;
};

}  // namespace flowstone::fintech
