// One open data directory: its lock, journal, topics, partitions and checkpoints.
//
// Made by open() (recovery.cc), which replays the journal over the newest checkpoint. Owns everything below Log.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <flowstone/log.h>

#include "log/environment.h"
#include "log/impl/partition.h"
#include "log/impl/shard.h"
#include "log/impl/tail_sharing.h"
#include "log/metadata.h"
#include "log/retention.h"
#include "log/topic_config.h"
#include "storage/checkpoint.h"
#include "storage/fork_guard.h"
#include "storage/thread.h"

namespace flowstone {

class Store;

// A topic as handles see it. Never freed while the store lives.
struct TopicTable {
    std::string name;
    Uuid id;
    bool internal = false;
    std::atomic<bool> deleted{false};
    std::atomic<int32_t> count{0};
    std::atomic<uint32_t> sticky{0};
    std::shared_ptr<const TopicConfig> config;  // set under Store::meta_lock and files_lock, read under either

    // The partition if it was made already, without a lock; else null.
    Partition* find(int32_t number) const {
        const Slots* slots = slots_.load(std::memory_order_acquire);
        return slots == nullptr || number < 0 || static_cast<size_t>(number) >= slots->size()
                   ? nullptr
                   : (*slots)[static_cast<size_t>(number)].load(std::memory_order_acquire);
    }
    void put(int32_t number, Partition* partition);  // under Store::files_lock

private:
    using Slots = std::vector<std::atomic<Partition*>>;
    std::atomic<Slots*> slots_{nullptr};
    std::vector<std::unique_ptr<Slots>> generations_;  // older tables stay: a reader may be in one
};

using PartitionKey = std::pair<Uuid, int32_t>;

class Store {
public:
    static Result<std::unique_ptr<Store>> open(const Environment& environment, std::string path, Options options,
                                               const Tuning& tuning);
    ~Store();
    // Read-only: the directory as it is now, if that is more than this store shows, looked at no more often than every
    // 100 ms unless `at_once`; else what it gave last; null when this store itself is the newest. Safe from any thread.
    std::shared_ptr<Store> newest(bool at_once = false);

    const std::string& path() const { return engine_.directory; }
    const Options& options() const { return engine_.options; }
    Engine& engine() { return engine_; }
    Disk& disk() { return engine_.disk; }
    Clock& clock() { return engine_.clock; }
    bool read_only() const { return engine_.options.read_only; }
    bool owned_here() const { return process_token() == process_token_; }  // false in a child after fork
    // Errors: closed, after close() and in a child after fork.
    Result<void> usable(const char* operation) const;
    // usable(), and open for writing.
    bool appendable() const { return owned_here() && !closed_.load(std::memory_order_relaxed) && !read_only(); }
    int64_t now_ms() { return engine_.clock.wall_ms(); }
    // What may be deleted by time may be deleted by this one. What it notices goes to the log's lines.
    ClockGuard::Reading guarded_time();
    void log(std::string_view line) const;

    // --- topics ---
    std::shared_ptr<TopicTable> find_topic(std::string_view name);  // null when there is none
    std::shared_ptr<TopicTable> find_topic(const Uuid& id);
    struct NewTopic {
        TopicOptions options;
        bool internal = false;      // one of the names that users may not create
        bool kept_for_ever = true;  // unless its configs say otherwise: nothing is deleted that nobody asked to delete
        std::optional<Uuid> id{};   // none: a fresh one
        std::vector<Uuid> each_in{};  // the directory of each partition, for the record; empty: this one
    };
    Result<std::shared_ptr<TopicTable>> create_topic(std::string_view name, NewTopic topic);
    Result<void> check_new_topic(std::string_view name, NewTopic topic);  // what create_topic would refuse
    Result<void> delete_topic(std::string_view name);
    Result<void> add_partitions(std::string_view name, int32_t total, std::vector<Uuid> each_in = {});
    Result<void> alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset);
    // As ServedLog's (truncation.cc).
    Result<Offset> truncate(TopicTable& topic, int32_t number, Offset end);
    std::vector<TopicInfo> topics();
    std::vector<Loss> losses();
    // What topics have that do not say themselves. Errors: invalid.
    Result<void> set_topic_defaults(const ConfigMap& defaults);
    Result<int64_t> new_producer_id();

    // What batches appended now are of: the same before and after the first append of this opening.
    Epoch leader_epoch(const TopicTable& topic, int32_t number);
    Epoch first_epoch() const { return epoch_after({}); }  // of a partition that has none yet

