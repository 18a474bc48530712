// A log under load in the simulated world, and what it promised to whom.
//
// run() drives a log through its public API with every kind of work there is, from a seed, and notes each promise with
// the number of disk operations at which it was made: what was acknowledged, what a reader was shown (in this process or
// beside it), what a retrying producer was told, where a log was said to begin or to end. After a crash at operation n, check() opens the disk again and
// compares: every promise made at n or before holds, and nothing is there that nobody appended before n. What check()
// found becomes the new state, so that the same world goes on, and may crash again.
//
// Records carry texts that no other record has: a value tells which record it is.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/environment.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

class World {
public:
    struct Options {
        uint64_t seed = 1;
        uint32_t steps = 60;
        bool bulk = false;   // much data, so that the ring wraps and grows
        uint32_t rings = 1;  // each opening has one to so many
        // Of the topics that are trimmed, deleted and made again, compacted, and shortened by retention.
        Durability level = Durability::durable;
        bool kill = true;  // processes die in the middle, too; memory is lost then, the page cache is not
        uint64_t journal_bytes_max = 8u << 20;
        uint64_t direct_bytes_min = 16u << 10;
        uint32_t threads_after = 0;  // of the log that check() opens
    };
    explicit World(const Options& options) : options_(options), state_(options.seed) {}
    // What it knows, without the log it has open: each crash of one trace is checked by a copy.
    World(const World& other) : options_(other.options_), state_(other.state_) {}

    // Opens or makes the log on `disk` and works. `operations` counts on the disk below it, where crashes happen. With
    // `failing`, errors are what is expected; they are kept in errors().
    void run(Disk& disk, const SimDisk& below, bool failing = false);

    // Opens the disk after a crash at `operation` of the disk that run() was on, checks it and closes it cleanly.
    // Returns what is wrong, or "". `again`: work on instead, without closing, so that the disk can crash again.
    std::string check(SimDisk& disk, uint64_t operation, bool again = false);

    // Errors where none were expected, or answers that broke a promise while running; "" is good.
    const std::string& fault() const { return fault_; }
    const std::vector<Error>& errors() const { return errors_; }
    // Operations on the disk of check() when the log was open: a second crash before it meets the first one's promises.
    uint64_t opened() const { return opened_; }

private:
    static constexpr uint64_t never = ~uint64_t{0};
    static constexpr char directory[] = "data";
    static constexpr char group_plain[] = "readers";
    static constexpr char group_together[] = "movers";
    static constexpr char once_name[] = "once";
    struct Promise {
        uint64_t operation;
        int64_t end;
    };
    struct Appended {
        std::string_view value;
        uint64_t operation;
    };
    struct Lost {  // by the death of a process; may come back if the power goes while it is being cut off
        int64_t offset;
        Appended record;
        uint64_t until;
    };
    struct Cut {
        uint64_t asked;  // from then on a crash may find the log cut
        int64_t end;
    };
    struct Part {
        std::vector<Appended> records;  // by offset; those below the first trim that is certain may be anything
        std::vector<Lost> lost;         // or truncated, until that was done
        std::vector<Cut> cuts;          // what was promised before them holds below their end
        std::vector<Promise> kept;      // readable up to `end` after power loss
        std::vector<Promise> written;   // and after the death of the process
        std::vector<Promise> trims_asked;
        std::vector<Promise> trims_kept;
        std::vector<Promise> trims_lost;  // the log is shorter than it was trimmed to, and begins at its end
        std::vector<Promise> epochs;
    };
    struct TopicModel {
        std::string name;
        Uuid id;
        Durability level = Durability::durable;
        bool compacted = false;
        uint64_t retained_bytes = 0;  // 0: no retention
        uint64_t create_asked = 0;
        uint64_t create_kept = never;
        uint64_t delete_asked = never;
        uint64_t delete_kept = never;
        std::vector<Part> parts;

        bool live() const { return create_kept != never && delete_asked == never; }
    };
    struct Sent {
        int32_t sequence;
        int32_t count;
        int64_t base;
        uint64_t asked;
        uint64_t kept;
        uint64_t until = never;  // then it was truncated away
    };
    struct Group {  // parts that are there together or not at all
        struct In {
            size_t topic;
            int32_t partition;
            int64_t base;
            int64_t end;
        };
        std::vector<In> in;
        uint64_t asked;
        int64_t offset;  // of the consumer group, committed with it
    };
    struct Offsets {
        std::vector<Promise> asked;
        std::vector<Promise> kept;
    };

