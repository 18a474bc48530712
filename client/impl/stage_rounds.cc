#include "client/impl/stage_rounds.h"

#include <map>

#include "storage/batch.h"

namespace flowstone {

std::vector<std::span<const StageWrite>> rounds_of(std::span<const StageWrite> writes, size_t batch_bytes) {
    std::vector<std::span<const StageWrite>> rounds;
    std::map<TopicPartition, size_t> used;
    size_t begin = 0;
    for (size_t i = 0; i < writes.size(); ++i) {
        const size_t size = BatchBuilder::record_bytes_max(writes[i].record);
        size_t& of_place = used[writes[i].place];
        if (of_place > 0 && of_place + size > batch_bytes) {
            rounds.push_back(writes.subspan(begin, i - begin));
            begin = i;
            used.clear();
        }
        used[writes[i].place] += size + (used[writes[i].place] == 0 ? batch_header_bytes : 0);
    }
    if (begin < writes.size()) { rounds.push_back(writes.subspan(begin)); }
    return rounds;
}

}  // namespace flowstone
