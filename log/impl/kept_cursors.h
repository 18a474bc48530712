// Cursors that wait for whoever reads on from where they stand.
//
// A consumer that catches up asks piece by piece. Without these each piece would begin with a look into an index, and the
// file would not be read ahead. Bounded: the one that waits longest goes. Safe from any thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "log/impl/cursor.h"

namespace flowstone {

constexpr size_t kept_cursors_max = 16;  // each with up to two buffers of cold_buffer_bytes

class KeptCursors {
public:
    // One that stands at the batch that holds `next`, or null.
    std::unique_ptr<Cursor> take(const Partition& partition, Offset next) {
        const std::lock_guard guard(lock_);
        for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
            if (kept->partition != &partition || kept->next != next) { continue; }
            auto cursor = std::move(kept->cursor);
            kept_.erase(kept);
            return cursor;
        }
        return nullptr;
    }
    void keep(const Partition& partition, Offset next, std::unique_ptr<Cursor> cursor) {
        Kept oldest;  // destroyed without the lock: it may have to wait for the disk
        const std::lock_guard guard(lock_);
        kept_.push_back({&partition, next, std::move(cursor)});
        if (kept_.size() <= kept_cursors_max) { return; }
        oldest = std::move(kept_.front());
        kept_.pop_front();
    }

private:
    struct Kept {
        const Partition* partition = nullptr;
        Offset next{0};
        std::unique_ptr<Cursor> cursor;
    };
    std::mutex lock_;
    std::deque<Kept> kept_;  // oldest first
};

}  // namespace flowstone
