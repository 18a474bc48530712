// Flowstone's log, embedded: open a directory, append, read, tail.
//
//   auto log = flowstone::Log::open("data");
//   if (!log) { return complain(log.error().message()); }
//   auto raw = log->create_topic("transactions.raw", {.partitions = 8, .exists_ok = true});
//   auto at = raw->append({.key = card, .value = event});      // durable when this returns
//   auto in = raw->read({.partition = 0, .from = flowstone::Offset{42}});
//   while (auto batch = in->next(1s)) {                        // false is an error: batch.error()
//       if (batch->empty()) { break; }                         // nothing more within a second
//       for (const auto& record : *batch) { ... }
//   }
//
// Threads: Log and Topic are safe from any number of threads; a Reader belongs to one thread at a time.
// The library is a guest: it installs no signal handler and starts no thread unless `threads` says so. It prints nothing,
// but for one line before a broken invariant of its own ends the process, which set_check_handler() (<flowstone/result.h>)
// takes instead. After fork() the child's calls answer `closed`.
// Errors are values: no exception leaves a call. The process ends (std::terminate) when there is no memory left, and when
// `on_log` throws.
//
// This header is public (installed as <flowstone/log.h>): standard library only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/record.h>
#include <flowstone/result.h>
#include <flowstone/version.h>

namespace flowstone {

// What an acknowledgement and a read promise; a property of the topic (`flowstone.durability`).
enum class Durability : uint8_t {
    durable,  // survives power loss
    written,  // survives the death of the process, not power loss
    memory,   // survives neither; written behind
};

struct Options {
    bool read_only = false;  // beside a writer or alone; changes nothing on disk
    bool create = true;      // make the directory and its first files when they are missing
    bool adopt = false;      // open a directory that Kafka wrote for writing
    // Go on behind acknowledged records that an earlier opening found lost, and named: their partitions refuse appends,
    // and reads past them, until then. Their offsets are never given again. What this opening finds itself stays fenced.
    bool accept_loss = false;
    // 0: no thread is started; whoever waits does the work, and without wait(), flush() or poll() nothing is written.
    // N: N threads commit, and one more does the work behind them.
    uint32_t threads = 0;
    uint64_t journal_bytes_max = 128ull << 20;  // the ring that an acknowledgement waits for, on disk
    uint64_t dirty_bytes_max = 64ull << 20;     // appended but not yet in segment files, in memory; appends wait at it
    uint64_t tail_bytes_max = 16ull << 20;      // recent bytes kept in memory for readers
    // Segment files kept open for writing; beyond it some are closed, and opened again when they are due.
    // Readers take one each besides. A process may often open 1,024 files only (RLIMIT_NOFILE).
    uint32_t open_files_max = 512;
    uint64_t reserve_bytes = 64ull << 20;  // given up when the disk is full, so that deletions still work
    std::function<void(std::string_view line)> on_log{};  // called under no lock, from any thread; must not throw
};

using ConfigMap = std::vector<std::pair<std::string, std::string>>;  // Kafka's names, such as "retention.ms"

struct TopicOptions {
    int32_t partitions = 1;
    ConfigMap configs{};
    bool exists_ok = false;  // an existing topic is returned as it is
};

struct TopicInfo {
    std::string name;
    Uuid id;
    int32_t partitions = 0;
    Durability durability = Durability::durable;
    ConfigMap configs;  // those set on the topic; everything else has its default
    bool internal = false;
};

struct Position {
    int32_t partition = -1;
    Offset offset;
    friend bool operator==(const Position&, const Position&) = default;
};

// Acknowledged records that are gone. Their partition refuses appends, and reads past them, until an opening accepts the
// loss (Options::accept_loss).
struct Loss {
    std::string topic;
    int32_t partition = 0;
    Offset begin;  // the first that is lost
    Offset end;    // where the partition goes on once it is accepted
    friend bool operator==(const Loss&, const Loss&) = default;
};

struct PartitionInfo {
    Offset log_start;       // the first offset that can be read
    Offset high_watermark;  // readers see up to here, exclusive: it has reached the topic's level
    Offset log_end;         // the next offset to be given
    Epoch epoch;
    uint64_t bytes = 0;  // in segments and memory, log start onward, rounded to segments
    uint32_t segments = 0;
};

// An append under way. A value of a few words; nothing is freed and nothing leaks when it is dropped.
struct Pending {
    Position at;  // where the (first) record is, once it is acknowledged
    uint32_t shard = 0;
    const void* owner = nullptr;  // used by Log::wait
};

// Lets a retry be recognised. Sequences count records per producer and partition, from 0, wrapping at 2^31 - 1.
struct ProducerSequence {
    int64_t producer_id = -1;
    int16_t epoch = -1;
    int32_t sequence = -1;  // of the first record
};

struct AppendOptions {
    std::optional<int32_t> partition{};          // else by key, else sticky
    std::optional<ProducerSequence> producer{};  // needs `partition`; a duplicate answers with its first offset
    bool may_wait = true;  // for room; else busy, while a thread of the log makes some. append_async of one record only
};

class From {  // where a reader begins
public:
    From() : value_(Beginning{}) {}
    From(Offset offset) : value_(offset) {}
    static From beginning() { return From(); }
    static From end() { return From(End{}); }
    static From time_ms(int64_t since_1970) { return From(Time{since_1970}); }

