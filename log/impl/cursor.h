// Walks a partition's batches forwards: from the chunks in memory where it can, else from the segment files.
//
// A place is a segment and a position in its file, which stays right when a segment is finished or its chunks go. The
// view it returns pins one buffer: a chunk, or the cursor's own read buffer. Who reads on in a file has the next piece of
// it read meanwhile, into a second buffer. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/impl/epoch_check.h"
#include "log/impl/partition.h"
#include "log/impl/store.h"
#include "storage/batch.h"

namespace flowstone {

constexpr uint64_t cold_buffer_bytes = 1u << 20;
constexpr uint64_t cold_headroom_bytes = 256u
                                         << 10;  // in front of a piece, for a batch that began in the one before it
constexpr uint64_t cold_read_bytes = cold_buffer_bytes - cold_headroom_bytes;
// While the directory commits, whose writes would wait in the device behind large reads: less at a time, none ahead.
constexpr uint64_t cold_read_beside_bytes = 64u << 10;
constexpr int64_t commits_go_on_ns = 20'000'000;  // since the last one

class Cursor {
public:
    // Stands at no place until a seek.
    Cursor(Store& store, Partition& partition) : store_(store), partition_(partition), epochs_(partition) {}

    // To the batch that holds `offset`; offset == high watermark stands at the end. Errors: out_of_range, corrupt, io.
    Result<void> seek(Offset offset);
    // To the first record at or after the time; to the end if there is none.
    struct TimePlace {
        Offset offset;
        std::optional<int64_t> timestamp_ms;  // of that record; none at the end
    };
    Result<TimePlace> seek_time(int64_t timestamp_ms);

    // The next batch below the high watermark; empty at the end. Its place, checksum and leader epoch have been checked.
    // Errors: corrupt, out_of_range (trimmed or truncated away, until the next seek), not_found (topic deleted), io, offline
    // (a file may lack what it had).
    Result<std::optional<BatchView>> next();
    const BufferRef& pin() const { return pin_; }        // what keeps the batch that next() returned last
    Offset next_offset() const { return next_offset_; }  // base offset that the next batch must reach or pass
    // To before the batch that next() returned last, as if it had not. Once after each.
    void step_back();
    // The log was truncated since the last seek, perhaps below where this stands.
    bool outdated() const;

private:
    struct Place {
        Offset segment_base{0};
        uint64_t at = 0;       // in its file
        uint32_t version = 0;  // of its content: a compacted segment is another file under the same name
        bool known = false;    // next_offset_ is where the batch before this place ended
    };
    // moved: the place is in no file any more, the offset is. swapping: files are being replaced just now. gap: the file
    // ends before the offsets of its segment do.
    enum class Step : uint8_t { batch, end, again, cold, moved, swapping, gap };
    Result<void> still_there();
    Result<void> note_truncations();
    Result<Step> look(Bytes& batch, std::shared_ptr<File>& file, uint64_t& file_end);
    void take_buffer(Offset base, uint64_t end, uint64_t whole);
    Result<void> load_cold(File& file, uint64_t file_end);
    void read_ahead(const std::shared_ptr<File>& file);
    bool beside_commits() const;
    bool continue_ahead();
    std::optional<Result<BatchView>> buffered();
    Result<BatchView> accept(BatchView batch, EpochCheck* epochs);
    bool belongs_here(BatchView batch) const;
    Result<void> walk_to(Offset offset);
    Result<bool> index_position(Offset offset, Place& place);
    bool file_replaced();
    Result<void> look_at_gap();
    Result<void> begin_again();
    std::unexpected<Error> damaged(uint64_t at, std::string_view what) const;

    Store& store_;
    Partition& partition_;
    EpochCheck epochs_;
    Place place_;
    Offset next_offset_{0};
    Place place_before_;  // and what they were in front of the last batch
    Offset next_offset_before_{0};
    Offset wanted_offset_{0};  // of the last seek: what lies before it in its batch is nobody's wish
    uint32_t swap_seen_ = 0;   // swap_word when the place was looked up
    size_t truncations_seen_ = 0;
    Offset gap_base_{-1};  // the segment whose offsets rightly go on behind its records
    BufferRef pin_;

    // Bytes [buffer_at_, buffer_end_) of the file of place_.segment_base, in buffer_.
    BufferRef buffer_;
    uint64_t buffer_skip_ = 0;  // bytes in front of buffer_at_ that alignment asked for
    uint64_t buffer_at_ = 0;
    uint64_t buffer_end_ = 0;
    Offset buffer_base_{-1};
    uint64_t file_bytes_ = 0;  // of that file, as far as it is whole
    uint64_t wanted_ = 0;      // a batch larger than the buffer
    uint32_t loads_ = 0;       // since the last seek

    // The bytes of the same file behind the buffer: [buffer_end_, end).
    struct Ahead {
        std::shared_ptr<File> file;
        BufferRef buffer;
        uint64_t end;
        std::unique_ptr<BackgroundRead> read;
    };
    std::optional<Ahead> ahead_;
    void forget_buffer() {
        buffer_base_ = Offset{-1};
        ahead_.reset();
    }
};

}  // namespace flowstone
