// The bytes of one simulated file: what processes see, what is durable, and every version in between.
// Copied cheaply (pages are shared and never changed) and resolved by a crash. No names, no locks, no time: sim_disk.cc.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "storage/bytes.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

constexpr uint64_t sim_sector_bytes = 512;
constexpr uint64_t sim_page_bytes = 4096;
constexpr uint64_t sim_sectors_per_page = sim_page_bytes / sim_sector_bytes;

// One crash, decided: which of the versions of something survives. Made once per crash from Crash and its seed.
class CrashDecision {
public:
    // `unsynced` are the operations that left anything undone, ascending.
    CrashDecision(const Crash& crash, const std::vector<uint64_t>& unsynced);

    // Which of `operations` (ascending) is the last to survive: an index, or -1 for what was durable before them.
    int64_t pick(std::span<const uint64_t> operations);
    bool survives(uint64_t operation);
    bool noise();  // whether this sector, being in flight, holds noise
    void fill_noise(MutableBytes sector);

private:
    Crash::Keep keep_;
    uint64_t prefix_;
    uint64_t survive_of_8_ = 4;  // with seeded: chance to survive, in eighths
    uint64_t noise_of_64_ = 0;
    SimRandom random_;
};

class SimPages {
public:
    uint64_t size() const { return size_; }
    // Pages that take room on the disk.
    uint64_t pages() const { return pages_; }
    // Pages that a write of [at, at + bytes) would add.
    uint64_t pages_added(uint64_t at, uint64_t bytes) const;

    // From the cache; `durable` reads what is on the device instead wherever the cache is clean (O_DIRECT).
    void read(uint64_t at, MutableBytes into, bool durable) const;
    // Touches only the cache; `operation` names the write. `only` limits it to some sectors (a failed write): null for all.
    void write(uint64_t at, Bytes from, uint64_t operation, bool buffered, SimRandom* only = nullptr);
    void truncate(uint64_t bytes, uint64_t operation);
    // Reserves pages; the caller has counted them.
    void reserve(uint64_t begin, uint64_t end);

    void sync();
    void sync_range(uint64_t at, uint64_t bytes);  // write_durable
    void fail_sync(SimRandom& random);
    void drop_cache();

    void collect_unsynced(std::set<uint64_t>& into) const;
    // True when a crash could change anything.
    bool clean() const { return !dirty_; }
    void crash(CrashDecision& decision);

private:
    using Page = std::array<std::byte, sim_page_bytes>;
    using PagePtr = std::shared_ptr<const Page>;  // null: zeros
    struct Version {
        uint64_t operation;
        PagePtr page;
        uint8_t sectors;  // one bit each: which of them this operation wrote
        bool cut;         // by a truncation: zeros that hide what came before, if the truncation survives
        bool buffered;
    };
    struct Slot {
        PagePtr durable;
        PagePtr cached;
        std::vector<Version> versions;  // unsynced, in order
        uint8_t dirty = 0;              // sectors that the next sync writes
        bool reserved = false;
        bool reserved_durable = false;
        bool takes_room() const { return reserved || cached != nullptr; }
        bool settled() const {
            return versions.empty() && dirty == 0 && cached == durable && reserved == reserved_durable;
        }
    };
    static constexpr uint64_t slots_per_chunk = 64;
    struct Chunk {
        std::array<Slot, slots_per_chunk> slots;
        bool dirty = false;  // Invariant: false only when every slot is settled
    };
    struct SizeChange {
        uint64_t operation;
        uint64_t bytes;
        bool cut;
    };

    const Slot* find(uint64_t page) const;
    Slot& touch(uint64_t page);  // its own copy, marked dirty
    template <class Visit>
    void each_dirty(Visit visit);  // visit(slot, page number); clears flags that are no longer true
    void change_size(uint64_t bytes, uint64_t operation, bool cut);
    void commit_sizes();
    static void add_version(Slot& slot, Version version);
    static void make_durable(Slot& slot, uint8_t sectors);
    static PagePtr merge(const PagePtr& under, const PagePtr& over, uint8_t sectors);
    static void crash_slot(Slot& slot, CrashDecision& decision, uint64_t cuts_below);

    std::vector<std::shared_ptr<Chunk>> chunks_;  // null: nothing there
    uint64_t size_ = 0;
    uint64_t durable_size_ = 0;
    std::vector<SizeChange> sizes_;  // unsynced, in order
    uint64_t pages_ = 0;
    bool dirty_ = false;
};

}  // namespace flowstone
