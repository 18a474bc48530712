// What Store::open does: see recovery.cc.
#pragma once

#include <map>
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
    // `without_rings`: only what the checkpoint proves, for a reader whose writer is too fast (read_only alone).
    explicit Recovery(Store& store, bool without_rings = false) : store_(store), without_rings_(without_rings) {}
    Result<void> run();

    // Read-only: whether what run() read can still be believed. Errors: busy (checkpoints passed the copy), io.
    Result<void> check_not_passed();
    bool believed_a_checkpoint() const { return checkpoint_.number > 0; }

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
    Result<CheckpointRead> read_slots();
    bool spoken_of(uint32_t shard) const;  // by the checkpoint
    Result<void> open_rings();
    Result<void> open_rings_beside();
    void leave_rings_to_followers();
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
    bool was_sealed(const Partition& partition, const OpenSegment& segment);
    Result<void> set_aside(Partition& partition);
    Result<void> note_batches(Partition& partition, const PartitionCheckpoint& said);
    Result<void> each_batch(Partition& partition, OpenSegment& segment, uint64_t begin, uint64_t end,
                            const std::function<void(BatchView)>& take);
    Result<void> begin_writing();
    Result<void> remove_ring(uint32_t shard);

    Store& store_;
    bool without_rings_ = false;
    Checkpoint checkpoint_;
    std::vector<Ring> rings_;
    std::set<Partition*> touched_;      // by the journal, or by what the files hold past it
    std::map<Partition*, Error> gaps_;  // what the journal goes on behind, until a carry repeats it
    bool unproven_ = false;             // bytes were kept or cut that no sync covers yet
};

}  // namespace flowstone
