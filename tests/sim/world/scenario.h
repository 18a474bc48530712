// The standard scenario: every kind of work a log does, once, in a fixed order, and what was promised on the way.
//
// open, topics of all three levels, appends alone and together, the direct path, rolls, trims, consumer offsets, a
// checkpoint, death and reopening, an idempotent producer, retention, compaction, deletion and re-creation under the
// same name, a truncation, a change of level, close, reopen, read all. It goes on after every error, so that it can be run
// on a disk whose calls fail; the errors are kept. check() then opens the disk once more and compares.
//
// Records carry texts that no other record has. A model knows by offset which may be there, and how many must be.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/environment.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

class Scenario {
public:
    struct Options {
        uint32_t threads = 0;
        std::string directory = "data";
        std::function<uint64_t()> calls = [] { return uint64_t{0}; };  // of the disk so far: when an error's work began
    };
    // What the world did after the last call to this log.
    enum class Since : uint8_t { close, kill, power_loss };
    struct Trouble {
        Error error;
        std::string what;
        uint64_t begun;  // calls of the disk when that work began
    };
    // One opening, in calls of the disk.
    struct Life {
        uint64_t opened;
        uint64_t ended = 0;
        uint64_t acknowledged = 0;  // when the last append began that was acknowledged
    };

    Scenario() : Scenario(Options{}) {}
    explicit Scenario(Options options) : options_(std::move(options)) {}
    // What it knows, without the log it has open: each state of one disk is checked by a copy.
    Scenario(const Scenario& other) : options_(other.options_), state_(other.state_) {}

    void run(Disk& disk);

    // Opens the disk again, whose calls do not fail any more, checks it, appends everywhere, closes it in order and
    // verifies every file. Returns what is wrong, or "". What was found is the new state.
    std::string check(Disk& disk, Since since);

    // Promises broken and answers that cannot be while running; "" is good.
    const std::string& fault() const { return fault_; }
    const std::vector<Trouble>& troubles() const { return troubles_; }
    const std::vector<Life>& lives() const { return lives_; }

private:
    enum class Done : uint8_t { no, maybe, yes };
    struct Part {
        std::vector<std::string> values;  // by offset: what is there, if anything is
        int64_t kept = 0;                 // so many must be there after power loss
        int64_t written = 0;              // and after the death of the process
        int64_t here = 0;                 // and can be read while the log is open
        int64_t end = 0;                  // where it was seen to end
        int64_t trimmed = 0;              // the log starts there or later
        int64_t trim_asked = 0;           // and no later than there
        bool uncertain = false;           // a truncation failed: until the next opening nobody knows where it ends
    };
    struct TopicModel {
        std::string name;
        std::optional<Uuid> id;  // known once creating it was answered
        Durability level = Durability::durable;
        bool compacted = false;
        uint64_t retained_bytes = 0;  // 0: no retention
        Done created = Done::no;
        Done deleted = Done::no;
        std::vector<Part> parts;

        bool live() const { return created == Done::yes && deleted == Done::no; }
        Part& part(int32_t partition) { return parts[static_cast<size_t>(partition)]; }
        const Part& part(int32_t partition) const { return parts[static_cast<size_t>(partition)]; }
        int32_t partitions() const { return static_cast<int32_t>(parts.size()); }
    };
    struct Together {  // parts that are there all or none
        struct In {
            size_t topic;
            int32_t partition;
            int64_t end;
        };
        std::vector<In> in;
        int64_t offset;  // of the consumer group, committed with it
    };

    void step() { begun_ = options_.calls(); }
    bool open(Disk& disk, Since since);
    void end();
    void first_life();
    void second_life();
    void make(const std::string& name, int32_t partitions, ConfigMap configs);
    void append(std::string_view name, int32_t partition, size_t bytes, int count, bool wait = true);
    void append_everywhere();
    void append_once();
    void append_together();
    void commit_offset();
    void trim();
    void truncate();
    void remove(std::string_view name);
    void shift();
    void checkpoint();
    void maintain();
    void close();

    struct FoundRecord {
        int64_t offset;
        std::string key;
        std::string value;
    };
    struct Found {
        int64_t start;
        int64_t end;      // of what is visible
        int64_t log_end;  // of what was appended
        std::vector<FoundRecord> records;
    };
    Result<Found> read(const std::string& name, int32_t partition);
    std::optional<Found> read_twice(const std::string& name, int32_t partition);
    std::string compare(const TopicModel& topic, int32_t partition, const Found& found, int64_t must) const;
    void read_all();
    bool look(Since since);
    std::string check_topics();
    std::string check_together() const;
    void check_offsets();

    std::optional<size_t> live(std::string_view name) const;
    std::string make_value(size_t bytes);
    void acknowledged(size_t topic, int32_t partition, int64_t end);
    void shown(size_t topic, int32_t partition, int64_t end);
    void keep_everything();
    bool good(const Error& error, const char* what, bool append = false);
    template <class T>
    bool good(const Result<T>& result, const char* what, bool append = false) {
        return result ? true : good(result.error(), what, append);
    }
    void wrong(std::string text) {
        if (fault_.empty()) { fault_ = std::move(text); }
    }

    struct Known {
        SimRandom random{1};
        uint64_t texts = 0;
        std::vector<TopicModel> topics;
        std::vector<Together> together;
        int64_t producer_id = -1;
        int32_t sequence = 0;
        int64_t offset_asked = 0;  // of the group that commits alone
        int64_t offset_kept = 0;
        int64_t offset_next = 1;  // of the group that commits with an atomic append
        // A write or sync failed: what only the page cache had may be gone, as after power loss.
        bool lossy = false;
    };

    Options options_;
    Known state_;
    SimClock clock_;
    std::optional<Log> log_;
    uint64_t begun_ = 0;
    bool closed_ = false;  // the last life ended in order
    std::string fault_;
    std::vector<Trouble> troubles_;
    std::vector<Life> lives_;
};

}  // namespace flowstone
