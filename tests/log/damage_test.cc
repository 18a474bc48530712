// What damage to a directory's files does to the log in it: named, fenced to what it hit, and never passed over.
#include "tests/log/log_world.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DamageTest : public LogWorld {
protected:
    // A copy of the files as they are, so that each kind of damage begins from the same.
    std::unique_ptr<SimDisk> copy() const { return disk_.crash({.keep = Crash::Keep::everything}); }
    static void flip(Disk& disk, const std::string& name, int64_t at) {
        auto file = disk.open("data/" + name, {.write = true});
        ASSERT_TRUE(file) << file.error().message();
        std::byte byte{};
        ASSERT_TRUE(read_at(disk, **file, BytePos{at}, {&byte, 1}));
        byte ^= std::byte{16};
        ASSERT_TRUE(write_at(disk, **file, BytePos{at}, {&byte, 1}));
    }
    // Opens and keeps what the log says about it.
    Result<Log> try_open(Disk& disk, Options options = {}) {
        lines_.clear();
        options.on_log = [this](std::string_view line) { lines_.emplace_back(line); };
        return open_log({&disk, &clock_, &random_}, "data", std::move(options));
    }

    std::vector<std::string> lines_;
};

TEST_F(DamageTest, AfterACleanCloseEitherSlotAloneTellsThatNothingIsMissing) {
    Log log = open();
    Topic topic = make(log, "events");
    fill(topic, 0, 20);
    const auto expected = read(topic);
    close(log);
    for (const std::string slot : {"flowstone-checkpoint-0", "flowstone-checkpoint-1"}) {
        const auto disk = copy();
        flip(*disk, slot, 40);
        auto again = try_open(*disk);
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_THAT(lines_, ElementsAre(HasSubstr("one checkpoint slot does not hold")));
        Topic found = value_of(again->topic("events"));
        EXPECT_EQ(read(found), expected);
    }
}

}  // namespace
}  // namespace flowstone