    // Steps of run().
    bool open(Disk& disk);
    Tuning tuning();
    void step(Disk& disk);
    void step_on(Disk& disk, uint64_t dice);
    void append_some();
    void append_large();
    void append_bulk();
    void append_keyed();
    void append_once();
    void append_together();
    void commit_offset();
    void read_all();
    void read_on();
    void read_beside(Disk& disk);
    void trim();
    void truncate();
    void cut(size_t topic, int32_t partition, uint64_t asked, int64_t end);
    void maintain();
    void replace_topic();
    void replace_bulk();
    void alter_level();
    void die(Disk& disk);
    void keep_everything();

    size_t add_topic(const std::string& name, int32_t partitions, Durability level, ConfigMap configs);
    std::string_view make_value(size_t bytes);
    size_t add_coming();
    void add_bulk();
    bool add_reader(size_t topic, int32_t partition);
    std::optional<int64_t> append(size_t topic, int32_t partition, size_t bytes, bool wait);
    void acknowledged(size_t topic, int32_t partition, int64_t end);
    void begins_at(size_t topic, int32_t partition, int64_t start);
    void end_log();
    bool good(const Error& error, const char* what);
    template <class T>
    bool good(const Result<T>& result, const char* what) {
        return result ? true : good(result.error(), what);
    }
    void wrong(std::string text) {
        if (fault_.empty()) { fault_ = std::move(text); }
    }
    uint64_t now() const { return below_->operations(); }
    std::optional<size_t> live(std::string_view name) const;
    Part& part_of(size_t topic, int32_t partition) {
        return state_.topics[topic].parts[static_cast<size_t>(partition)];
    }
    static int64_t latest(const std::vector<Promise>& promises, uint64_t operation);
    static int64_t latest(const std::vector<Promise>& promises, const std::vector<Cut>& cuts, uint64_t operation);
    static std::string check_start(const Part& part, uint64_t operation, int64_t begin, int64_t end);
    // What a record of this offset has as its key: few, so that compaction has work.
    static std::string key_at(int64_t offset);
    static int64_t retained_from(const TopicModel& topic, const Part& part);
    Environment environment(Disk& disk) { return {&disk, &clock_, &state_.random}; }
    flowstone::Options log_options(uint32_t threads) const;

    // Steps of check().
    std::string check_log(uint64_t operation, bool power);
    std::string check_topics(uint64_t operation);
    std::string check_part(size_t topic, int32_t partition, uint64_t operation, bool power);
    std::string check_records(size_t topic, int32_t partition, uint64_t operation, int64_t begin, int64_t end);
    std::string check_record(size_t topic, int32_t partition, uint64_t operation, const RecordView& record);
    static std::string check_compacted(const std::vector<int64_t>& offsets, int64_t begin, int64_t end);
    std::string check_groups(uint64_t operation, bool power);
    std::string check_offsets(uint64_t operation, bool power);
    std::string check_producer(uint64_t operation);
    std::string go_on();

    struct State {
        explicit State(uint64_t seed) : random(seed) {}
        SimRandom random;
        std::shared_ptr<std::deque<std::string>> texts =
            std::make_shared<std::deque<std::string>>();  // owners: the worlds that came from one another
        std::vector<TopicModel> topics;
        int64_t producer_id = -1;
        std::vector<Sent> sent;
        std::vector<Sent> unsent;  // those that were truncated away
        std::vector<Group> groups;
        Offsets offsets;
        int64_t offset_next = 1;
    };

    Options options_;
    State state_;
    SimClock clock_;
    const SimDisk* below_ = nullptr;
    bool failing_ = false;
    uint64_t opened_ = 0;
    uint32_t rings_ = 1;  // of the log that is open
    std::optional<Log> log_;
    struct Open {
        size_t topic;
        int32_t partition;
        Reader reader;
        bool cut = false;  // the log was truncated below where it stands, and it has not been told
    };
    std::vector<Open> readers_;  // of log_
    std::string fault_;
    std::vector<Error> errors_;
};

}  // namespace flowstone
