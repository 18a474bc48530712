#include "storage/journal_chain.h"

#include "storage/check.h"
#include "storage/mutants.h"

namespace flowstone {

JournalChain judge_chain(uint64_t first_sequence, std::span<const ChainLink> links, std::span<const uint64_t> broken) {
    JournalChain chain;
    chain.next_sequence = first_sequence;
    for (size_t i = 0; i < links.size(); ++i) {
        const ChainLink& link = links[i];
        CHECK(link.sequence >= chain.next_sequence);
        if (link.sequence > chain.next_sequence) {
            chain.damages.push_back(
                {chain.next_sequence, link.sequence, i, std::vector<EntryPlace>(link.prior.begin(), link.prior.end())});
        } else if (i > 0 && link.prior_sum != chain.last_sum && !chain.impostor && !mutated(Mutant::prior_sum)) {
            chain.impostor = link.sequence;
        }
        chain.next_sequence = link.sequence + 1;
        chain.last_sum = link.sum;
    }
    for (size_t i = 0; i < broken.size(); ++i) {
        if (broken[i] >= chain.next_sequence && (!chain.torn || broken[i] < broken[*chain.torn])) { chain.torn = i; }
    }
    return chain;
}

}  // namespace flowstone
