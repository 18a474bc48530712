// Leader epochs: who is fenced, and where the records of one end (KIP-101, KIP-279, KIP-320; SERVE.md rule 10).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <flowstone/ids.h>

#include "net/kafka/error_code.h"
#include "storage/meta_files.h"

namespace flowstone {

// Whether a client that believes in `asked` speaks of the leader that we are; negative: it does not say.
inline kafka::ErrorCode check_leader_epoch(int32_t asked, Epoch current) {
    if (asked < 0 || asked == current.value) { return kafka::ErrorCode::none; }
    return asked < current.value ? kafka::ErrorCode::fenced_leader_epoch : kafka::ErrorCode::unknown_leader_epoch;
}

// Of the largest epoch that is not above the one asked: that epoch, and the offset at which the next one begins, or the
// log's end. The epoch that is `led` now may have no record yet. None when every epoch that is known is above the one
// asked, or it is above the one led.
inline std::optional<EpochStart> epoch_end(std::span<const EpochStart> epochs, Offset log_end, Epoch led, Epoch asked) {
    if (asked == led) { return EpochStart{led, log_end}; }
    std::optional<EpochStart> found;
    if (asked > led) { return found; }
    for (size_t i = 0; i < epochs.size() && epochs[i].epoch <= asked; ++i) {
        found = EpochStart{epochs[i].epoch, i + 1 < epochs.size() ? epochs[i + 1].start : log_end};
    }
    return found;
}

}  // namespace flowstone
