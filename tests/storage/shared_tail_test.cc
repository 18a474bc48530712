// What readers of the shared tail see is what was published, whoever writes on meanwhile and wherever he stops.
#include "storage/shared_tail.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/world/sim_clock.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

using Found = SharedTailReader::Found;

constexpr Uuid log_id{{std::byte{7}}};
constexpr Uuid topic{{std::byte{1}, std::byte{2}}};
constexpr Uuid other_topic{{std::byte{1}, std::byte{3}}};

// Time passes each time that somebody looks.
class PassingClock final : public Clock {
public:
    int64_t wall_ms() override { return ns_ / 1'000'000; }
    int64_t monotonic_ns() override { return ns_ += 1'000'000; }

private:
    std::atomic<int64_t> ns_ = 0;
};

// A "batch": bytes that say of which partition and offset they are, as long as one wants.
std::vector<std::byte> batch_of(int32_t partition, int64_t offset, size_t bytes) {
    std::vector<std::byte> batch(bytes);
    for (size_t i = 0; i < bytes; ++i) {
        batch[i] = static_cast<std::byte>((offset * 31 + partition * 7 + static_cast<int64_t>(i)) & 0xff);
    }
    return batch;
}

class SharedTailTest : public testing::Test {
protected:
    explicit SharedTailTest(uint64_t bytes = 256u << 10)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(shared_page_bytes, bytes)), &std::free), bytes_(bytes) {
        std::memset(memory_.get(), 0, bytes);
    }
    MutableBytes memory() { return {memory_.get(), bytes_}; }
    SharedBell* bell() { return reinterpret_cast<SharedBell*>(memory_.get() + shared_page_bytes); }
    SharedPage& page(uint32_t number) {
        return reinterpret_cast<SharedPage*>(memory_.get() + 2 * shared_page_bytes)[number];
    }
    SharedTailWriter& writer() {
        if (!writer_) { writer_.emplace(memory(), log_id); }
        return *writer_;
    }
    SharedTailReader reader() { return value_of(SharedTailReader::over(memory(), bell(), clock_)); }
    // What is read from there: one batch after another, as text.
    static std::string text(const SharedTailReader::Copy& copy) {
        return {reinterpret_cast<const char*>(copy.batches.data()), copy.batches.size()};
    }
    void publish(uint32_t page, std::string_view bytes, int64_t base, int64_t next) {
        writer().publish(page, as_bytes(bytes), Offset{base}, Offset{next});
    }
    Found read(int64_t from) { return reader_->read(place_, topic, 0, Offset{from}, copy_); }
    // A partition with a reader that found it.
    uint32_t start(int64_t log_start = 0, int64_t end = 0) {
        const uint32_t page = *writer().add(topic, 0, Offset{log_start}, Offset{end});
        reader_ = reader();
        place_ = {.page = *reader_->page_of(topic, 0), .offset = {}, .at = 0};
        return page;
    }

    std::unique_ptr<std::byte, decltype(&std::free)> memory_;
    uint64_t bytes_;
    PassingClock clock_;
    std::optional<SharedTailWriter> writer_;
    std::optional<SharedTailReader> reader_;
    SharedTailReader::Place place_;
    SharedTailReader::Copy copy_;
};

TEST_F(SharedTailTest, WhatWasPublishedIsRead) {
    const uint32_t page = start();
    EXPECT_EQ(read(0), Found::end);
    publish(page, "first", 0, 3);
    ASSERT_EQ(read(0), Found::batches);
    EXPECT_EQ(text(copy_), "first");
    EXPECT_EQ(copy_.end, Offset{3});
    EXPECT_EQ(read(3), Found::end);
}

TEST_F(SharedTailTest, WhoReadsOnGetsWhatIsNewAlone) {
    const uint32_t page = start();
    publish(page, "one", 0, 1);
    ASSERT_EQ(read(0), Found::batches);
    publish(page, "four", 1, 2);  // the same run goes on, inside a word
    publish(page, "eleven chars", 2, 3);
    ASSERT_EQ(read(1), Found::batches);
    EXPECT_EQ(text(copy_), "foureleven chars");
    // Who comes from elsewhere gets the run from its beginning, and skips what it has.
    place_ = {.page = place_.page, .offset = {}, .at = 0};
    ASSERT_EQ(read(1), Found::batches);
    EXPECT_EQ(text(copy_), "onefoureleven chars");
}

