// Every bit of a whole directory, and every length of each of its files: what is damaged is harmless, because something
// else tells the same, or it is named. Nothing crashes or hangs, and no read returns what was not appended there.
//
// A sample of them, or with FLOWSTONE_SIM_EXHAUSTIVE all; FLOWSTONE_SIM_PART=K/N takes every Nth from the Kth on, so that
// several processes share the work.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include "log/environment.h"
#include "storage/batch.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

constexpr uint64_t sampled_flips = 1200;
constexpr uint64_t sampled_cuts = 300;

bool exhaustive() { return std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr; }

// Of all damages, those of this process.
struct Slice {
    size_t begin = 0;
    size_t step = 1;
};

Slice slice() {
    Slice out;
    const char* const text = std::getenv("FLOWSTONE_SIM_PART");
    if (text == nullptr) { return out; }
    char* rest = nullptr;
    out.begin = std::strtoull(text, &rest, 10);
    if (*rest == '/') { out.step = std::max(std::strtoull(rest + 1, nullptr, 10), 1ull); }
    return out;
}

// Left by a crash with commits in the journal that no file has; closed in order; or closed with a finished segment of
// 64 KiB, of which then only that and the files beside it are damaged.
enum class Shape : uint8_t { crashed, closed, segment };

const char* name_of(Shape shape) {
    switch (shape) {
        case Shape::crashed: return "Crashed";
        case Shape::closed: return "Closed";
        case Shape::segment: return "Segment";
    }
    return "";
}

struct Damage {
    std::string path;
    uint64_t at;  // bit to flip; or bytes to keep
    bool cut;
};

class FlipTest : public testing::TestWithParam<Shape> {
protected:
    void make();
    void make_segment(Log& log);
    std::vector<std::string> paths();
    std::vector<Damage> every_damage();
    std::vector<Damage> every_epoch_bit();
    std::unique_ptr<SimDisk> damaged(const Damage& damage) const;
    std::string judge(SimDisk& disk);
    void try_all(bool cuts, uint64_t sampled);
    std::string try_one(const Damage& damage);

private:
    using Part = std::pair<std::string, int32_t>;
    Result<Log> open(Disk& disk) {
        lines_.clear();
        Options options;
        options.journal_bytes_max = 8u << 20;
        options.reserve_bytes = 0;
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return open_log({&disk, &clock_, &random_}, "data", options);
    }
    void append(Log& log, const std::string& name, int32_t partition, int count, size_t bytes);
    void note_stored(Log& log);
    std::string read(Log& log, const Part& part, const std::vector<std::string>& ledger);
    std::string go_on(Log& log);
    static bool named(const Error& error) {
        const std::string_view detail(error.detail);
        const bool code = error.code == Code::corrupt || error.code == Code::unsupported ||
                          error.code == Code::invalid || error.code == Code::not_found;
        return code && detail.find("data") != std::string_view::npos;
    }
    bool said(std::string_view words) const {
        return std::ranges::any_of(lines_, [&](const std::string& line) { return line.find(words) != line.npos; });
    }

    std::map<Part, std::vector<std::string>> ledger_;
    std::map<Part, std::map<int64_t, std::vector<std::byte>>> stored_;  // whole batches, by base offset
    std::unique_ptr<SimDisk> disk_;
    SimClock clock_;
    SimRandom random_{1};
    std::vector<std::string> lines_;
    int texts_ = 0;
};

void FlipTest::append(Log& log, const std::string& name, int32_t partition, int count, size_t bytes) {
    Topic topic = value_of(log.topic(name));
    for (int i = 0; i < count; ++i) {
        std::string value = fmt::format("<{}>", texts_++);
        value.resize(bytes, static_cast<char>('a' + texts_ % 26));
        ASSERT_TRUE(topic.append({.key = "k", .value = value}, {.partition = partition}));
        ledger_[{name, partition}].push_back(value);
    }
}

void FlipTest::make() {
    SimDisk disk;
    const bool closed = GetParam() != Shape::crashed;
    const GroupOffset offsets[] = {{"events", 0, Offset{1}, ""}};
    for (const bool second : {false, true}) {
        auto opened = open(disk);
        ASSERT_TRUE(opened) << opened.error().message();
        Log log = std::move(*opened);
        if (!second) {
            ASSERT_TRUE(log.create_topic("events", {.partitions = 2, .configs = {{"internal.segment.bytes", "6000"}}}));
            ASSERT_TRUE(log.create_topic("packed", {.configs = {{"compression.type", "lz4"}}}));
            ASSERT_TRUE(log.commit_offsets("readers", offsets));
        }
        append(log, "events", 0, 8, 900);
        append(log, "events", 1, 2, 300);
        append(log, "packed", 0, 3, 500);
        if (GetParam() == Shape::segment && !second) { make_segment(log); }
        note_stored(log);
        if (!second || closed) { ASSERT_TRUE(log.close()); }
    }
    disk_ = disk.crash({.keep = Crash::Keep::nothing});
}

