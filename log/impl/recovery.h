// What Store::open does: see recovery.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "log/impl/store.h"
#include "storage/checkpoint.h"
#include "storage/journal.h"
#include "storage/journal_chain.h"
#include "storage/segment_scan.h"

namespace flowstone {

constexpr Uuid metadata_topic_id{{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                  std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                  std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}}};  // Kafka's

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
        std::vector<JournalChain::Damage> damages{};
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
    static void note_epochs(Partition& partition, Bytes batches);
    bool replay_skip(Partition& partition, const Entry& entry);
    Result<void> replay_truncation(Partition& partition, const Entry& entry);
    Result<std::vector<std::byte>> read_direct(Partition& partition, const Entry& entry);
    Result<void> replay_direct(Partition& partition, const Entry& entry, uint64_t begin);
    Result<void> read_range(File& file, uint64_t at, MutableBytes into);
    // What is lost (recovery_damage.cc).
    Result<void> fence_damage(const Ring& ring, const JournalChain::Damage& damage);
    Result<void> fence(Partition& partition, const LostRange& lost);
    const PartitionCheckpoint* still_as_said(Partition& partition) const;
    Result<void> take_from_file(Partition& partition, Offset until);
    static SegmentScanner::Options scan_options(const Partition& partition, const OpenSegment& segment);
    Result<void> take_batches(Partition& partition, SegmentScanner& scanner, const std::function<bool()>& wanted);
    Result<void> put_aside(Partition& partition, const Entry& entry);
    Result<void> finish_asides();
    Result<void> accept_loss(Partition& partition);
    Result<void> accept_losses();
    Result<bool> ends_past(File& file, uint64_t at, uint64_t proven);
    Result<bool> fence_proven(Partition& partition, OpenSegment& segment, File& file, SegmentScanner& scanner,
                              const PartitionCheckpoint& said);

    Result<void> settle_all();
    Result<void> settle(Partition& partition);
    Result<void> keep_unfinished_write(Partition& partition);
    bool was_sealed(const Partition& partition, const OpenSegment& segment);
    Result<void> set_aside(Partition& partition);
    Result<void> note_batches(Partition& partition, const PartitionCheckpoint& said);
    Result<void> each_batch(Partition& partition, OpenSegment& segment, uint64_t begin, uint64_t end,
                            const std::function<bool(BatchView)>& take);
    Result<void> begin_writing();
    Result<void> remove_ring(uint32_t shard);

    Store& store_;
    bool without_rings_ = false;
    Checkpoint checkpoint_;
    std::vector<Ring> rings_;
    std::set<Partition*> touched_;       // by the journal, or by what the files hold past it
    std::map<Partition*, Error> gaps_;   // what the journal goes on behind, until a carry repeats it
    std::set<Partition*> maybe_rolled_;  // a damaged commit may have held the roll
    struct Aside {
        std::unique_ptr<File> file;
        std::string name;
        uint64_t bytes = 0;
    };
    std::map<Partition*, Aside>
        asides_;  // of partitions fenced in this opening: what the journal holds behind the loss
    std::set<Partition*> accepted_;
    std::set<Partition*> unproven_;  // bytes of them were kept or cut that no sync covers yet
    std::set<Partition*> truncated_;
    bool loss_ = false;  // one was found or accepted, or wanted: the journal as it is explains nothing any more
};

}  // namespace flowstone