TEST_F(SharedTailTest, OffsetsThatAreNotHereAreElsewhere) {
    const uint32_t page = start(5, 100);
    EXPECT_EQ(read(100), Found::end);
    EXPECT_EQ(read(99), Found::elsewhere);   // published before there was a tail
    EXPECT_EQ(read(101), Found::elsewhere);  // nobody gave it yet
    publish(page, "later", 100, 110);
    EXPECT_EQ(read(99), Found::elsewhere);
    EXPECT_EQ(read(104), Found::batches);
    writer().set_log_start(page, Offset{110});
    EXPECT_EQ(read(104), Found::elsewhere);  // trimmed away
    EXPECT_EQ(read(110), Found::end);
    place_.page = 1'000'000;
    EXPECT_EQ(read(110), Found::elsewhere);
}

TEST_F(SharedTailTest, APageGoesToAnotherPartition) {
    const uint32_t page = start();
    publish(page, "old", 0, 1);
    writer().remove(page);
    EXPECT_EQ(read(0), Found::elsewhere);
    ASSERT_EQ(writer().add(other_topic, 0, Offset{0}, Offset{0}), page);
    publish(page, "new", 0, 1);
    EXPECT_EQ(read(0), Found::elsewhere);
    EXPECT_FALSE(reader_->page_of(topic, 0));
    EXPECT_EQ(reader_->page_of(other_topic, 0), page);
    EXPECT_FALSE(reader_->page_of(other_topic, 1));
}

TEST_F(SharedTailTest, PagesEnd) {
    std::optional<uint32_t> page;
    int32_t added = 0;
    while ((page = writer().add(topic, added, Offset{0}, Offset{0}))) { ++added; }
    EXPECT_EQ(added, bytes_ / shared_page_bytes / 8);
    writer().remove(0);
    EXPECT_TRUE(writer().add(topic, added, Offset{0}, Offset{0}));
}

TEST_F(SharedTailTest, WhatIsTooLargeIsElsewhereAndWhatFollowsIsHere) {
    const uint32_t page = start();
    publish(page, "before", 0, 1);
    writer().publish(page, batch_of(0, 1, bytes_ / 2), Offset{1}, Offset{2});
    EXPECT_EQ(read(1), Found::elsewhere);
    publish(page, "behind", 2, 3);
    ASSERT_EQ(read(2), Found::batches);
    EXPECT_EQ(text(copy_), "behind");
    ASSERT_EQ(read(0), Found::batches);
    EXPECT_EQ(text(copy_), "before");
}

TEST_F(SharedTailTest, NoRunGoesAroundTheRingsEnd) {
    const uint32_t page = start();
    const uint64_t pages = bytes_ / shared_page_bytes;
    const uint64_t ring_bytes = (pages - 2 - pages / 8) * shared_page_bytes;
    for (int64_t i = 0; i < 4; ++i) {
        writer().publish(page, batch_of(0, i, ring_bytes / 4), Offset{i}, Offset{i + 1});
    }
    publish(page, "at the beginning again", 4, 5);
    ASSERT_EQ(read(4), Found::batches);
    EXPECT_EQ(text(copy_), "at the beginning again");
    EXPECT_EQ(read(0), Found::elsewhere);
}

