// Where the records of a leader epoch end (KIP-101, KIP-279; SERVE.md rule 10).
#pragma once

#include <optional>
#include <span>

#include <flowstone/ids.h>

#include "storage/meta_files.h"

namespace flowstone {

// Of the largest epoch that is not above the one asked: that epoch, and the offset at which the next one begins, or the
// log's end. None when every epoch that is known is above it.
inline std::optional<EpochStart> epoch_end(std::span<const EpochStart> epochs, Offset log_end, Epoch asked) {
    std::optional<EpochStart> found;
    for (size_t i = 0; i < epochs.size() && epochs[i].epoch <= asked; ++i) {
        found = EpochStart{epochs[i].epoch, i + 1 < epochs.size() ? epochs[i + 1].start : log_end};
    }
    return found;
}

}  // namespace flowstone
