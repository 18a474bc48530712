// The floor of producing: a bare program that takes Kafka's produce requests, checks their sums, and writes them durably.
#pragma once

#include <cstdint>
#include <string>

namespace flowstone::bench {

// Serves until it is killed: `broker_bench --floor PORT DIRECTORY`. Returns an exit code when it could not begin.
// One thread and one file that is written in circles. Whatever came since the last write goes into one O_DIRECT write with
// DSYNC, then all of it is answered. No topics, offsets, index or recovery, and nobody can read it.
int serve_floor(uint16_t port, const std::string& directory);

}  // namespace flowstone::bench
