// The log of this process, for its consumers: batches where the log has them, or as it reads them from its files.
#pragma once

#include <map>

#include "client/impl/near_log.h"
#include "log/served_log.h"

namespace flowstone {

class LogNear final : public NearLog {
public:
    explicit LogNear(ServedLog& log) : log_(log) {}

    Result<Answer> read(const TopicPartition& place, const Uuid& topic, Offset from) override;
    bool checked() const override { return true; }
    uint32_t ticket() override { return log_.announce_sleeper(); }
    void sleep(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) override {
        log_.sleep_until_moved(own, ticket, timeout_ns);
    }

private:
    ServedLog& log_;
    struct Known {
        Uuid topic;
        ServedPartition partition;
    };
    std::map<TopicPartition, Known> known_;
    // What was read last, given piece by piece.
    TopicPartition place_;
    StoredBatches read_;
    size_t given_ = 0;  // of its pieces
    Offset next_;       // where the piece that comes next goes on
};

}  // namespace flowstone
