// Where a consumer finds records without asking a broker: in this process, or in memory that this machine's processes
// share. One for each consumer.
//
// Threads: the consumer's.
#pragma once

#include <cstdint>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/bytes.h"
#include "storage/lock.h"

namespace flowstone {

class NearLog {
public:
    virtual ~NearLog() = default;

    enum class Found : uint8_t {
        batches,
        end,        // nothing is behind the offset yet
        elsewhere,  // a broker must be asked
    };
    struct Answer {
        Found found = Found::elsewhere;
        Bytes batches{};  // whole, the first of them may begin before the offset; valid until the next read
        Offset end{};     // of the partition, but for `elsewhere`
    };
    // From the batch that holds the offset. `topic`: its id. Errors: corrupt, io.
    virtual Result<Answer> read(const TopicPartition& place, const Uuid& topic, Offset from) = 0;
    virtual bool checked() const = 0;  // whether what it gives needs no look at its checksum

    // To sleep until there may be more: ticket(), then look, then sleep, which ends when `own` changes, too. Whoever appends
    // is quick for those who hold a ticket, at the cost of small batches: only who is about to sleep takes one.
    virtual uint32_t ticket() = 0;
    virtual void sleep(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) = 0;
};

}  // namespace flowstone