    // The partition, made on first use. Errors: out_of_range, not_found, io.
    Result<Partition*> partition(TopicTable& topic, int32_t number);
    // Ready to append: its unfinished block and seal are in memory. Blocks on first use.
    Result<void> load(Partition& partition, bool starts_epoch = true);

    std::vector<std::unique_ptr<Shard>>& shards() { return shards_; }

    // --- checkpoints ---
    struct CheckpointScope {
        bool exact = false;  // every file ends with its last batch and the ring is empty afterwards, if nobody appends
        bool clean = false;  // and the next opening need not look at it
        // Only these are brought to their files: of all others the slot says what the newest one says, and what the
        // journal holds of them stays needed. Null: all.
        const std::set<Partition*>* only = nullptr;
    };
    Result<void> checkpoint(CheckpointScope scope);
    Result<void> close(int64_t timeout_ms);
    Result<void> maintain();
    Result<void> poll();  // with `threads = 0`: what is due, waiting for nobody

    // The older segments of a partition, listed from its directory on first use. Call without the shard's lock.
    Result<void> know_closed_segments(Partition& partition);
    Result<std::shared_ptr<File>> open_segment(const Partition& partition, Offset base);
    // Durable when it returns: aborted transactions whose markers are about to be appended to the segment, which ends
    // at `end`. What its index says of later ones nobody wrote.
    Result<void> note_aborted(Partition& partition, Offset segment_base, Offset end,
                              std::span<const AbortedTransaction> aborted);
    // Whether a closed segment of so many bytes is as long as its seal says.
    bool is_whole(const Partition& partition, Offset base, uint64_t bytes);

    std::mutex& offsets_lock() { return offsets_lock_; }

    // What becomes visible from now on is in memory, too, that other processes map (tail_sharing.h); nothing when it is
    // already. Errors: as TailSharing::begin.
    Result<void> share_tail(uint64_t bytes);
    void stop_sharing();

    // --- one of several directories (directory_of_several.cc) ---
    const Uuid& cluster() const { return cluster_; }
    const Uuid& directory_id() const { return directory_id_; }
    bool failed() const { return engine_.failed.load(std::memory_order_acquire); }
    // What it is among the directories of a broker, as its metadata log says.
    enum class Role : uint8_t { alone, first, other };
    Role role();
    Result<void> set_role(Role role);  // once: it never is alone again
    // Of a first one: the partition is in another directory, so that nothing may be appended here.
    bool keeps_nothing_of(Partition& partition);
    // The state of a topic, none when there is none; of all, by name.
    std::optional<TopicState> topic_state(const Uuid& id);
    std::vector<TopicState> topic_states();
    bool was_deleted(const Uuid& topic);
    std::vector<PartitionKey> partitions_held();  // which have records, or had some

private:
    friend class Recovery;
    friend class Maintenance;
    friend class Compactor;
    friend class ServedLog;
    Store(const Environment& environment, std::string path, Options options, const Tuning& tuning);

    static Result<std::unique_ptr<Store>> open_beside(const Environment& environment, const std::string& path,
                                                      const Options& options, const Tuning& tuning);
    bool went_on();
    void close_some_files();  // under files_lock_
    Result<std::shared_ptr<File>> segment_file(Partition& partition, OpenSegment& segment);
    Result<void> make_directories(std::span<Partition* const> partitions);
    struct Named {
        Partition* partition;
        OpenSegment* segment;
    };
    Result<void> sync_names(std::span<const Named> named);
    void set_config(TopicTable& table, const std::shared_ptr<const TopicConfig>& config, bool reopen);
    Result<void> quiesce();
    Result<std::vector<MetadataRecord>> plan_topic(std::string_view name, NewTopic topic);
    Result<void> append_metadata(const std::vector<MetadataRecord>& records);
    Epoch epoch_after(const std::vector<EpochStart>& epochs) const;  // what the first append of this opening starts
    std::shared_ptr<TopicTable> table_of(const TopicState& topic);
    std::optional<LostRange> lost_of(const TopicTable& topic, int32_t number);
    Result<Partition*> make_partition(TopicTable& topic, int32_t number);
    Shard& shard_of(const Uuid& topic, int32_t partition);
    void start_threads();
    void start_thread(const std::string& name, std::function<void()> body);
    void stop_threads();
    std::vector<Partition*> made_partitions();
    void run_filler();
    void wake_filler();
    Result<void> in_time() const;
    int64_t time_left() const;
    Result<void> relieve_ring(Shard& shard, bool must);
    Result<void> relieve_now(Shard& shard, bool must);
    bool checkpoint_due(Shard& shard);
    bool ring_wants_room(Shard& shard, bool must);
    bool grew_ring(Shard& shard, bool must);
    Result<void> grow_ring(Shard& shard, bool must);
    void take_reserve();
    bool give_up_reserve();
    Result<int64_t> largest_timestamp(Partition& partition, const ClosedSegment& segment);
    Result<void> replay_swap(Partition& partition, Bytes text);
    Result<void> end_swap(Partition& partition);
    Result<void> fill_unjournaled(std::span<Partition* const> partitions);
    Result<void> close_files(std::span<Partition* const> partitions);
    Result<std::vector<std::string>> set_aside(const TopicTable& topic);
    Result<std::vector<std::string>> set_not_aside();
    Result<std::string> rename_aside(const TopicPartition& partition);
    Result<void> remove_directory(const std::string& name);
    Result<void> remove_file(const std::string& path);
    Result<void> load_unfinished(Guard& guard, Partition& partition);
    Result<std::unique_ptr<SealBuilder>> unfinished_seal(Partition& partition, OpenSegment& active, uint64_t bytes);
    Result<void> read_back(Partition& partition, OpenSegment& segment, uint64_t begin, uint64_t end,
                           const std::function<void(Bytes)>& take);