// Against a model that remembers everything: what is read is what was published, and only what is old is not there.
TEST_F(SharedTailTest, AnyPublicationsReadFromAnywhere) {
    constexpr int32_t partitions = 3;
    std::mt19937_64 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    struct Model {
        uint32_t page = 0;
        std::vector<std::vector<std::byte>> batches;  // one record each
        std::vector<uint64_t> published_at;           // bytes of all partitions before it
    };
    std::array<Model, partitions> models;
    for (int32_t i = 0; i < partitions; ++i) { models[i].page = *writer().add(topic, i, Offset{0}, Offset{0}); }
    const SharedTailReader reader = this->reader();
    std::array<SharedTailReader::Place, partitions> places;
    for (int32_t i = 0; i < partitions; ++i) { places[i].page = *reader.page_of(topic, i); }
    uint64_t published = 0;
    uint64_t found = 0;
    uint64_t gone = 0;
    for (int turn = 0; turn < 20'000; ++turn) {
        const auto number = static_cast<int32_t>(random() % partitions);
        Model& model = models[number];
        const auto end = static_cast<int64_t>(model.batches.size());
        if (random() % 2 == 0) {
            const size_t bytes = 1 + random() % (random() % 16 == 0 ? 20'000 : 300);
            auto batch = batch_of(number, end, bytes);
            writer().publish(model.page, batch, Offset{end}, Offset{end + 1});
            published += bytes;
            model.published_at.push_back(published);
            model.batches.push_back(std::move(batch));
            continue;
        }
        // Where it stood; somewhere near the end; anywhere.
        const uint64_t kind = random() % 4;
        const uint64_t back = random() % (static_cast<uint64_t>(end) + 1);
        const int64_t from = kind < 2    ? std::clamp<int64_t>(places[number].offset.value, 0, end)
                             : kind == 2 ? end - static_cast<int64_t>(std::min<uint64_t>(back, random() % 16))
                                         : end - static_cast<int64_t>(back);
        const Found answer = reader.read(places[number], topic, number, Offset{from}, copy_);
        if (from == end) {
            ASSERT_EQ(answer, Found::end);
            continue;
        }
        const uint64_t behind = published - model.published_at[static_cast<size_t>(from)];
        if (answer != Found::batches) {
            ASSERT_EQ(answer, Found::elsewhere);
            // Behind it there is half a ring at least, or more runs than a page keeps.
            ASSERT_TRUE(behind > bytes_ / 2 || end - from >= static_cast<int64_t>(SharedPage::runs_kept)) << behind;
            ++gone;
            continue;
        }
        ++found;
        // Whole batches, the first of them at or before the offset, up to one behind it.
        Bytes rest = copy_.batches;
        int64_t first = from;
        const auto fits = [&](int64_t at) {
            const auto& batch = model.batches[static_cast<size_t>(at)];
            return rest.size() >= batch.size() && std::ranges::equal(rest.first(batch.size()), batch);
        };
        while (first >= 0 && !fits(first)) { --first; }
        ASSERT_GE(first, 0);
        int64_t at = first;
        while (!rest.empty()) {
            ASSERT_LT(at, end);
            ASSERT_TRUE(fits(at)) << at << " of " << from;
            rest = rest.subspan(model.batches[static_cast<size_t>(at++)].size());
        }
        ASSERT_GT(at, from);
    }
    EXPECT_GT(found, 1'000u);
    EXPECT_GT(gone, 100u);
}

// A reader as fast as it can, beside a writer as fast as it can: never a byte that was not published there.
TEST_F(SharedTailTest, ReadersBesideAWriter) {
    constexpr int64_t batches = 40'000;
    constexpr size_t bytes = 777;
    const uint32_t page = start();
    std::atomic<bool> wrong = false;
    std::atomic<int64_t> read_in_all = 0;
    const auto follow = [&] {
        const SharedTailReader reader = this->reader();
        SharedTailReader::Place place{.page = *reader.page_of(topic, 0), .offset = {}, .at = 0};
        SharedTailReader::Copy copy;
        int64_t next = 0;
        while (next < batches) {
            const Found found = reader.read(place, topic, 0, Offset{next}, copy);
            if (found == Found::elsewhere) {
                ++next;  // the writer came round: this one is gone
                continue;
            }
            if (found != Found::batches) { continue; }
            // The run may begin before it.
            const auto count = static_cast<int64_t>(copy.batches.size() / bytes);
            for (int64_t i = 0; i < count; ++i) {
                const int64_t offset = place.offset.value - count + i;
                const auto expected = batch_of(0, offset, bytes);
                if (!std::ranges::equal(copy.batches.subspan(static_cast<size_t>(i) * bytes, bytes), expected)) {
                    wrong = true;
                }
            }
            next = place.offset.value;
            read_in_all += count;
        }
    };
    std::thread first(follow);
    std::thread second(follow);
    for (int64_t i = 0; i < batches; ++i) { writer().publish(page, batch_of(0, i, bytes), Offset{i}, Offset{i + 1}); }
    first.join();
    second.join();
    EXPECT_FALSE(wrong);
    EXPECT_GT(read_in_all, 0);
}

// The oldest run that a page keeps is the next to be replaced: what is said of it is of one moment.
TEST_F(SharedTailTest, RunsThatAreReplacedWhileTheyAreLookedUp) {
    constexpr int reads = 200'000;
    const uint32_t page = start();
    const uint32_t between = *writer().add(other_topic, 0, Offset{0}, Offset{0});  // so that no run goes on
    std::atomic<int64_t> published = 0;
    std::atomic<bool> done = false;
    const auto said = [](int64_t offset) { return std::to_string(offset); };
    std::thread writing([&] {
        for (int64_t i = 0; !done; ++i) {
            publish(page, said(i), i, i + 1);
            publish(between, "x", i, i + 1);
            published = i + 1;
        }
    });
    for (int found = 0, turn = 0; found < reads; ++turn) {
        const int64_t from = published - static_cast<int64_t>(SharedPage::runs_kept) + turn % 2;
        if (from < 0 || read(from) != Found::batches) { continue; }
        ++found;
        if (text(copy_) != said(from)) {
            ADD_FAILURE() << text(copy_) << " is not " << said(from);
            break;
        }
    }
    done = true;
    writing.join();
}

TEST_F(SharedTailTest, AWriterThatStoppedInsideBlocksNobody) {
    const uint32_t page = start();
    publish(page, "whole", 0, 1);
    this->page(page).sequence.fetch_add(1);  // killed between the two
    EXPECT_EQ(read(0), Found::stalled);
    this->page(page).sequence.fetch_add(1);
    EXPECT_EQ(read(0), Found::batches);
}

TEST_F(SharedTailTest, WhatCannotBeIsElsewhere) {
    const uint32_t page = start();
    publish(page, "whole", 0, 1);
    SharedRun& run = this->page(page).run[0];
    const auto with = [&](uint64_t at, uint64_t bytes) {
        run.at = at;
        run.bytes = bytes;
        return read(0);
    };
    EXPECT_EQ(with(0, 0), Found::elsewhere);
    EXPECT_EQ(with(0, bytes_), Found::elsewhere);
    EXPECT_EQ(with(0, UINT64_MAX), Found::elsewhere);
    EXPECT_NE(with(UINT64_MAX - 8, 16), Found::stalled);  // bytes of the ring, which the batch that is none will tell
    this->page(page).runs = UINT64_MAX;
    EXPECT_NE(read(0), Found::stalled);
}

TEST_F(SharedTailTest, WhatIsNoTailIsRefused) {
    const auto refusal = [&](Bytes of) {
        const auto opened = SharedTailReader::over(of, nullptr, clock_);
        return opened ? std::optional<Code>() : opened.error().code;
    };
    EXPECT_EQ(refusal(memory()), Code::busy);  // zeros
    writer();
    EXPECT_EQ(refusal(memory()), std::nullopt);
    EXPECT_EQ(refusal(memory().first(shared_page_bytes)), Code::corrupt);
    EXPECT_EQ(refusal(memory().first(bytes_ - shared_page_bytes * 8)), Code::corrupt);
    auto& head = *reinterpret_cast<SharedHead*>(memory_.get());
    head.version = 2;
    EXPECT_EQ(refusal(memory()), Code::unsupported);
    head.magic[0] = 'X';
    EXPECT_EQ(refusal(memory()), Code::corrupt);
}

TEST_F(SharedTailTest, WhoSleepsIsWoken) {
    const uint32_t page = start();
    std::atomic<uint32_t> own = 0;
    std::thread sleeper([&] {
        for (;;) {
            const uint32_t ticket = reader_->ticket();
            EXPECT_TRUE(reader_->announce());
            if (read(0) == Found::batches) { return; }
            sleep_while_both({own, 0}, {reader_->word(), ticket}, -1);
        }
    });
    publish(page, "there", 0, 1);
    writer().ring_the_bell();
    sleeper.join();  // hangs when it is not
    EXPECT_EQ(text(copy_), "there");
}

TEST_F(SharedTailTest, WhoSleepsIsWokenByItsOwnWord) {
    start();
    std::atomic<uint32_t> own = 0;
    std::thread sleeper([&] {
        while (own == 0) { sleep_while_both({own, 0}, {reader_->word(), reader_->ticket()}, -1); }
    });
    own = 1;
    wake_all(own);
    sleeper.join();
}

TEST_F(SharedTailTest, ACloseIsSeen) {
    start();
    EXPECT_FALSE(reader_->closed());
    const uint32_t ticket = reader_->ticket();
    writer().close();
    EXPECT_TRUE(reader_->closed());
    EXPECT_NE(reader_->ticket(), ticket);
}

}  // namespace
}  // namespace flowstone
