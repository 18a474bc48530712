// Puts what becomes visible into memory that other processes of the machine read (storage/shared_tail.h), from the moment
// somebody asked for it. Costs a copy of every byte meanwhile, and nothing before and after.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "log/impl/partition.h"
#include "storage/fork_guard.h"
#include "storage/shared_memory.h"
#include "storage/shared_tail.h"

namespace flowstone {

class TailSharing {
public:
    // Errors: as SharedMemory::make.
    static Result<std::unique_ptr<TailSharing>> begin(const std::string& directory, const Uuid& id, uint64_t bytes);
    // What a process that held this directory left behind.
    static void forget(const std::string& directory, const Uuid& id);
    ~TailSharing();  // readers go elsewhere; in a forked child it touches nothing
    TailSharing(const TailSharing&) = delete;
    TailSharing& operator=(const TailSharing&) = delete;

    // Whether a reader may be asleep. Any thread.
    bool awaited() const { return writer_.awaited(); }
    // Under the lock of the partition's shard: what is visible ended at `before` until now; it starts elsewhere; it is gone.
    void moved(Partition& partition, const Mark& before);
    void trimmed(Partition& partition);
    void removed(Partition& partition);

private:
    TailSharing(std::string directory, SharedMemory memory, const Uuid& id)
        : directory_(std::move(directory)), id_(id), memory_(std::move(memory)), writer_(memory_.writable(), id) {}
    void publish(Partition& partition, SharedTailWriter::Page page, const Mark& before);

    std::string directory_;
    Uuid id_;
    SharedMemory memory_;
    SharedTailWriter writer_;
    uint32_t owner_ = process_token();
};

}  // namespace flowstone
