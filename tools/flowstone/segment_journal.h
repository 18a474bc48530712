// What the commands of `flowstone segment` do with a data directory's journal and checkpoint slots.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "storage/journal_verify.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/record_output.h"
#include "tools/flowstone/segment_output.h"

namespace flowstone::tool {

// Names of topic ids: of the directories' partition.metadata, and of the metadata log as far as it can be read, in its
// segments and in the journal.
class TopicNames {
public:
    static TopicNames load(Disk& disk, const std::string& root, JournalSurvey& survey);

    // Empty where nothing knows it.
    std::string find(const Uuid& id) const;
    std::string label(const Uuid& id, int32_t partition) const;  // "payments-3", or the id in place of the name

private:
    std::map<Uuid, std::string> names_;
};

// Tables of ring files and slots; with --json lines instead.
class JournalStat {
public:
    Result<void> add(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target, std::string& out);
    void append_to(std::string& out, bool first) const;  // the tables that have rows

private:
    Columns files_{{{"journal"},
                    {"commits", true},
                    {"first", true},
                    {"last", true},
                    {"generation", true},
                    {"needed", true},
                    {"used", true},
                    {"bytes", true},
                    {"state"}}};
    Columns slots_{{{"checkpoint"},
                    {"number", true},
                    {"generation", true},
                    {"partitions", true},
                    {"bytes", true},
                    {"journal from"},
                    {"state"}}};
    bool any_file_ = false;
    bool any_slot_ = false;
};

// Slots and commits: the needed ones of a directory, all of a file that was named.
Result<void> dump_journal(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target,
                          StandardOutput& out, bool& clean);

using JournalFaultNamer = std::function<void(const JournalFault& fault, const TopicNames& names)>;
Result<JournalCounts> verify_journal(Disk& disk, const SegmentTarget& target, const JournalReader::Progress& progress,
                                     const JournalFaultNamer& sink);
void append_fault_json(std::string& out, const JournalFault& fault, const TopicNames& names);
void append_fault_text(std::string& out, const JournalFault& fault, const TopicNames& names);

// A whole batch in the journal that replay would need. Return false to stop.
struct JournaledBatch {
    const std::string& path;
    BytePos at;  // of the commit
    RecordPlace place;
    const BatchView& batch;
};
Result<void> walk_journaled_batches(Disk& disk, const SegmentTarget& target,
                                    const std::function<Result<bool>(const JournaledBatch&)>& take);

// Checkpoints of data directories, each read once.
class Checkpoints {
public:
    explicit Checkpoints(Disk& disk) : disk_(disk) {}
    // Says in `options` what is proven of this partition; nothing where its root has no checkpoint.
    void apply(const SegmentTarget& target, VerifyOptions& options);

private:
    Disk& disk_;
    std::map<std::string, std::optional<Checkpoint>> known_;  // by root
};

}  // namespace flowstone::tool