// Byte for byte, leader epochs and what else no checksum covers included.
void FlipTest::note_stored(Log& log) {
    for (const auto& [part, ledger] : ledger_) {
        Topic topic = value_of(log.topic(part.first));
        Reader reader = value_of(topic.read({.partition = part.second}));
        for (;;) {
            const Batch batch = value_of(reader.next());
            if (batch.empty()) { break; }
            stored_[part][batch.base_offset().value].assign(batch.bytes().begin(), batch.bytes().end());
        }
    }
}

// Its producer's snapshot lies where the next segment begins.
void FlipTest::make_segment(Log& log) {
    ASSERT_TRUE(log.create_topic("large", {.configs = {{"internal.segment.bytes", "65536"}}}));
    append(log, "large", 0, 20, 7'200);
}

// The files that are damaged.
std::vector<std::string> FlipTest::paths() {
    std::vector<std::string> paths;
    for (const DirectoryEntry& entry : value_of(disk_->list("data"))) {
        const std::string path = "data/" + entry.name;
        if (!entry.directory) {
            paths.push_back(path);
            continue;
        }
        for (const DirectoryEntry& inner : value_of(disk_->list(path))) { paths.push_back(path + "/" + inner.name); }
    }
    std::erase_if(paths, [](const std::string& path) {
        if (GetParam() == Shape::segment && !path.starts_with("data/large-0/")) { return true; }
        return path == "data/.lock";
    });
    return paths;
}

// Of the journal, which is mostly zeros, the blocks that are not.
std::vector<Damage> FlipTest::every_damage() {
    std::vector<Damage> all;
    for (const std::string& path : paths()) {
        const auto bytes = value_of(read_file(*disk_, path, 64u << 20));
        for (uint64_t block = 0; block < bytes.size(); block += 4096) {
            const Bytes here = Bytes(bytes).subspan(block, std::min<size_t>(4096, bytes.size() - block));
            const bool zeros = std::ranges::all_of(here, [](std::byte byte) { return byte == std::byte{0}; });
            if (zeros && bytes.size() > (1u << 20)) { continue; }
            for (uint64_t bit = block * 8; bit < (block + here.size()) * 8; ++bit) {
                all.push_back({path, bit, false});
            }
            for (uint64_t i = 0; i < here.size(); ++i) { all.push_back({path, block + i, true}); }
        }
    }
    return all;
}

// Of every batch in a segment.
std::vector<Damage> FlipTest::every_epoch_bit() {
    std::vector<Damage> all;
    for (const std::string& path : paths()) {
        if (!path.ends_with(".log")) { continue; }
        const auto bytes = value_of(read_file(*disk_, path, 64u << 20));
        for (uint64_t at = 0; at < bytes.size();) {
            const auto batch = BatchView::parse(Bytes(bytes).subspan(at));
            if (!batch) { break; }
            for (uint64_t bit = (at + 12) * 8; bit < (at + 16) * 8; ++bit) { all.push_back({path, bit, false}); }
            at += batch->size();
        }
    }
    return all;
}

std::unique_ptr<SimDisk> FlipTest::damaged(const Damage& damage) const {
    auto disk = disk_->crash({.keep = Crash::Keep::everything});
    auto file = value_of(disk->open(damage.path, {.write = true}));
    if (damage.cut) {
        EXPECT_TRUE(disk->truncate(*file, damage.at));
    } else {
        std::byte byte{};
        const BytePos at{static_cast<int64_t>(damage.at / 8)};
        EXPECT_TRUE(read_at(*disk, *file, at, {&byte, 1}));
        byte ^= std::byte{1} << (damage.at % 8);
        EXPECT_TRUE(write_at(*disk, *file, at, {&byte, 1}));
    }
    EXPECT_TRUE(sync(*disk, *file));
    return disk;
}

std::string FlipTest::judge(SimDisk& disk) {
    for (int opening = 0; opening < 2; ++opening) {
        auto opened = open(disk);
        if (!opened) { return named(opened.error()) ? "" : "the refusal names nothing: " + opened.error().message(); }
        Log log = std::move(*opened);
        for (const auto& [part, ledger] : ledger_) {
            if (std::string bad = read(log, part, ledger); !bad.empty()) {
                return fmt::format("{}-{}, opening {}: {}", part.first, part.second, opening, bad);
            }
        }
        const auto offsets = log.fetch_offsets("readers");
        if (offsets ? offsets->size() != 1 || offsets->front().offset != Offset{1} : !named(offsets.error())) {
            return "what a group committed is gone, and nobody says so";
        }
        if (opening == 0) {
            if (std::string bad = go_on(log); !bad.empty()) { return bad; }
        }
        const auto closed = log.close();
        if (!closed && !named(closed.error())) { return "close: " + closed.error().message(); }
    }
    return "";
}

std::string FlipTest::read(Log& log, const Part& part, const std::vector<std::string>& ledger) {
    auto topic = log.topic(part.first);
    if (!topic) { return "the topic is gone"; }
    auto reader = topic->read({.partition = part.second});
    if (!reader) { return named(reader.error()) ? "" : reader.error().message(); }
    int64_t next = 0;
    for (;;) {
        auto batch = reader->next();
        if (!batch) { return named(batch.error()) ? "" : batch.error().message(); }
        if (batch->empty()) { break; }
        for (const RecordView& record : *batch) {
            const int64_t offset = record.offset.value;
            const auto index = static_cast<size_t>(offset);
            if (offset != next) { return fmt::format("offset {} follows {}", offset, next - 1); }
            // What go_on() appends has this text; its offset is looked at there.
            if (record.value == "next") { return ""; }
            if (index >= ledger.size() || record.value != ledger[index]) {
                return fmt::format("wrong bytes at offset {}: {:.20}", offset, record.value.value_or("(none)"));
            }
            ++next;
        }
        const auto stored = stored_[part].find(batch->base_offset().value);
        if (stored == stored_[part].end() || !std::ranges::equal(stored->second, batch->bytes())) {
            return fmt::format("the batch at offset {} is not byte for byte what was stored",
                               batch->base_offset().value);
        }
    }
    // The last commit of a crash may be torn: nobody can tell, so it is said.
    const auto missing = static_cast<int64_t>(ledger.size()) - next;
    if (missing == 0 || (missing == 1 && said("the last commit does not hold"))) { return ""; }
    return fmt::format("{} records are gone, and nobody says so", missing);
}

// Appending works, or is refused with the damage's name.
std::string FlipTest::go_on(Log& log) {
    for (const auto& [part, ledger] : ledger_) {
        Topic topic = value_of(log.topic(part.first));
        const auto at = topic.append({.key = "k", .value = "next"}, {.partition = part.second});
        if (!at && !named(at.error())) { return "append: " + at.error().message(); }
        const bool torn = said("the last commit does not hold");
        const auto offset = at ? at->offset.value : static_cast<int64_t>(ledger.size());
        if (offset < static_cast<int64_t>(ledger.size()) - (torn ? 1 : 0)) {
            return fmt::format("{}-{}: offset {} was given again", part.first, part.second, offset);
        }
    }
    return "";
}

// All of them, or a sample that takes each with the same chance, whatever file it is in.
void FlipTest::try_all(bool cuts, uint64_t sampled) {
    std::vector<Damage> all = every_damage();
    std::erase_if(all, [&](const Damage& damage) { return damage.cut != cuts; });
    ASSERT_GT(all.size(), sampled);
    SimRandom random(3);
    int failures = 0;
    const auto [begin, step] = exhaustive() ? slice() : Slice{};
    for (size_t i = begin; i < (exhaustive() ? all.size() : sampled) && failures < 5; i += step) {
        const std::string bad = try_one(all[exhaustive() ? i : random.below(all.size())]);
        if (bad.empty()) { continue; }
        ++failures;
        ADD_FAILURE() << bad;
    }
}

std::string FlipTest::try_one(const Damage& damage) {
    const auto disk = damaged(damage);
    const std::string bad = judge(*disk);
    if (bad.empty()) { return {}; }
    return fmt::format("{}\n{} {} {}", bad, damage.path, damage.cut ? "cut to byte" : "bit", damage.at);
}

TEST_P(FlipTest, EveryBitIsHarmlessOrNamed) {
    ASSERT_NO_FATAL_FAILURE(make());
    try_all(false, sampled_flips);
}

// A batch's checksum does not cover it, so none of these is left to chance.
TEST_P(FlipTest, EveryBitOfALeaderEpochIsHarmlessOrNamed) {
    ASSERT_NO_FATAL_FAILURE(make());
    const std::vector<Damage> all = every_epoch_bit();
    ASSERT_FALSE(all.empty());
    for (const Damage& damage : all) { ASSERT_EQ(try_one(damage), ""); }
}

TEST_P(FlipTest, EveryLengthIsHarmlessOrNamed) {
    ASSERT_NO_FATAL_FAILURE(make());
    try_all(true, sampled_cuts);
}

INSTANTIATE_TEST_SUITE_P(Directories, FlipTest, testing::Values(Shape::crashed, Shape::closed, Shape::segment),
                         [](const auto& shape) { return std::string(name_of(shape.param)); });

}  // namespace
}  // namespace flowstone
