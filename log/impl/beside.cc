// Looking at a directory without being its writer (JOURNAL 7): takes no lock, writes nothing, and shows a prefix of
// what was acknowledged. A writer may be at work all the while, so nothing read is believed before the checkpoint has
// been looked at again: ring space that checkpoint n needs is reused only once checkpoint n + 2 is complete.
//
// A store that was opened so never changes. Following a writer means opening another one from time to time and going
// on there; readers and handles keep the store they look into alive.
#include <algorithm>

#include <fmt/format.h>

#include "log/impl/recovery.h"
#include "log/impl/store.h"
#include "storage/check.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int passed_max = 4;
constexpr int faults_max = 3;
constexpr int slot_attempts_max = 20;
constexpr int64_t refresh_interval_ns = 100'000'000;
constexpr int64_t refresh_share = 4;  // the time between two refreshes is at least this multiple of the last one's

// The first sequence that is missing though a later one is there, or is chained to another predecessor.
std::optional<size_t> gap_in(const JournalScan& scan, uint64_t first_sequence) {
    for (size_t i = 0; i < scan.commits.size(); ++i) {
        const CommitView& view = scan.commits[i].view;
        const bool chained = i == 0 || view.place.prior_sum == scan.commits[i - 1].view.sum;
        if (view.place.sequence != first_sequence + i || !chained) { return i; }
    }
    return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open_beside(const Environment& environment, const std::string& path,
                                                  const Options& options, const Tuning& tuning) {
    int passed = 0;
    int faults = 0;
    for (;;) {
        const int64_t begin = environment.clock->monotonic_ns();
        std::unique_ptr<Store> store(new Store(environment, path, options, tuning));
        Recovery recovery(*store, passed == passed_max);
        auto done = recovery.run();
        if (done) { done = recovery.check_not_passed(); }
        if (done) {
            store->beside_.looked_ns = environment.clock->monotonic_ns();
            store->beside_.open_ns = store->beside_.looked_ns - begin;
            return store;
        }
        if (!recovery.believed_a_checkpoint()) { return std::unexpected(done.error()); }
        // The writer may have moved on under our eyes: files come and go, the ring is reused. A fault that is there
        // again and again is one.
        if (const auto held = recovery.check_not_passed(); !held && held.error().code == Code::busy) {
            ++passed;
            continue;
        }
        const bool may_pass = done.error().code == Code::corrupt || done.error().code == Code::not_found;
        if (!may_pass || ++faults == faults_max) { return std::unexpected(done.error()); }
    }
}

// A slot may be read while it is written. The other one holds then, unless the writer was twice as fast.
Result<CheckpointRead> Recovery::read_slots() {
    for (int attempt = 1;; ++attempt) {
        TRY(auto slots, read_checkpoint(disk(), store_.path()));
        if (!store_.read_only() || slots.newest || !slots.any_slot || attempt == slot_attempts_max) { return slots; }
    }
}

Result<void> Recovery::check_not_passed() {
    if (without_rings_) { return {}; }
    TRY(const uint64_t now, claimed_checkpoint_number(disk(), store_.path()));
    if (now <= checkpoint_.number + 1) { return {}; }
    return fail(Code::busy, "log.open",
                fmt::format("checkpoint {} passed while the journal after {} was copied", now, checkpoint_.number));
}

// As open_rings, beside a writer: what it adds during the copy may be seen with a gap, and the part before it counts.
Result<void> Recovery::open_rings_beside() {
    if (without_rings_) {
        // The writer is too fast for us: what the checkpoint proves is the end.
        for (auto& [key, partition] : store_.persisted_) { partition.synced_bytes = partition.boundary; }
        store_.beside_.behind = true;
        return {};
    }
    TRY(const auto present, Journal::shards(disk(), store_.path()));
    for (const uint32_t shard : present) {
        auto opened = Journal::open(disk(), journal_options(shard));
        // A ring that is being made, or that a crash left half made: no checkpoint speaks of it.
        if (!opened && opened.error().code == Code::corrupt && !spoken_of(shard)) { continue; }
        TRY(auto journal, std::move(opened));
        const auto known = std::ranges::find(checkpoint_.rings, journal->ring(), &RingCheckpoint::ring);
        if (known == checkpoint_.rings.end()) { continue; }  // made since, or never used
        Ring ring{std::move(journal), *known, {}, known->first_sequence, 0};
        TRY(ring.scan, ring.journal->scan(store_.pool_, known->first_sequence));
        if (const auto gap = gap_in(ring.scan, known->first_sequence)) {
            // Either those before the gap were written after their place was read, or they are lost. Looking again
            // tells: of a chain that is whole, everything that the first look saw is there now.
            const uint64_t missing = known->first_sequence + *gap;
            TRY(ring.journal, Journal::open(disk(), journal_options(shard)));
            TRY(ring.scan, ring.journal->scan(store_.pool_, known->first_sequence));
            const auto again = gap_in(ring.scan, known->first_sequence);
            const bool damaged = again && known->first_sequence + *again <= missing;
            if (damaged) { TRY_VOID(check_chain(ring)); }
            if (again && !damaged) { ring.scan.commits.resize(*again); }
            store_.beside_.behind = again && !damaged;
        }
        if (checkpoint_.clean) { ring.scan.commits.clear(); }
        rings_.push_back(std::move(ring));
    }
    for (const RingCheckpoint& ring : checkpoint_.rings) {
        const bool found =
            std::ranges::find(rings_, ring.ring, [](const Ring& r) { return r.known.ring; }) != rings_.end();
        if (!found && !checkpoint_.clean) {
            return fail(Code::corrupt, "log.open",
                        fmt::format("journal {} of {} is missing", ring.shard, store_.path()));
        }
    }
    return {};
}

// Keeps what tells later whether the writer went on.
void Recovery::leave_rings_to_followers() {
    store_.beside_.checkpoint = checkpoint_.number;
    for (Ring& ring : rings_) { store_.beside_.rings.push_back(std::move(ring.journal)); }
}

// --- following -----------------------------------------------------------------------------------------------------------------

// Whether the directory may hold more than this store shows. Cheap; errs on the side of yes.
bool Store::went_on() {
    if (beside_.behind) { return true; }
    const auto number = claimed_checkpoint_number(disk(), path());
    if (!number || *number != beside_.checkpoint) { return true; }
    for (auto& journal : beside_.rings) {
        const auto more = journal->went_on(pool_);
        if (!more || *more) { return true; }
    }
    // Topics below `durable` leave no trace in the journal.
    for (const auto& partition : partitions_) {
        if (partition->durability() == Durability::durable) { continue; }
        const OpenSegment& active = partition->active();
        const auto info =
            disk().info(join_path(partition->identity().directory, segment_file_name(active.base, SegmentFile::log)));
        const uint64_t seen = partition->closed().at - active.begin;
        if (info ? info->bytes > seen : seen > 0) { return true; }
    }
    return false;
}

std::shared_ptr<Store> Store::newest(bool at_once) {
    if (!read_only()) { return nullptr; }
    std::lock_guard guard(beside_.lock);
    Store& shown = beside_.newest ? *beside_.newest : *this;
    const int64_t now = clock().monotonic_ns();
    const int64_t pause = std::max(refresh_interval_ns, refresh_share * shown.beside_.open_ns);
    if (!at_once && now - shown.beside_.looked_ns < pause) { return beside_.newest; }
    shown.beside_.looked_ns = now;
    if (!at_once && !shown.went_on()) { return beside_.newest; }
    auto opened = open_beside({&disk(), &clock(), &random_}, path(), options(), {});
    // What cannot be read now may be whole again soon (a writer that is just opening): what is shown stays right.
    if (opened) {
        beside_.newest = std::move(*opened);
    } else {
        log(fmt::format("{}; going on with what was read before", opened.error().message()));
    }
    return beside_.newest;
}

}  // namespace flowstone
