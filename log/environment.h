// What a log takes from the world: the doors. Production passes the machine's, tests their own.
//
// Not installed: programs call Log::open.
#pragma once

#include <optional>
#include <string>

#include <flowstone/log.h>

#include "storage/clock.h"
#include "storage/disk.h"
#include "storage/random.h"

namespace flowstone {

// Each must outlive the log.
struct Environment {
    Disk* disk = nullptr;
    Clock* clock = nullptr;
    Random* random = nullptr;
    std::optional<Uuid> cluster{};  // that the log must belong to, and does when it is made; none: its own
};

// Settings that only tests and benchmarks turn.
struct Tuning {
    // Whole blocks of one partition from which a commit goes straight to the segment: two durable writes behind one another
    // instead of one, and the bytes only once (docs/PERFORMANCE.md).
    uint64_t direct_bytes_min = 256u << 10;
    uint32_t shards = 0;  // journals and locks; 0: one for each thread that commits, at least one
};

// As Log::open, in another world.
Result<Log> open_log(const Environment& environment, std::string path, Options options = {}, const Tuning& tuning = {});
// As Log::open. Errors: invalid, too: it belongs to another cluster.
Result<Log> open_log_of(const std::optional<Uuid>& cluster, std::string path, Options options);

}  // namespace flowstone
