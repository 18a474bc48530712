// The log as a broker serves it: stored batches in and out, topics by id, and one notice when anything that is watched
// has moved, so that one thread can wait for many partitions.
//
//   auto place = served.partition(*served.topic("transactions.raw"), 0);
//   auto appended = served.append(*place, batch);              // copied, not yet acknowledged
//   served.watch(*place);                                      // then look, then sleep until the notice
//   if (served.ends(*place).high_watermark >= appended->next_offset) { answer(); }
//
// Nothing here is re-encoded: what a producer sent is what a consumer gets, but for base offset and epoch, and where the
// topic's config asks for another codec or the log's own time.
//
// It may be a log in several directories, each of which fails alone: then what is said of failures holds for one of them.
//
// Threads: safe from any number of threads. What is returned stays valid while the Log lives, also after a topic was
// deleted: calls then answer not_found. Must not outlive its Log.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/topic_config.h"
#include "storage/buffer.h"
#include "storage/bytes.h"
#include "storage/lock.h"
#include "storage/meta_files.h"
#include "storage/producer_snapshot.h"
#include "storage/transaction_index.h"

namespace flowstone {

class Directories;
class KeptCursors;
class LogDirectories;
class Partition;
class Store;
struct TopicTable;

// A topic by name or id. Copies are cheap.
class ServedTopic {
public:
    const std::string& name() const;
    const Uuid& id() const;
    int32_t partitions() const;
    bool internal() const;

private:
    friend class ServedLog;
    explicit ServedTopic(std::shared_ptr<TopicTable> table) : table_(std::move(table)) {}
    std::shared_ptr<TopicTable> table_;  // owners: the log's table of topics, and each of these
};

// A partition, resolved once. A plain value, which may be a key.
class ServedPartition {
public:
    ServedPartition() = default;
    friend auto operator<=>(const ServedPartition&, const ServedPartition&) = default;
    const void* token() const { return partition_; }

private:
    friend class ServedLog;
    explicit ServedPartition(Partition* partition) : partition_(partition) {}
    Partition* partition_ = nullptr;
};

struct AppendedBatch {
    Offset base_offset;
    Offset next_offset;               // acknowledged once the high watermark has reached it
    int64_t log_append_time_ms = -1;  // -1: records keep their producer's time
    Offset log_start;
    bool duplicate = false;  // was there already; these are its first places
};

// A record for which its batch is not taken.
struct RefusedRecord {
    int32_t index = 0;  // in the batch
    Error error;        // invalid: it has no key; out_of_range: its timestamp
};

// What appending a batch may cost whoever asks for it.
struct AppendEffort {
    bool may_wait = true;                           // for room
    bool may_unpack_much = true;                    // more than a MiB, to look at its records
    std::vector<RefusedRecord>* refused = nullptr;  // where the first refused_records_told_max of them are told
};

struct PartitionEnds {
    Offset log_start;
    Offset high_watermark;
    Offset log_end;
    bool deleted = false;
};

// Whole batches as stored, the first of them the one that holds the offset asked for.
struct StoredBatches {
    std::vector<Bytes> pieces;
    std::vector<BufferRef> pins;  // keep the pieces
    size_t bytes = 0;
    Offset next_offset;    // where to read on
    bool on_disk = false;  // nothing was taken: the bytes are in files only, and only memory was to be looked at
};

struct ReadLimits {
    size_t bytes_max = 1u << 20;
    bool at_least_one = true;  // a first batch above bytes_max is returned all the same
    bool memory_only = false;  // look at no file: never blocks
};

struct FoundOffset {
    Offset offset{-1};          // -1: none
    int64_t timestamp_ms = -1;  // of the record there
};

struct LogDirectory {
    std::string path;
    std::optional<Error> failure;  // why nothing is acknowledged in it any more, or why it could not be opened
};

class ServedLog {
public:
    explicit ServedLog(Log& log);
    explicit ServedLog(LogDirectories& directories);  // which must outlive it
    ~ServedLog();
    ServedLog(const ServedLog&) = delete;
    ServedLog& operator=(const ServedLog&) = delete;

    // --- topics ---
    std::optional<ServedTopic> topic(std::string_view name) const;
    std::optional<ServedTopic> topic(const Uuid& id) const;
    std::vector<ServedTopic> topics() const;  // by name
    std::shared_ptr<const TopicConfig> config(const ServedTopic& topic) const;
    Uuid cluster_id() const;
    // What topics have that do not say themselves, from now on: TopicConfig::parse's broker_defaults. Errors: invalid.
    Result<void> set_topic_defaults(const ConfigMap& defaults);
    // As Log::create_topic, but nothing is added to the configs: retention is what the defaults say. `internal`: one of
    // the names that users may not create.
    Result<ServedTopic> create(std::string_view name, int32_t partitions, const ConfigMap& configs,
                               bool internal = false);
    // What create() would refuse, and nothing else.
    Result<void> check_create(std::string_view name, int32_t partitions, const ConfigMap& configs) const;

    // As Log's.
    Result<void> delete_topic(std::string_view name);
    Result<void> add_partitions(std::string_view name, int32_t total);
    Result<void> alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset);
    Result<int64_t> new_producer_id();

    // Errors: out_of_range, not_found, corrupt; offline: it is in a directory that could not be opened.
    Result<ServedPartition> partition(const ServedTopic& topic, int32_t number) const;
    // The epoch that this node leads it with; the same before and after the first append. -1: nobody leads it, for it is in
    // a directory that could not be opened.
    Epoch leader_epoch(const ServedTopic& topic, int32_t number) const;
    std::vector<EpochStart> epochs(ServedPartition partition) const;
    PartitionEnds ends(ServedPartition partition) const;
    PartitionEnds metadata_ends() const;                                            // of __cluster_metadata
    std::vector<ProducerSnapshotEntry> producers(ServedPartition partition) const;  // by id
    Result<uint64_t> bytes(ServedPartition partition) const;                        // in segments and memory