    // Steps of a truncation (truncation.cc). Under maintain_lock_ and checkpoint_lock_, with appends held, or by replay.
    Result<Offset> truncate_alone(Partition& partition, Offset end);
    Result<std::optional<Truncation>> plan_truncation(Partition& partition, Offset end,
                                                      std::unique_ptr<SegmentIndex>& index);
    Result<void> commit_truncation(Partition& partition, const Truncation& truncation);
    Result<void> apply_truncation(Partition& partition, const Truncation& truncation,
                                  std::unique_ptr<SegmentIndex> index);  // null: replayed, which makes one itself
    Result<void> cut_segments(Partition& partition, const Truncation& truncation);
    Result<PartitionCheckpoint> describe_truncated(Partition& partition, const Truncation& truncation, bool replayed);
    Result<void> describe_producers(Partition& partition, const Truncation& truncation, PartitionCheckpoint& left);
    void note_epoch_given(Partition& partition);
    Result<void> make_anew(Partition& partition, const PartitionCheckpoint& left, std::unique_ptr<SegmentIndex> index);
    static Partition::Start start_of(const PartitionCheckpoint& said, Durability level);
    Result<std::vector<std::string>> truncated_seals(const std::string& directory);
    Result<void> forget_truncated_seals(const Partition& partition);

    // For a Kafka broker that may be started on the closed directory (kafka_files.cc).
    Result<void> write_kafka_partition_files(Partition& partition);
    Result<void> write_kafka_root_files();
    Result<void> remove_kafka_clean_shutdown();
    Result<bool> kafka_wrote_since(bool closed);  // the newest slot; `closed`: it says that we did

    // Steps of a checkpoint (checkpointer.cc).
    Result<void> checkpoint_locked(CheckpointScope scope);
    struct Touched {
        Partition* partition;
        uint64_t synced = 0;  // stream position: everything below it was in files when these were synced
    };
    // One on its way: whoever commits with `threads = 0` takes it a piece at a time.
    struct CheckpointPass {
        CheckpointScope scope;
        std::vector<Partition*> partitions{};  // that may need it
        size_t looked = 0;                     // so many of them were looked at,
        std::vector<Touched> touched{};        // and these are in their files
        std::vector<uint64_t> first_needed{};  // per shard: what is committed since it began
        std::vector<uint64_t> begun_at{};      // per shard: its checkpoint_work() by then
        std::vector<uint64_t> direct_at{};     // per shard: its direct_bytes() by then
        std::vector<uint64_t> room{};          // per shard: bytes that may be committed until it ends
    };
    Result<CheckpointPass> begin_checkpoint(CheckpointScope scope);
    Result<void> go_on(CheckpointPass& pass, size_t until);
    Result<void> end_checkpoint(CheckpointPass& pass);
    Result<bool> put_slot(const Checkpoint& slot, std::span<const uint64_t> first_needed);
    Result<void> checkpoint_steps(CheckpointScope scope);
    Result<void> checkpoint_some(Shard& shard);
    void note_loss(const Result<void>& done);
    bool ends_on_record(const Partition& partition);
    Result<void> finish_rolled(Partition& partition);
    struct InFile {
        Partition* partition;
        OpenSegment* segment;
        bool unsynced;
    };
    Result<void> sync_partitions(std::span<Touched> touched, bool complete);
    Result<void> sync_segments(std::span<const InFile> segments);
    Result<void> carry_fragments(Shard& shard, uint64_t below, std::span<const Touched> touched);
    Result<void> cut_file(Partition& partition);
    Result<void> sync_files(std::span<const std::shared_ptr<File>> files);
    Result<void> flush_index(Partition& partition, OpenSegment& segment, std::vector<std::shared_ptr<File>>& files);
    Result<void> chain_seal(Partition& partition, File& file, Seal& seal);
    std::optional<uint64_t> needed_still(Partition& partition, bool described);
    void close_idle_files(const std::vector<Touched>& touched, bool exact);
    void describe_partition(const Touched& touched, bool exact, PartitionCheckpoint& out);