    struct Beginning {};
    struct End {};
    struct Time {
        int64_t ms;
    };  // the first record at or after it
    using Value = std::variant<Beginning, End, Time, Offset>;
    const Value& value() const { return value_; }

private:
    explicit From(Value value) : value_(value) {}
    Value value_;
};

struct ReadOptions {
    int32_t partition = 0;
    From from{};
};

// The records of one stored batch at or after where the reader stands. A view into the reader, valid until its next
// call; pins at most one buffer.
class Batch {
public:
    class Iterator {
    public:
        using value_type = RecordView;
        using difference_type = std::ptrdiff_t;
        const RecordView& operator*() const { return record_; }
        const RecordView* operator->() const { return &record_; }
        Iterator& operator++() {
            advance();
            return *this;
        }
        void operator++(int) { advance(); }
        bool operator==(std::default_sentinel_t) const { return state_ == nullptr; }

    private:
        friend class Batch;
        explicit Iterator(void* state) : state_(state) { advance(); }
        FLOWSTONE_EXPORT void advance() noexcept;
        void* state_;  // null at the end
        RecordView record_;
    };
    Iterator begin() const { return Iterator(state_); }  // once: records are decoded as they are visited
    std::default_sentinel_t end() const { return {}; }

    bool empty() const { return state_ == nullptr; }  // the end of the log, or the time-out
    Offset base_offset() const { return base_offset_; }
    Offset next_offset() const { return next_offset_; }
    std::span<const std::byte> bytes() const { return bytes_; }  // the whole batch as stored, record batch v2

private:
    friend class Reader;
    void* state_ = nullptr;
    Offset base_offset_;
    Offset next_offset_;
    std::span<const std::byte> bytes_;
};

// Reads one partition forwards. Must not outlive its Log.
class FLOWSTONE_EXPORT Reader {
public:
    Reader(Reader&&) noexcept;
    Reader& operator=(Reader&&) noexcept;
    ~Reader();

    // The next batch, waiting up to `timeout` for one; an empty batch when there is none.
    // Errors: corrupt (the range is named; seek() past it to go on), out_of_range (what comes next was trimmed
    // away), not_found (the topic was deleted), closed, io.
    Result<Batch> next(std::chrono::milliseconds timeout = {}) noexcept;
    Offset position() const noexcept;  // of the next record
    Result<void> seek(From from) noexcept;

private:
    friend class Topic;
    friend class Batch;
    struct Impl;
    explicit Reader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// A topic, resolved once. Copies are cheap and name the same topic. Must not outlive its Log.
class FLOWSTONE_EXPORT Topic {
public:
    // Copies the records into the log and waits until they have reached the topic's level.
    // Errors: busy, no_space, too_large, invalid, out_of_range (partition or timestamp), out_of_order, stale_epoch,
    // not_found (deleted), read_only, offline, closed. Each says whether the record was not appended or that is unknown
    // until reopen.
    Result<Position> append(const Record& record, const AppendOptions& options = {}) noexcept;
    // All or none are accepted together when they share a partition. Positions in the order of the records.
    Result<std::vector<Position>> append(std::span<const Record> records, const AppendOptions& options = {}) noexcept;
    // The same without waiting: see Log::wait, flush and poll. Allocates only where a batch is begun. A record without a
    // time gets that of the coarse clock, which is a few milliseconds behind at most, and read without a system call.
    Result<Pending> append_async(const Record& record, const AppendOptions& options = {}) noexcept;
    // A ready-made record batch v2; base offset and epoch are set here. Checked before it is believed.
    Result<Pending> append_batch(int32_t partition, std::span<const std::byte> batch) noexcept;
    // Batches of another log of this partition, back to back, kept as they are: at exactly their offsets, with their
    // leader epochs, producers, transactions and markers. Offsets may be missing in front of each, and an empty partition
    // begins with the first of them; none may go back, nor may epochs. Headers and checksums are checked, records are
    // not looked at. All or a prefix is there after a crash. Where the topic was also appended to in another way, it
    // takes no batches of an older epoch any more. One call at a time for one partition. The answer is of the last record.
    // Errors: corrupt, invalid, too_large; out_of_range (below the end of the log, or too far from it), stale_epoch,
    // unsupported (a topic whose level is not `durable`); busy (another call is at it); and as append.
    Result<Pending> append_as_is(int32_t partition, std::span<const std::byte> batches) noexcept;

    // Until what was appended to the partition before `end` has reached the topic's level, also after Log::close. Without
    // threads the caller may have to do the work, which it ends whatever the time. Errors: as Log::wait; timed_out.
    Result<void> wait(int32_t partition, Offset end, std::chrono::milliseconds timeout) const noexcept;