    // --- appending ---
    // A ready-made batch, checked before it is believed, copied before the call returns. Without `may_wait` it is refused
    // as busy while others make room for it: a loop that serves many asks again a little later, and, should that last,
    // in the way that waits, which also knows when there is nothing to wait for. Without `may_unpack_much` one that takes
    // long is too_large; whether it is so in truth another thread finds, with all effort.
    // Errors: as Topic::append_batch; out_of_range is a timestamp that the topic does not take; busy; too_large.
    Result<AppendedBatch> append(const ServedTopic& topic, int32_t number, Bytes batch,
                                 const AppendEffort& effort = {});
    // As Topic's.
    Result<Offset> delete_records(const ServedTopic& topic, int32_t number, Offset before);
    // Takes back everything at and above `end`, acknowledged or not, at every level; a batch that holds `end` inside goes
    // whole. Returns where the log ends then: at or below `end`. Durable when it returns; a crash before that leaves all of
    // it or nothing. What this log appends next begins a later leader epoch there. Readers that stood behind the end are
    // told (out_of_range), those before it go on; who waits for an append that went may be told either way. Producers whose
    // batches are gone may send them again. `end` where the log ends changes nothing; above it, it is out_of_range, for
    // whoever asks believes in records that this log never had.
    // For a replica that gives way: slow, and all appends to the directory wait meanwhile.
    // Errors: out_of_range (below the log start or above the end; in a batch that begins below the log start), not_found,
    // invalid (an internal topic), corrupt, busy, read_only, closed, those of Log::checkpoint. After io or offline it may
    // have happened.
    Result<Offset> truncate(const ServedTopic& topic, int32_t number, Offset end);
    // Whether what is old by the wall clock may go: not for an hour after that jumped (log/retention.h).
    bool time_believed() const;

    // With `threads = 0` somebody must do the work: commits what is due. Else does nothing. Where one directory fails the
    // others go on.
    Result<void> poll();

    // --- directories ---
    // The first is the home of topics, configs, producer ids and internal topics. Those that could not be opened are last.
    std::vector<LogDirectory> directories() const;
    size_t directory_of(ServedPartition partition) const;  // its place among them
    // Why nothing is acknowledged any more, if so: for this partition; in the first directory.
    std::optional<Error> failure(ServedPartition partition) const;
    std::optional<Error> failure() const;

    // --- for whoever watches ---
    struct Memory {
        uint64_t unwritten_bytes = 0;      // of records that no segment has yet
        uint64_t unwritten_bytes_max = 0;  // above it appends wait
        uint64_t tail_bytes = 0;           // of recent records, unwritten or not
        uint64_t queued_bytes = 0;         // of records that are in no commit yet
    };
    Memory memory() const;
    // `notice` is called from any thread, under a lock of its directory, for each commit that reached the disk: it may only
    // count.
    void set_commit_notice(const std::function<void(uint64_t bytes, int64_t took_ns)>& notice);

    // --- for other processes ---
    // What becomes visible from now on is in memory, too, that they map (storage/shared_tail.h), so many bytes for each
    // directory; nothing when it is already. Errors: no_space, read_only, io.
    Result<void> share_tails(uint64_t bytes);
    void stop_sharing_tails();

    // --- waiting ---
    // `notice` is called from any thread, under the log's locks, when moved() has something new: it may only wake
    // somebody. None any more once the ServedLog is destroyed.
    void set_notice(const std::function<void()>& notice);
    // The next time that what is visible of the partition, its start or its life changes, it is among the moved. Look at
    // the partition after the call, not before.
    void watch(ServedPartition partition);
    // Those that moved since the last call, each to be watched anew. After a disk failure: once, everything that was
    // watched. Who watches after it sees the failure.
    std::vector<ServedPartition> moved();

    // --- reading ---
    // From the batch that holds `from`; nothing at the high watermark. What comes from files has been checked.
    // Errors: out_of_range (below the log start, above the high watermark), not_found (deleted), corrupt, io, offline.
    Result<StoredBatches> read(ServedPartition partition, Offset from, const ReadLimits& limits) const;
    // Transactions that Kafka wrote before we had the data, and that were not committed: those that overlap [from, end),
    // by their end. One that nobody ended counts as aborted, for nobody is left who could commit it. What is ours has no
    // transactions. Empty result: not known yet; learn_aborted(), once for each partition, lists its directory.
    std::optional<std::vector<AbortedTransaction>> aborted(ServedPartition partition, Offset from, Offset end) const;
    // Reads files. Errors: corrupt, unsupported, io.
    Result<void> learn_aborted(ServedPartition partition) const;
    // The first record at or after the time. Reads files.
    Result<FoundOffset> find_time(ServedPartition partition, int64_t timestamp_ms) const;
    // The first of the records with the largest timestamp. Reads files.
    Result<FoundOffset> find_largest_time(ServedPartition partition) const;

    // For a thread that reads partitions of its own: a ticket, then look, then sleep until what is visible of any partition
    // changed since the ticket, or `own` did. Of a log with one directory.
    uint32_t announce_sleeper();
    void sleep_until_moved(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) const;

private:
    ServedLog(std::vector<Store*> stores, Directories* together);
    template <class Do>
    auto in_place(const ServedTopic& topic, int32_t number, Do act) const;

    std::vector<Store*> stores_;         // the home first
    Store& store_;                       // the home
    Directories* together_;              // null: there is one
    std::vector<uint8_t> failure_told_;  // by directory: everything that was watched has been among the moved
    std::unique_ptr<KeptCursors> cursors_;
};

}  // namespace flowstone
