// How a stage's writes are sent: in rounds, each of which is acknowledged before the next begins. Within a round what goes to
// one partition is one batch, which the log has whole or not at all: so when a write is refused, none behind it has been taken.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "client/impl/stage_port.h"

namespace flowstone {

// A batch goes out when its round is complete, not before. Brokers take batches of a MiB unless told otherwise.
constexpr size_t round_batch_bytes = 900u << 10;
inline ProducerOptions stage_producer_options() {
    return {.linger = std::chrono::seconds(60), .batch_bytes_max = round_batch_bytes};
}

// In their order; together they are all. A record above `batch_bytes` is alone in its partition's round.
std::vector<std::span<const StageWrite>> rounds_of(std::span<const StageWrite> writes, size_t batch_bytes);

}  // namespace flowstone
