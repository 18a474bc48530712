// One cleaning of one compacted partition: the driver of log/compaction.h.
//
// Closed segments are read, what survives is written to one file beside them, and that file takes the place of one or
// several of them. Per new segment:
//
//   1. <base>.log.<token>.cleaned and <base>.seal.<token>.cleaned are written and synced, their names too
//   2. a journal entry (EntryKind::swap) names the token and the segments: from here on the swap has happened
//   3. the files are renamed over the old ones; those of the other segments are removed
//
// A crash before 2 leaves files that maintenance removes; after 2, replay does 3 again. The journal keeps the entry
// until 3 is synced. Offsets never change, so a reader goes on by offset in the new file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "log/compaction.h"
#include "log/impl/store.h"
#include "storage/segment_files.h"

namespace flowstone {

constexpr size_t segments_per_swap_max = 1000;
constexpr size_t clean_write_bytes = 1u << 20;
constexpr size_t key_map_bytes_max = 64u << 20;

// What the journal entry says, as one line of text: "1 <16 hex> <new base, also the first old> <other old bases>...".
struct SegmentSwap {
    std::string token;  // names the files: a file of a swap that never happened is none of this one's
    std::vector<Offset> bases;

    std::string to_text() const;
    static Result<SegmentSwap> parse(std::string_view text);  // Errors: corrupt.

    std::string cleaned_name(SegmentFile kind) const;
};
// Brings the files to where the entry says they are, from any state that a crash may leave. Durable when it returns.
Result<void> finish_swap(Disk& disk, const std::string& directory, const SegmentSwap& swap);

class Compactor {
public:
    // Requires Store::maintain_lock_, and that time is believed: tombstones pass their horizon by `now_ms`.
    Compactor(Store& store, Partition& partition, std::shared_ptr<const TopicConfig> config, int64_t now_ms);

    // Cleans when it is due. What is damaged is left as it is, and said.
    Result<void> run();

private:
    struct Output;

    Result<bool> plan();
    Result<bool> note_all_keys(KeyMap& map);
    Result<void> clean_segments(const KeyMap& map);
    Result<void> clean_segment(const ClosedSegment& segment, const KeyMap& map, const CleanRules& rules,
                               Output& output);
    bool is_producers_last(BatchView batch);
    Result<void> begin_output(const ClosedSegment& first, Output& output);
    Result<void> write(Output& output, Bytes bytes);
    Result<void> write_out(Output& output);
    Result<void> finish_output(Output& output);
    Result<void> seal_output(Output& output);
    Result<void> swap(Output& output);
    void discard(Output& output);
    Error damaged(const ClosedSegment& segment, const char* what) const;

    Store& store_;
    Partition& partition_;
    std::shared_ptr<const TopicConfig> config_;
    int64_t now_ms_;
    CleanPlan plan_;
    std::vector<ClosedSegment> segments_;  // to be cleaned
    int64_t horizon_ms_ = -1;              // the earliest that a kept tombstone waits for
    std::vector<std::byte> scratch_;
    std::vector<std::byte> rewritten_;
};

}  // namespace flowstone
