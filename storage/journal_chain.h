// Whether the commits found in a ring follow one another, and what is missing if they do not. Decides; reads nothing.
//
// A sequence that is missing though a later one is there was once written, and acknowledged: its commit was damaged. The
// commit behind it repeats its places (JOURNAL 1.5). What does not hold behind the last good commit may be what a crash
// left, or damage to it: nobody can tell, so it is said.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <flowstone/ids.h>

#include "storage/journal_format.h"

namespace flowstone {

// A commit that holds. In the order of the sequences, each once.
struct ChainLink {
    uint64_t sequence = 0;
    uint64_t prior_sum = 0;
    uint64_t sum = 0;
    std::span<const EntryPlace> prior;
};

struct JournalChain {
    struct Damage {
        uint64_t begin = 0;  // sequences, half-open
        uint64_t end = 0;
        size_t before = 0;             // the link behind it
        std::vector<EntryPlace> held;  // by the last of them
        bool all_known() const { return end == begin + 1; }
        friend bool operator==(const Damage&, const Damage&) = default;
    };
    uint64_t next_sequence = 0;
    uint64_t last_sum = 0;  // of the last link; 0 without one
    std::vector<Damage> damages;
    std::optional<uint64_t> impostor;  // the first that does not continue the sum of the one before it
    std::optional<size_t> torn;        // of `broken`: what would have been the next commit, or a later one
};

// `broken` are the sequences that commits claim which do not hold.
JournalChain judge_chain(uint64_t first_sequence, std::span<const ChainLink> links, std::span<const uint64_t> broken);

}  // namespace flowstone
