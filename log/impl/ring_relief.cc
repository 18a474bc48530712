// Room in the ring of the journal: it grows while it may, and then a checkpoint gives back what it need not hold.
#include <algorithm>

#include "log/impl/store.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// Whose files whoever commits has synced, some 2 ms, and 8 once the ring is nearly full.
constexpr size_t partitions_a_commit = 4;
constexpr size_t partitions_in_haste = 16;

}  // namespace

Result<void> Store::relieve_ring(Shard& shard, bool must) {
    if (!must && engine_.options.threads > 0) {
        relief_due_ = true;
        wake_filler();
        return {};
    }
    return relieve_now(shard, must);
}

// The ring is half full, or full: it grows while it may, and a checkpoint gives back what is not needed. Much that went past
// it asks for a checkpoint alone.
Result<void> Store::relieve_now(Shard& shard, bool must) {
    if (ring_wants_room(shard, must) ? grew_ring(shard, must) : !checkpoint_due(shard)) { return {}; }
    std::unique_lock one(checkpoint_lock_, std::defer_lock);
    if (must) {
        one.lock();
    } else if (!one.try_lock()) {
        return {};  // somebody is at it
    }
    if (!ring_wants_room(shard, must) && !checkpoint_due(shard)) { return {}; }
    const bool in_pieces = !must && engine_.options.threads == 0;
    return in_pieces ? checkpoint_some(shard) : checkpoint_locked({.exact = must});
}

// As much of a checkpoint as is due: it ends when commits have taken half of the room that there was when it began. But a
// commit takes along what others appended, and whoever waits for it does not pay for all of that at once.
Result<void> Store::checkpoint_some(Shard& shard) {
    const auto advance = [&]() -> Result<void> {
        if (!pass_) { TRY(pass_, begin_checkpoint({})); }
        CheckpointPass& pass = *pass_;
        uint64_t committed = 0;
        bool urgent = false;
        {
            Guard guard(shard.lock());
            const Journal& journal = shard.journal();
            committed = shard.checkpoint_work() - pass.begun_at[shard.number()];
            urgent = journal.bytes_used() > journal.bytes() / 8 * 7;
        }
        const uint64_t room = pass.room[shard.number()];
        const size_t due = pass.partitions.size() * std::min(committed, room) / room;
        TRY_VOID(go_on(pass, std::min(due, pass.looked + (urgent ? partitions_in_haste : partitions_a_commit))));
        if (pass.looked < pass.partitions.size()) { return {}; }
        TRY_VOID(end_checkpoint(pass));
        pass_.reset();
        return {};
    };
    auto done = advance();
    const bool no_room = !done && done.error().code == Code::busy;  // for the fragments
    if (no_room) { return checkpoint_locked({.exact = true}); }
    if (!done) { pass_.reset(); }
    note_loss(done);
    return done;
}

bool Store::checkpoint_due(Shard& shard) {
    Guard guard(shard.lock());
    return shard.checkpoint_due();
}

bool Store::ring_wants_room(Shard& shard, bool must) {
    Guard guard(shard.lock());
    const Journal& journal = shard.journal();
    return must ? journal.bytes_used() >= journal.bytes() : journal.bytes_used() * 2 > journal.bytes();
}

// Whether the ring needs no checkpoint for now: it is large enough, or grows. Beside a checkpoint, which may take long.
bool Store::grew_ring(Shard& shard, bool must) {
    std::unique_lock one(growth_lock_, std::defer_lock);
    if (must) {
        one.lock();
    } else if (!one.try_lock()) {
        return true;  // somebody is at it
    }
    if (!ring_wants_room(shard, must)) { return true; }
    if (closed_ || !shard.journal().can_grow()) { return false; }
    const auto grown = grow_ring(shard, must);
    if (!grown) { log(grown.error().message()); }  // the ring as it is must do
    return grown.has_value();
}

// A piece at a time, unless the ring is full: whoever commits waits for no more than a commit takes.
Result<void> Store::grow_ring(Shard& shard, bool must) {
    Journal& journal = shard.journal();
    uint64_t bytes = UINT64_MAX;
    if (!must) {
        Guard guard(shard.lock());
        bytes = journal.growth_due();
    }
    if (bytes == 0) { return {}; }
    TRY(const bool whole, journal.grow(pool_, bytes));
    if (!whole) { return {}; }
    Guard guard(shard.lock());
    journal.join();
    return {};
}

}  // namespace flowstone
