// Appends records as a stream: many are under way at a time, and it is told how many of them are acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <flowstone/client.h>
#include <flowstone/log.h>

#include "storage/batch.h"
#include "storage/clock.h"

namespace flowstone::tool {

class Appender {
public:
    virtual ~Appender() = default;
    // Copies the record. Waits for earlier ones when too many are under way. `partition` absent: by key, else any.
    // Errors: those of Topic::append and Log::wait.
    virtual Result<void> add(const Record& record, std::optional<int32_t> partition) = 0;
    // Waits until everything added is acknowledged.
    virtual Result<void> settle() = 0;
    // Of the records added, in their order, so many are acknowledged for certain.
    virtual uint64_t acknowledged() const = 0;
};

// Record by record; the log makes the batches.
std::unique_ptr<Appender> make_appender(Log& log, const Topic& topic);
// Batches made and compressed here.
std::unique_ptr<Appender> make_compressing_appender(Log& log, const Topic& topic, Codec codec, Clock& clock);

// Through brokers; the producer makes the batches.
std::unique_ptr<Appender> make_network_appender(const Producer& producer, const ProducerTopic& topic);

}  // namespace flowstone::tool