    Engine engine_;
    Random& random_;
    std::optional<Uuid> wanted_cluster_;  // that the directory must belong to
    std::unique_ptr<Disk> own_disk_;
    BufferPool pool_;
    std::unique_ptr<DirectoryLock> directory_lock_;
    uint32_t process_token_ = 0;
    Uuid cluster_;
    Uuid directory_id_;
    std::atomic<uint32_t> generation_{0};  // grows in a truncation, for the next slot

    std::mutex meta_lock_;
    // Until somebody says what topics have that say nothing themselves, nothing of theirs is deleted: who opens a
    // broker's directory as a library does not know what the broker was told to keep.
    ConfigMap topic_defaults_{{"retention.ms", "-1"}};
    Metadata metadata_;
    std::map<std::string, std::shared_ptr<TopicTable>, std::less<>> tables_;
    std::shared_ptr<TopicTable> metadata_topic_;
    std::vector<std::shared_ptr<TopicTable>> not_aside_;  // deleted, but their directories may have their names still
    std::deque<std::unique_ptr<Partition>> partitions_;   // under files_lock_
    int64_t producer_id_next_ = 0;
    int64_t producer_id_end_ = 0;

    std::vector<std::unique_ptr<Shard>> shards_;
    // Of partitions, ever made here and known to survive. The first stands for what an earlier opening left.
    std::atomic<uint64_t> directories_made_{1};
    std::atomic<uint64_t> directories_synced_{0};
    // Before any shard's lock, never while one is held. Files of segments are opened under it, so it may take long.
    std::mutex making_lock_;  // of directories; taken under files_lock_ or alone
    std::mutex files_lock_;
    std::shared_ptr<std::atomic<size_t>> files_open_ =
        std::make_shared<std::atomic<size_t>>(0);  // of segments, to write
    size_t files_hand_ = 0;                        // in partitions_: where closing them goes on; under files_lock_
    std::mutex offsets_lock_;
    std::mutex sharing_lock_;  // before the shards' locks
    std::unique_ptr<TailSharing> sharing_;

    std::timed_mutex growth_lock_;        // a ring grows, one at a time; before the shards' locks
    std::timed_mutex checkpoint_lock_;    // one checkpoint at a time; before all other locks but meta_lock_
    std::optional<CheckpointPass> pass_;  // that was begun and left; under checkpoint_lock_
    std::atomic<uint64_t> checkpoint_number_{0};
    std::mutex persisted_lock_;                              // the innermost of all locks
    std::map<PartitionKey, PartitionCheckpoint> persisted_;  // what the newest slot says
    std::vector<uint64_t> last_first_needed_;                // per shard, of the newest slot

    std::mutex reserve_lock_;  // guards whether the reserve is held
    bool reserve_held_ = false;
    std::timed_mutex maintain_lock_;  // one maintenance at a time; taken before every other lock
    std::mutex clock_lock_;           // guards the next
    std::optional<ClockGuard> clock_guard_;
    std::atomic<uint32_t> fill_work_{0};
    std::atomic<bool> fill_asleep_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> relief_due_{false};
    std::atomic<bool> maintain_due_{false};
    std::atomic<bool> closed_{false};
    std::atomic<uint32_t> threads_running_{0};
    std::atomic<bool> alone_{true};  // being opened or closed: nobody appends

    // Read-only: what was read when, and what was read since (beside.cc).
    struct Beside {
        uint64_t checkpoint = 0;
        std::vector<std::unique_ptr<Journal>> rings;
        bool behind = false;  // there was more than could be read
        int64_t open_ns = 0;  // what opening took
        std::mutex lock;      // guards the rest
        int64_t looked_ns = 0;
        std::shared_ptr<Store> newest;  // owners: this, and the readers that look into it
    } beside_;
    std::vector<Thread> threads_;
};

}  // namespace flowstone
