// librdkafka doing what bench/rdkafka_bench lets ours do, with its own defaults and as its rdkafka_performance drives it.
#pragma once

#include <cstdint>
#include <string>

#include <flowstone/result.h>

#include "bench/workload.h"

namespace flowstone::bench {

// Why it cannot run; empty when it can.
std::string rdkafka_missing();

struct RdkafkaLoad {
    uint16_t port = 0;
    std::string topic{};
    uint64_t records = 0;
    uint32_t record_bytes = 100;
};
// To partition 0, until the last is acknowledged. Values are not copied, as its tool does not. Errors: io, invalid.
Result<Outcome> rdkafka_produce(const RdkafkaLoad& load);
// Of partition 0 from the beginning, by callback. Errors: io, invalid.
Result<Outcome> rdkafka_consume(const RdkafkaLoad& load);

}  // namespace flowstone::bench
