// The tail of a log that another process of this machine holds (storage/shared_tail.h). Older records are elsewhere.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "client/impl/near_log.h"
#include "storage/clock.h"
#include "storage/shared_memory.h"
#include "storage/shared_tail.h"

namespace flowstone {

class SharedNear final : public NearLog {
public:
    // Of the log in that directory. Nothing is there to begin with: its holder shares it once a consumer fetched from it.
    SharedNear(std::string directory, Clock& clock) : directory_(std::move(directory)), clock_(clock) {}

    Result<Answer> read(const TopicPartition& place, const Uuid& topic, Offset from) override;
    bool checked() const override { return false; }
    uint32_t ticket() override;
    void sleep(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) override;

private:
    bool attached();
    void detach(int64_t pause_ns);

    std::string directory_;
    Clock& clock_;
    struct Tail {
        SharedMemory memory;
        SharedTailReader reader;
    };
    std::optional<Tail> tail_;
    int64_t not_before_ns_ = INT64_MIN;
    bool announced_ = false;
    std::map<TopicPartition, SharedTailReader::Place> places_;
    SharedTailReader::Copy copy_;
};

}  // namespace flowstone