    Result<Reader> read(const ReadOptions& options = {}) const noexcept;
    Result<PartitionInfo> partition(int32_t partition) const noexcept;
    // The first at or after the time, else the end.
    Result<Offset> offset_for_time(int32_t partition, int64_t timestamp_ms) const noexcept;
    // Makes everything before `before` unreadable; segments that end there are deleted. Returns the new log start.
    Result<Offset> delete_records(int32_t partition, Offset before) noexcept;

    const std::string& name() const noexcept;
    int32_t partitions() const noexcept;

private:
    friend class Log;
    friend struct LogAccess;
    struct Impl;
    explicit Topic(std::shared_ptr<Impl> impl);
    Result<Pending> append_idempotent(std::span<const Record> records, const AppendOptions& options);
    Result<void> wait_for(const Pending& pending) const;
    std::shared_ptr<Impl> impl_;  // owners: the log's table of topics, and each handle
};

struct GroupOffset {
    std::string topic;
    int32_t partition = 0;
    Offset offset;  // of the next record to read
    std::string metadata{};
};

// Moves a group's offset on from where whoever asks believes it to be.
struct OffsetMove {
    std::string topic;
    int32_t partition = 0;
    std::optional<Offset> from;  // none: the group has no offset there
    Offset to;                   // of the next record to read
    std::string metadata{};
};

// One part of an atomic append.
struct AtomicPart {
    Topic topic;
    int32_t partition = 0;
    std::span<const Record> records{};
    std::optional<ProducerSequence> producer{};
};

class FLOWSTONE_EXPORT Log {
public:
    // Opens or makes a log directory. Errors: locked (names the holder's process id), invalid (not a Flowstone
    // directory), unsupported (newer format; or Kafka's, without `adopt`), corrupt, read_only, no_space, io.
    static Result<Log> open(std::string path, Options options = {}) noexcept;
    Log(Log&&) noexcept;
    Log& operator=(Log&&) noexcept;
    ~Log();  // flushes nothing: what was not acknowledged may be lost. close() first.

    // Topics. Creating one is one metadata record; directories appear at the first append.
    Result<Topic> topic(std::string_view name) const noexcept;  // Errors: not_found.
    Result<Topic> create_topic(std::string_view name, const TopicOptions& options = {}) noexcept;
    Result<void> delete_topic(std::string_view name) noexcept;
    Result<void> add_partitions(std::string_view name, int32_t total) noexcept;
    Result<void> alter_topic(std::string_view name, const ConfigMap& set,
                             std::span<const std::string> unset = {}) noexcept;
    std::vector<TopicInfo> topics() const noexcept;
    Result<TopicInfo> describe(std::string_view name) const noexcept;
    std::vector<Loss> losses() const noexcept;  // known and not accepted, by topic and partition

    // Several topics, partitions and consumer offsets: durable and visible together or not at all.
    Result<Pending> append_atomic(std::span<const AtomicPart> parts, std::string_view group = {},
                                  std::span<const GroupOffset> offsets = {}) noexcept;
    // The same, if every offset is where its move begins: compared under the log's own lock with all that was appended
    // before, by whomever, acknowledged or not. So of two that began at one offset one moves it, and what the other made
    // of those records is not appended. Errors: as append_atomic; stale_epoch: an offset is elsewhere; busy: others commit
    // for groups of the same partition of __consumer_offsets all the time.
    Result<Pending> append_step(std::string_view group, std::span<const OffsetMove> moves,
                                std::span<const AtomicPart> parts = {}) noexcept;
    Result<void> wait(const Pending& pending) noexcept;  // until it has reached its topic's level
    Result<void> flush() noexcept;                       // until everything appended before has
    Result<void> poll() noexcept;                        // does what is due and waits for nobody: for event loops

    // Consumer offsets, kept as records of __consumer_offsets. Durable when commit_offsets returns.
    Result<void> commit_offsets(std::string_view group, std::span<const GroupOffset> offsets) noexcept;
    Result<std::vector<GroupOffset>> fetch_offsets(std::string_view group) const noexcept;
    std::vector<std::string> groups() const noexcept;
    Result<void> delete_offsets(std::string_view group) noexcept;
    // Never given twice, not even after power loss.
    Result<int64_t> new_producer_id() noexcept;

    // Moves everything appended so far into segment files, exact to the byte, and writes a checkpoint.
    Result<void> checkpoint() noexcept;
    Result<void> maintain() noexcept;  // retention and compaction, now
    // Flushes, checkpoints and ends every thread. What is durable and did not get into segment files in time stays in the
    // journal, whence the next open brings it there; a line of `on_log` says so. Errors: timed_out: something is not
    // durable yet, or a call of another thread has not ended. After an error the next open recovers.
    Result<void> close(std::chrono::milliseconds timeout = std::chrono::seconds(30)) noexcept;

    const std::string& path() const noexcept;
    bool read_only() const noexcept;
    uint32_t shards() const noexcept;  // 1: an atomic append takes any of its partitions; 0: closed

private:
    friend struct LogAccess;
    struct Impl;
    struct Moving;
    explicit Log(std::unique_ptr<Impl> impl);
    Result<std::optional<Pending>> append_together(std::span<const AtomicPart> parts, std::string_view group,
                                                   std::span<const GroupOffset> offsets, const Moving* moving);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flowstone
