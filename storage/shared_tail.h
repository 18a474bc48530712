// The most recent batches of a log in memory that other processes of the machine map, to read them without asking anybody.
//
//   page 0          head: what this is, whose, how large; the word that moves with each publication
//   page 1          bell: the one page that readers write, before they sleep
//   pages 2..n+1    one for each partition that was published: its end, and where its last runs of batches lie in the ring
//   behind them     the ring: bytes of all partitions in the order of their publication
//
// Nobody ever waits for a reader: it copies, then looks whether what it copied was still there (a sequence lock for a page,
// a floor for the ring), and goes elsewhere for what is gone. Nobody waits for a writer either: one that dies inside leaves
// an odd sequence, which a reader takes for `stalled` after 10 ms. Format page: docs/formats/shared-tail.md.
//
// All that is shared is in atomics of which each side knows the order; what a reader finds is bounded before it is believed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/bytes.h"
#include "storage/clock.h"
#include "storage/lock.h"

namespace flowstone {

constexpr size_t shared_page_bytes = 4096;
constexpr uint64_t shared_tail_bytes_min = 64u << 10;
constexpr size_t shared_run_bytes = 256u << 10;  // batches of one partition are joined up to it

// Of the memory that a log directory of that id shares.
std::string shared_tail_name(const Uuid& directory);

struct SharedHead {
    enum State : uint32_t { making = 0, live = 1, closed = 2 };
    std::array<char, 8> magic;
    uint32_t version;
    uint32_t pages;
    uint64_t ring_bytes;
    Uuid log;  // the directory's id
    alignas(64) std::atomic<uint32_t> state;
    alignas(64) std::atomic<uint32_t> moved;  // another after each publication: what readers sleep on
    alignas(64) std::atomic<uint64_t> floor;  // what the ring had before it is gone, or going
};
static_assert(sizeof(SharedHead) <= shared_page_bytes);

struct SharedBell {
    std::atomic<uint32_t> sleepers;  // not 0: somebody may sleep
};

struct SharedRun {
    std::atomic<int64_t> base;  // offset of its first record
    std::atomic<int64_t> next;  // of the record behind it
    std::atomic<uint64_t> at;   // in the ring, counted from its first publication
    std::atomic<uint64_t> bytes;
};

struct SharedPage {
    std::atomic<uint32_t> sequence;  // odd while the rest changes
    std::atomic<int32_t> partition;
    std::array<std::atomic<uint64_t>, 2> topic;  // its id; zeros: nobody's page
    std::atomic<int64_t> log_start;
    std::atomic<int64_t> end;    // readers see up to here, exclusive
    std::atomic<uint64_t> runs;  // so far; the last ones are kept
    static constexpr size_t runs_kept = 126;
    std::array<SharedRun, runs_kept> run;
};
static_assert(sizeof(SharedPage) <= shared_page_bytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

// Threads: any; each call takes a lock of this process for the time of a copy.
class SharedTailWriter {
public:
    // `memory`: zeros, page aligned, at least shared_tail_bytes_min; borrowed. An eighth of it is for pages.
    SharedTailWriter(MutableBytes memory, const Uuid& log);

    using Page = uint32_t;
    // None: every page is taken. A partition has one page at most.
    std::optional<Page> add(const Uuid& topic, int32_t partition, Offset log_start, Offset end);
    // Whole batches, back to back, of records [base, next), where the page ended. More than a quarter of the ring is not
    // kept: readers find its end and get it elsewhere.
    void publish(Page page, Bytes batches, Offset base, Offset next);
    void set_end(Page page, Offset end);  // what lies before it is elsewhere
    void set_log_start(Page page, Offset log_start);
    void remove(Page page);  // to be used for another partition
    // Wakes those who sleep. After publish(), once for as many as there were.
    void ring_the_bell();
    // Whether somebody may sleep. Who falls asleep just now is seen by the next look, or not: whoever has published rings.
    bool awaited() const { return bell_.sleepers.load(std::memory_order_relaxed) != 0; }
    // Of batches that are published together.
    size_t run_bytes_max() const { return run_bytes_max_; }
    void close();

private:
    void put(Bytes bytes);

    SharedHead& head_;
    SharedBell& bell_;
    SharedPage* pages_;
    std::atomic<uint64_t>* ring_;
    uint64_t ring_bytes_;
    size_t run_bytes_max_;
    uint32_t page_count_;
    Lock lock_;         // guards the rest, and all that is written
    uint64_t end_ = 0;  // of the ring, counted from its first publication
    std::vector<Page> free_;
};

// One thread.
class SharedTailReader {
public:
    // `memory`: mapped, as the writer made it, borrowed. `bell`: of its second page, writable; null: this process may not.
    // Errors: unsupported (another version), corrupt (no tail, or of another size), busy (it is being made just now).
    static Result<SharedTailReader> over(Bytes memory, SharedBell* bell, Clock& clock);

    const Uuid& log() const { return head_->log; }
    bool closed() const { return head_->state.load(std::memory_order_acquire) != SharedHead::live; }

    // The partition's, while it has one.
    std::optional<uint32_t> page_of(const Uuid& topic, int32_t partition) const;
    enum class Found : uint8_t {
        batches,    // what follows `from`, beginning with the batch that holds it
        end,        // nothing is behind `from`
        elsewhere,  // older or newer than what is here, trimmed away, or the page is another partition's by now
        stalled,    // the writer stands in the middle of it
    };
    struct Copy {
        std::vector<uint64_t> memory;  // used again
        Bytes batches;                 // in it
        Offset end;                    // the partition's
    };
    // Where a copy ended is where the next one of that place begins; `Place` remembers it.
    struct Place {
        uint32_t page = 0;
        Offset offset;
        uint64_t at = 0;
    };
    Found read(Place& place, const Uuid& topic, int32_t partition, Offset from, Copy& into) const;

    // To sleep: ticket(), announce(), look once more, and sleep while word() holds the ticket.
    uint32_t ticket() const { return head_->moved.load(std::memory_order_acquire); }
    const std::atomic<uint32_t>& word() const { return head_->moved; }
    bool announce() const;  // false: nobody will ring, sleep a moment only

private:
    SharedTailReader(Bytes memory, SharedBell* bell, Clock& clock);
    struct Run {
        Offset base, next, end, log_start;
        uint64_t at, bytes;
        bool known = false;  // a run that holds the offset
    };
    enum class Look : uint8_t { seen, other, stalled };
    Look look(uint32_t page, const Uuid& topic, int32_t partition, Offset from, Run& run) const;
    bool copy(uint64_t at, uint64_t bytes, Copy& into) const;

    const SharedHead* head_;
    SharedBell* bell_;
    const SharedPage* pages_;
    const std::atomic<uint64_t>* ring_;
    uint64_t ring_bytes_;
    uint32_t page_count_;
    Clock* clock_;
};

}  // namespace flowstone
