// The records that every contender of a workload takes: cut from 64 KiB of noise, so that they cost a copy and no
// more, and differ from one another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/record.h>

namespace flowstone::bench {

constexpr int64_t fixed_time_ms = 1'700'000'000'000;  // of every record: the same bytes in each round

class Source {
public:
    explicit Source(uint32_t record_bytes) : record_bytes_(record_bytes), noise_(noise_bytes + record_bytes, '\0') {
        uint64_t state = 0x9e3779b97f4a7c15;
        for (char& letter : noise_) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            letter = static_cast<char>(state);
        }
    }
    std::string_view value(uint64_t index) const {
        return {noise_.data() + (index * 113) % noise_bytes, record_bytes_};
    }
    Record record(uint64_t index) const { return {.value = value(index), .timestamp_ms = fixed_time_ms}; }
    uint32_t record_bytes() const { return record_bytes_; }

private:
    static constexpr size_t noise_bytes = 64u << 10;
    uint32_t record_bytes_;
    std::string noise_;
};

// When record `index` of a paced load should start.
struct Pace {
    int64_t began_ns = 0;
    uint64_t per_second = 0;
    int64_t intended_ns(uint64_t index) const {
        return began_ns + static_cast<int64_t>(static_cast<double>(index) * 1e9 / static_cast<double>(per_second));
    }
    // How many records should have started by now: the first at began_ns.
    uint64_t due(int64_t now_ns) const {
        if (now_ns < began_ns) { return 0; }
        return 1 +
               static_cast<uint64_t>(static_cast<double>(now_ns - began_ns) * static_cast<double>(per_second) / 1e9);
    }
};

}  // namespace flowstone::bench
