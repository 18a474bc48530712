// What Store::open does: see recovery.cc.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "log/impl/store.h"
#include "storage/checkpoint.h"
#include "storage/journal.h"

namespace flowstone {

// Used once, on a store that nobody else knows yet: nothing here takes turns with anyone.
class Recovery {
public:
    explicit Recovery(Store& store) : store_(store) {}
    Result<void> run();

private:
    struct Ring {
        std::unique_ptr<Journal> journal;
        RingCheckpoint known;
        JournalScan scan;
        uint64_t next_sequence = 1;
        uint64_t last_sum = 0;
    };

    Disk& disk() { return store_.disk(); }
    Result<void> enter_directory();
    Result<void> make_directory();
    uint32_t shard_count() const;
    Journal::Options journal_options(uint32_t shard) const;
    Result<void> open_rings();
    Result<void> check_chain(Ring& ring);
    Result<void> replay();
    Result<void> read_metadata(Partition& partition);
    Result<void> replay_entries(bool metadata);
    Result<Partition*> partition_of(const EntryHead& head);
    Result<void> replay_entry(const Entry& entry);
    Result<void> replay_direct(Partition& partition, const Entry& entry, uint64_t begin);
    Result<void> read_range(File& file, uint64_t at, MutableBytes into);
    Result<void> settle_all();
    Result<void> settle(Partition& partition);
    Result<void> keep_unfinished_write(Partition& partition);
    Result<void> note_batches(Partition& partition, const PartitionCheckpoint& said);
    Result<void> begin_writing();
    Result<void> remove_ring(uint32_t shard);

    Store& store_;
    Checkpoint checkpoint_;
    std::vector<Ring> rings_;
    std::set<Partition*> touched_;  // by the journal, or by what the files hold past it
    bool unproven_ = false;         // bytes were kept or cut that no sync covers yet
};

}  // namespace flowstone
