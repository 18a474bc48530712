// The journal and the checkpoint slots of a data directory, read for people and for proof: every commit there is,
// whether they follow one another, and what does not hold. Reads only; used offline by `flowstone segment`.
//
// Memory is one extent (4 MiB) and 56 bytes for each commit, of which a block is the least: 14 MiB for a ring of 1 GiB.
// A writer may be at work beside: survey_journal() begins again when a checkpoint passed it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/buffer.h"
#include "storage/checkpoint.h"
#include "storage/disk.h"
#include "storage/journal_format.h"
#include "storage/segment_verify.h"

namespace flowstone {

// A commit without its content.
struct JournalCommit {
    uint64_t sequence = 0;
    uint64_t sum = 0;
    uint64_t prior_sum = 0;
    BytePos at{0};       // in the file; a block
    uint32_t file = 0;   // index in JournalReader::files()
    uint32_t bytes = 0;  // whole blocks
    uint32_t generation = 0;
    uint32_t entries = 0;
    bool holds = true;  // else nothing above but the place is to be believed
    BytePos end() const { return at + bytes; }
};

struct JournalFile {
    std::string path;
    uint32_t number = 0;
    uint64_t bytes = 0;
    uint32_t block_bytes = 0;
    std::unique_ptr<File> file;
    std::string fault;        // why no commit of it can be read; empty when they can
    bool unfinished = false;  // all zeros so far: it was being added when the power went
};

// One ring. Borrows the disk. Not safe from several threads.
class JournalReader {
public:
    using Progress = std::function<void(uint64_t bytes)>;
    // `view` points into the reader's memory until the visit ends. Return false to stop.
    using Visit = std::function<Result<bool>(const JournalCommit& commit, const CommitView& view)>;

    // Reads the whole ring once. A file that does not hold is named in files(), not an error.
    // Errors: not_found (no file of this shard), those of Disk.
    static Result<std::unique_ptr<JournalReader>> open(Disk& disk, const std::string& directory, uint32_t shard,
                                                       const Progress& progress = {});

    const Uuid& ring() const { return ring_; }
    uint32_t shard() const { return shard_; }
    const std::vector<JournalFile>& files() const { return files_; }
    const std::vector<JournalCommit>& commits() const { return commits_; }  // by file and place, the broken ones too
    const JournalFile& file_of(const JournalCommit& commit) const { return files_[commit.file]; }
    // Those that hold, from `first_sequence` on, ascending; of two with one sequence the later generation's.
    std::vector<JournalCommit> chain(uint64_t first_sequence) const;

    // Reads them again, one by one. One that a writer has replaced meanwhile is left out. Errors: io.
    Result<void> visit(std::span<const JournalCommit> commits, const Visit& visit);
    // Why this commit does not hold, as a phrase. Errors: io.
    Result<std::string> explain(const JournalCommit& commit);

private:
    JournalReader(Disk& disk, uint32_t shard) : disk_(disk), shard_(shard) {}
    Result<void> open_file(const std::string& path, uint32_t number);
    Result<void> scan_extent(uint32_t file, uint64_t begin);
    Result<Bytes> load(const JournalFile& file, uint64_t begin, uint64_t end);

    Disk& disk_;
    uint32_t shard_;
    Uuid ring_;
    std::vector<JournalFile> files_;
    std::vector<JournalCommit> commits_;
    BufferPool pool_;  // before buffer_, which goes back to it
    BufferRef buffer_;
};

struct CheckpointSlot {
    std::string path;
    uint64_t bytes = 0;
    std::optional<Checkpoint> content;
    std::string fault;  // why it does not hold; empty when it does, or when it was never written
};
// Those that exist. Errors: those of Disk.
Result<std::vector<CheckpointSlot>> read_checkpoint_slots(Disk& disk, const std::string& directory);
const Checkpoint* newest_checkpoint(std::span<const CheckpointSlot> slots);  // null when none holds

// All of it, of one moment.
struct JournalSurvey {
    std::vector<CheckpointSlot> slots;
    std::vector<std::unique_ptr<JournalReader>> rings;

    const Checkpoint* checkpoint() const { return newest_checkpoint(slots); }
    // From where on the commits of a ring are needed: 1 without a checkpoint, empty when none is.
    std::optional<uint64_t> needed_from(const JournalReader& ring) const;
};
Result<JournalSurvey> survey_journal(Disk& disk, const std::string& directory,
                                     const JournalReader::Progress& progress = {});
// Whether there is anything of it in this directory.
bool has_journal(Disk& disk, const std::string& directory);

struct JournalFault {
    std::string path;
    // Frozen words: slot_damaged, ring_missing, ring_unknown, ring_file, commit_damaged, commit_missing, commit_order.
    const char* what = "";
    bool doubtful = false;  // may be what a crash left behind, which is no fault
    BytePos begin;          // -1: of the whole file
    BytePos end;
    uint64_t sequence_begin = 0;  // 0: of no commit
    uint64_t sequence_end = 0;
    std::vector<EntryPlace> held;  // what the last commit of a gap held, as the one behind it tells
    std::string detail;            // a phrase for people; may be empty
};
using JournalFaultSink = std::function<void(const JournalFault&)>;

struct JournalCounts {
    uint64_t slots = 0;  // that hold
    uint64_t files = 0;
    uint64_t commits = 0;  // needed ones
    uint64_t bytes = 0;    // of all files
    uint64_t faults = 0;
    uint64_t doubts = 0;
    JournalCounts& operator+=(const JournalCounts& other);
};
// Errors: io.
Result<JournalCounts> verify_journal(const JournalSurvey& survey, const JournalFaultSink& sink);

// What the checkpoint proves of a partition, as verify_partition() asks for it.
void apply_checkpoint(const Checkpoint& checkpoint, const Uuid& topic_id, int32_t partition, VerifyOptions& options);

}  // namespace flowstone
