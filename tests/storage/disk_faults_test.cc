// What each room makes of a kernel that moves less than asked, interrupts, cancels, refuses or answers out of order. Below
// the simulated room it is FaultyDisk that plays the kernel.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <filesystem>

#include "storage/impl/uring_disk.h"
#include "storage/limits.h"
#include "storage/try.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

// What the next calls of a kind do: a negative errno, or at most this many bytes. Empty: as the kernel would.
struct Script {
    std::deque<int64_t> moves;
    std::deque<int64_t> syncs;
    bool dsync_refused = false;
    std::vector<int> write_flags;  // of every pwritev2
    int sync_calls = 0;
    int move_calls = 0;
};
Script* script = nullptr;  // of the test that runs

std::optional<int64_t> next(std::deque<int64_t>& from) {
    if (from.empty()) { return std::nullopt; }
    const int64_t value = from.front();
    if (from.size() > 1 || value >= 0) { from.pop_front(); }
    return value;
}

// Errors repeat when they are the last of the script, so that one entry says "for ever".
constexpr int64_t normal = int64_t{1} << 40;

std::vector<iovec> at_most(const iovec* pieces, int count, int64_t bytes) {
    std::vector<iovec> cut(pieces, pieces + count);
    for (iovec& piece : cut) {
        piece.iov_len = std::min(piece.iov_len, static_cast<size_t>(bytes));
        bytes -= static_cast<int64_t>(piece.iov_len);
    }
    std::erase_if(cut, [](const iovec& piece) { return piece.iov_len == 0; });
    return cut;
}

ssize_t scripted_read(int fd, const iovec* pieces, int count, off_t at) {
    ++script->move_calls;
    const int64_t bytes = next(script->moves).value_or(normal);
    if (bytes < 0) {
        errno = static_cast<int>(-bytes);
        return -1;
    }
    const auto cut = at_most(pieces, count, bytes);
    return ::preadv(fd, cut.data(), static_cast<int>(cut.size()), at);
}

ssize_t scripted_write(int fd, const iovec* pieces, int count, off_t at, int flags) {
    ++script->move_calls;
    script->write_flags.push_back(flags);
    if (flags != 0 && script->dsync_refused) {
        errno = EOPNOTSUPP;
        return -1;
    }
    const int64_t bytes = next(script->moves).value_or(normal);
    if (bytes < 0) {
        errno = static_cast<int>(-bytes);
        return -1;
    }
    if (bytes == 0) { return 0; }
    const auto cut = at_most(pieces, count, bytes);
    return ::pwritev(fd, cut.data(), static_cast<int>(cut.size()), at);
}

int scripted_sync(int) {
    ++script->sync_calls;
    const int64_t result = next(script->syncs).value_or(0);
    errno = static_cast<int>(-result);
    return result < 0 ? -1 : 0;
}

constexpr SystemCalls scripted_calls{scripted_read, scripted_write, scripted_sync, scripted_sync};

// Performs requests like a kernel that ends the last one first, by the same script. Refuses to take requests, or takes
// only some, by `submissions`.
class ScriptedRing final : public Ring {
public:
    struct Submissions {
        std::deque<int> results;     // how many to take at most, or a negative errno (the last one for ever)
        size_t room = ring_entries;  // a kernel that holds so many is busy until one has ended
        int rings = 0;               // opened so far
        uint32_t in_kernel_most = 0;
        std::vector<uint32_t> ended;
    };
    explicit ScriptedRing(Submissions& submissions) : submissions_(submissions) { ++submissions_.rings; }
    ~ScriptedRing() override { EXPECT_TRUE(taken_.empty()) << "a request outlives its ring"; }

    void prepare(uint32_t slot, const Request& request) override { queued_.push_back({slot, request}); }
    int submit_and_wait() override {
        const int taken = submit();
        if (taken >= 0 && queued_.empty()) {
            end_last();
        }  // a kernel that could not take everything does not wait either
        return taken;
    }
    int submit() override {
        auto limit = static_cast<int>(queued_.size());
        if (!submissions_.results.empty()) {
            const int wanted = submissions_.results.front();
            if (wanted >= 0 || submissions_.results.size() > 1) { submissions_.results.pop_front(); }
            if (wanted < 0) { return wanted; }
            limit = std::min(limit, wanted);
        }
        if (taken_.size() + static_cast<size_t>(limit) > submissions_.room) {
            limit = static_cast<int>(submissions_.room - taken_.size());
            if (limit == 0) { return -EBUSY; }
        }
        taken_.insert(taken_.end(), queued_.begin(), queued_.begin() + limit);
        queued_.erase(queued_.begin(), queued_.begin() + limit);
        submissions_.in_kernel_most = std::max(submissions_.in_kernel_most, static_cast<uint32_t>(taken_.size()));
        return limit;
    }
    int wait() override {
        EXPECT_FALSE(taken_.empty()) << "this would wait for ever";
        end_last();
        return 0;
    }
    std::optional<Completion> reap() override {
        if (ended_.empty()) { return std::nullopt; }
        const Completion completion = ended_.front();
        ended_.pop_front();
        return completion;
    }

private:
    void end_last() {
        if (taken_.empty()) { return; }
        const auto [slot, request] = taken_.back();
        taken_.pop_back();
        const auto count = static_cast<int>(request.pieces.size());
        const auto at = static_cast<off_t>(request.at);
        int64_t result = 0;
        switch (request.kind) {
            case Io::Kind::read: result = scripted_read(request.fd, request.pieces.data(), count, at); break;
            case Io::Kind::write: result = scripted_write(request.fd, request.pieces.data(), count, at, 0); break;
            case Io::Kind::write_durable:
                result = scripted_write(request.fd, request.pieces.data(), count, at, RWF_DSYNC);
                break;
            case Io::Kind::sync: result = scripted_sync(request.fd); break;
        }
        ended_.push_back({slot, static_cast<int32_t>(result < 0 ? -errno : result)});
        submissions_.ended.push_back(slot);
    }

    Submissions& submissions_;
    std::deque<std::pair<uint32_t, Request>> queued_;
    std::deque<std::pair<uint32_t, Request>> taken_;
    std::deque<Completion> ended_;
};

class DiskFaults : public testing::TestWithParam<const char*> {
protected:
    DiskFaults() {
        script = &script_;
        const std::string room = GetParam();
        if (room == "simulated") {
            open_simulated();
        } else {
            std::string name = std::filesystem::temp_directory_path() / "flowstone_faults_XXXXXX";
            root_ = ::mkdtemp(name.data());
        }
        if (room == "posix") { disk_ = std::make_unique<PosixDisk>(scripted_calls); }
        if (room == "io_uring") {
            disk_ = std::make_unique<UringDisk>([this] { return std::make_unique<ScriptedRing>(submissions_); },
                                                scripted_calls);
        }
        file_ = open({.write = true, .create = true});
    }
    ~DiskFaults() override {
        file_.reset();
        beside_.reset();
        disk_.reset();
        if (below_ == nullptr) { std::filesystem::remove_all(root_); }
        script = nullptr;
    }
    void open_simulated() {
        root_ = "root";
        below_ = std::make_unique<SimDisk>();
        EXPECT_TRUE(below_->make_directory(root_));
        auto disk = std::make_unique<FaultyDisk>(*below_);
        disk->kernel([this](Io::Kind kind, uint64_t) {
            ++(kind == Io::Kind::sync ? script_.sync_calls : script_.move_calls);
            return next(kind == Io::Kind::sync ? script_.syncs : script_.moves).value_or(normal);
        });
        disk_ = std::move(disk);
    }
    std::unique_ptr<File> open(OpenOptions options) { return value_of(disk_->open(join_path(root_, "a"), options)); }

    // Runs one request beside a second one on another file, so that the io_uring room uses its ring.
    Io run(Io request) {
        if (beside_ == nullptr) {
            beside_ = value_of(disk_->open(join_path(root_, "beside"), {.write = true, .create = true}));
        }
        Io both[] = {{.kind = Io::Kind::read, .file = beside_.get()}, request};
        disk_->run(both);
        return both[1];
    }
    Io move(Io::Kind kind, std::string& text, uint64_t at = 0) {
        // Three pieces of different sizes, so that short transfers end inside and between them.
        const size_t third = text.size() / 3;
        pieces_[0] = {text.data(), third};
        pieces_[1] = {text.data() + third, 1};
        pieces_[2] = {text.data() + third + 1, text.size() - third - 1};
        return run({.kind = kind, .file = file_.get(), .at = BytePos{static_cast<int64_t>(at)}, .pieces = pieces_});
    }
    std::string content() {
        script_.moves.clear();
        return std::string(as_text(value_of(read_file(*disk_, join_path(root_, "a"), 1 << 20))));
    }

    Script script_;
    ScriptedRing::Submissions submissions_;
    std::string root_;
    std::unique_ptr<SimDisk> below_;  // in the simulated room
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<File> file_;
    std::unique_ptr<File> beside_;
    iovec pieces_[3];
};

INSTANTIATE_TEST_SUITE_P(Room, DiskFaults, testing::Values("posix", "io_uring", "simulated"),
                         [](const auto& param) { return std::string(param.param); });

// What only a kernel can do.
class DiskFaultsOfKernels : public DiskFaults {};

INSTANTIATE_TEST_SUITE_P(Room, DiskFaultsOfKernels, testing::Values("posix", "io_uring"),
                         [](const auto& param) { return std::string(param.param); });

std::string letters(size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) { text += static_cast<char>('a' + i % 26); }
    return text;
}

TEST_P(DiskFaults, ShortWritesGoOnWhereTheyStopped) {
    for (const auto& moves : {std::deque<int64_t>{1, 1, 1}, {30, 5}, {33, 1, 1}, {34}, {99}}) {
        script_.moves = moves;
        std::string text = letters(100);
        const Io done = move(Io::Kind::write, text);
        EXPECT_EQ(done.os_errno, 0);
        EXPECT_EQ(done.done, 100u);
        EXPECT_EQ(content(), text);
        ASSERT_TRUE(disk_->truncate(*file_, 0));
    }
}

TEST_P(DiskFaults, ShortReadsGoOnUntilTheEndOfTheFile) {
    std::string text = letters(100);
    ASSERT_EQ(move(Io::Kind::write, text).os_errno, 0);
    script_.moves = {40, 1, 20};
    std::string found(150, '?');
    const Io done = move(Io::Kind::read, found);
    EXPECT_EQ(done.os_errno, 0);
    EXPECT_EQ(done.done, 100u);
    EXPECT_EQ(found, text + std::string(50, '?'));
}

TEST_P(DiskFaults, InterruptedRequestsAreRepeated) {
    for (const int os_errno : {EINTR, EAGAIN, ECANCELED}) {
        script_.moves = {-os_errno, -os_errno, 10, -os_errno, normal};
        std::string text = letters(100);
        Io done = move(Io::Kind::write, text);
        EXPECT_EQ(done.os_errno, 0) << os_errno;
        EXPECT_EQ(content(), text);
        script_.moves = {-os_errno, 10, -os_errno, normal};
        std::string found(100, '?');
        done = move(Io::Kind::read, found);
        EXPECT_EQ(done.os_errno, 0);
        EXPECT_EQ(found, text);
        script_.syncs = {-os_errno, 0};
        script_.sync_calls = 0;
        EXPECT_EQ(run({.kind = Io::Kind::sync, .file = file_.get()}).os_errno, 0);
        EXPECT_EQ(script_.sync_calls, 2);
    }
}

TEST_P(DiskFaults, WhatNeverGetsThroughEndsWithItsError) {
    for (const int os_errno : {EINTR, EAGAIN, ECANCELED}) {
        script_.moves = {10, -os_errno};
        script_.move_calls = 0;
        std::string text = letters(100);
        const Io done = move(Io::Kind::write, text);
        EXPECT_EQ(done.os_errno, os_errno);
        EXPECT_EQ(done.done, 10u);
        EXPECT_LE(script_.move_calls, static_cast<int>(io_attempts_max) + 2);
    }
}

TEST_P(DiskFaults, TroubleIsCountedSinceTheLastProgress) {
    std::string text = letters(io_attempts_max + 100);
    script_.moves.clear();
    for (size_t i = 0; i < text.size(); ++i) { script_.moves.insert(script_.moves.end(), {-EINTR, 1}); }
    EXPECT_EQ(move(Io::Kind::write, text).os_errno, 0);
    EXPECT_EQ(content(), text);
}

TEST_P(DiskFaults, ErrorsAreReportedOnceAndNotRetried) {
    for (const int os_errno : {EIO, ENOSPC, EDQUOT, ENOMEM}) {
        script_.moves = {10, -os_errno};
        script_.move_calls = 0;
        std::string text = letters(100);
        Io done = move(Io::Kind::write_durable, text);
        EXPECT_EQ(done.os_errno, os_errno);
        EXPECT_EQ(done.done, 10u);
        EXPECT_EQ(script_.move_calls, 2);
        done = move(Io::Kind::read, text);
        EXPECT_EQ(done.os_errno, os_errno);
        script_.moves.clear();
        script_.syncs = {-os_errno};
        script_.sync_calls = 0;
        EXPECT_EQ(run({.kind = Io::Kind::sync, .file = file_.get()}).os_errno, os_errno);
        EXPECT_EQ(script_.sync_calls, 1) << "a failed sync is never repeated";
    }
    script_.moves = {-ENOSPC};
    EXPECT_EQ(write_at(*disk_, *file_, BytePos{7}, as_bytes("x")).error().code, Code::no_space);
    script_.moves = {-EIO};
    const Error error = write_at(*disk_, *file_, BytePos{7}, as_bytes("x")).error();
    EXPECT_EQ(error.code, Code::io);
    EXPECT_THAT(error.message(), testing::HasSubstr(join_path(root_, "a") + " at 7"));
}

TEST_P(DiskFaults, AWriteThatMovesNothingIsAnError) {
    script_.moves = {0};
    std::string text = letters(10);
    EXPECT_EQ(move(Io::Kind::write, text).os_errno, EIO);
}

TEST_P(DiskFaultsOfKernels, DurableWritesCarryTheFlagInEveryPart) {
    script_.moves = {10, -EINTR, 20, normal};
    std::string text = letters(100);
    ASSERT_EQ(move(Io::Kind::write_durable, text).os_errno, 0);
    EXPECT_THAT(script_.write_flags, testing::AllOf(testing::SizeIs(4), testing::Each(RWF_DSYNC)));
    EXPECT_EQ(script_.sync_calls, 0);
    ASSERT_EQ(move(Io::Kind::write, text).os_errno, 0);
    EXPECT_EQ(script_.write_flags.back(), 0);
}

TEST_P(DiskFaultsOfKernels, WhereTheFlagIsRefusedEveryPartIsSyncedAfterIt) {
    script_.dsync_refused = true;
    script_.moves = {10, 20, normal};
    std::string text = letters(100);
    ASSERT_EQ(move(Io::Kind::write_durable, text).os_errno, 0);
    EXPECT_EQ(script_.sync_calls, 3);
    EXPECT_EQ(content(), text);

    script_.write_flags.clear();
    ASSERT_EQ(move(Io::Kind::write_durable, text).os_errno, 0);
    EXPECT_EQ(script_.sync_calls, 4);
    EXPECT_THAT(script_.write_flags, testing::ElementsAre(0)) << "it is not asked twice";

    script_.syncs = {-EIO};
    EXPECT_EQ(move(Io::Kind::write_durable, text).os_errno, EIO);
}

TEST_P(DiskFaults, ShortDirectTransfersGoOnAtABlock) {
    const uint64_t block = value_of(disk_->block_bytes(root_));
    auto direct = open({.write = true, .direct = true});
    if (!direct->direct()) { GTEST_SKIP() << "O_DIRECT does not work in " << root_; }
    const uint64_t bytes = 8 * block;
    const std::unique_ptr<char, void (*)(void*)> memory(static_cast<char*>(std::aligned_alloc(block, bytes)),
                                                        std::free);
    for (uint64_t i = 0; i < bytes; ++i) { memory.get()[i] = static_cast<char>('a' + i / 512 % 26); }
    const std::string text(memory.get(), bytes);
    const iovec pieces[] = {{memory.get(), 3 * block}, {memory.get() + 3 * block, 5 * block}};
    // The kernel may stop at any sector; going on there would break the rule of alignment.
    script_.moves = {512, static_cast<int64_t>(block + 512), static_cast<int64_t>(3 * block), normal};
    Io done = run({.kind = Io::Kind::write_durable, .file = direct.get(), .pieces = pieces});
    EXPECT_EQ(done.os_errno, 0);
    EXPECT_EQ(done.done, bytes);
    EXPECT_EQ(content(), text);

    std::memset(memory.get(), 0, bytes);
    script_.moves = {512, static_cast<int64_t>(block + 512), static_cast<int64_t>(3 * block), normal};
    done = run({.kind = Io::Kind::read, .file = direct.get(), .pieces = pieces});
    EXPECT_EQ(done.os_errno, 0);
    EXPECT_EQ(done.done, bytes);
    EXPECT_EQ(std::string(memory.get(), bytes), text);

    ASSERT_TRUE(disk_->truncate(*file_, 5 * block + 700));
    std::memset(memory.get(), 0, bytes);
    script_.moves = {512, static_cast<int64_t>(2 * block), normal};
    done = run({.kind = Io::Kind::read, .file = direct.get(), .pieces = pieces});
    EXPECT_EQ(done.os_errno, 0);
    EXPECT_EQ(done.done, 5 * block + 700);
    EXPECT_EQ(std::string(memory.get(), done.done), text.substr(0, done.done));

    if (below_ != nullptr) { return; }  // it moves whole blocks
    script_.moves.assign(2 * io_attempts_max, 512);
    EXPECT_EQ(run({.kind = Io::Kind::write, .file = direct.get(), .pieces = pieces}).os_errno, EIO)
        << "no block is ever done";
}

// Only the ring: what the submission queue may do.
class RingFaults : public testing::Test {
protected:
    RingFaults() {
        script = &script_;
        std::string name = std::filesystem::temp_directory_path() / "flowstone_ring_XXXXXX";
        root_ = ::mkdtemp(name.data());
        disk_ = std::make_unique<UringDisk>(
            [this]() -> std::unique_ptr<Ring> {
                return no_rings_ ? nullptr : std::make_unique<ScriptedRing>(submissions_);
            },
            scripted_calls);
        file_ = value_of(disk_->open(join_path(root_, "a"), {.write = true, .create = true}));
    }
    ~RingFaults() override {
        disk_.reset();
        std::filesystem::remove_all(root_);
        script = nullptr;
    }

    // Writes 200 pieces of 7 bytes and reads them back.
    void write_and_read_all() {
        constexpr uint64_t count = 200;
        constexpr uint64_t bytes = 7;
        std::string text = letters(count * bytes);
        std::string found(count * bytes, '?');
        for (const auto kind : {Io::Kind::write, Io::Kind::read}) {
            std::vector<iovec> pieces(count);
            std::vector<Io> requests;
            for (uint64_t i = 0; i < count; ++i) {
                pieces[i] = {(kind == Io::Kind::write ? text : found).data() + i * bytes, bytes};
                requests.push_back({.kind = kind,
                                    .file = file_.get(),
                                    .at = BytePos{static_cast<int64_t>(i * bytes)},
                                    .pieces = {&pieces[i], 1}});
            }
            disk_->run(requests);
            for (const Io& request : requests) {
                ASSERT_EQ(request.os_errno, 0);
                ASSERT_EQ(request.done, bytes);
            }
        }
        EXPECT_EQ(found, text);
    }

    Script script_;
    ScriptedRing::Submissions submissions_;
    bool no_rings_ = false;
    std::string root_;
    std::unique_ptr<UringDisk> disk_;
    std::unique_ptr<File> file_;
};

TEST_F(RingFaults, RequestsEndOutOfOrderAndFillTheRing) {
    write_and_read_all();
    EXPECT_EQ(submissions_.in_kernel_most, ring_entries);
    EXPECT_EQ(submissions_.rings, 1) << "the ring is kept";
    EXPECT_FALSE(std::ranges::is_sorted(submissions_.ended));
}

TEST_F(RingFaults, AQueueThatIsTakenInPartsLosesNothing) {
    submissions_.results = {3, 1, 0, 0, 7, 2, 0, 1};
    write_and_read_all();
    EXPECT_EQ(submissions_.rings, 1);
}

TEST_F(RingFaults, PassingRefusalsAreWaitedOut) {
    submissions_.results = {-EINTR, -EAGAIN, 5, -EBUSY, -EAGAIN, 64, -EBUSY, -EINTR, 1, -EAGAIN, 64};
    write_and_read_all();
    EXPECT_EQ(submissions_.rings, 1);
}

TEST_F(RingFaults, ABusyKernelIsWaitedForAndNotAskedAgainAndAgain) {
    submissions_.room = 4;
    write_and_read_all();
    EXPECT_EQ(submissions_.rings, 1);
    EXPECT_EQ(submissions_.in_kernel_most, 4u);
}

TEST_F(RingFaults, ARingThatTakesNothingIsReplacedAndItsWorkDonePlainly) {
    for (const int os_errno : {EAGAIN, ENOMEM, EBADF}) {
        submissions_ = {};
        submissions_.results = {64, 10, -os_errno};
        write_and_read_all();
        EXPECT_EQ(submissions_.rings, 2) << "the broken one is not used again";
    }
}

TEST_F(RingFaults, WithoutRingsThePlainWayIsTaken) {
    no_rings_ = true;
    EXPECT_FALSE(disk_->has_ring());
    write_and_read_all();
    EXPECT_EQ(submissions_.rings, 0);
}

TEST_F(RingFaults, OneRequestAloneNeedsNoRing) {
    ASSERT_TRUE(write_at(*disk_, *file_, BytePos{0}, as_bytes("x")));
    ASSERT_TRUE(sync(*disk_, *file_));
    EXPECT_EQ(submissions_.rings, 0);
}

TEST_F(RingFaults, ReadsInTheBackgroundAreDoneAgainWhenTheyCameToNothing) {
    const std::shared_ptr<File> file = std::move(file_);
    ASSERT_TRUE(write_at(*disk_, *file, BytePos{0}, as_bytes("0123456789")));
    char into[10];
    const auto read = [&]() -> Result<std::string> {
        auto begun = disk_->begin_read(file, BytePos{0}, std::as_writable_bytes(std::span(into)));
        TRY(const uint64_t bytes, begun->end());
        return std::string(into, bytes);
    };
    for (const int64_t trouble : {int64_t{-ECANCELED}, int64_t{-EAGAIN}, int64_t{-EINTR}, int64_t{3}}) {
        script_.moves = {trouble, normal};
        EXPECT_EQ(value_of(read()), "0123456789") << trouble;
    }
    EXPECT_EQ(submissions_.rings, 1) << "one ring did them all";
    submissions_.results = {-EAGAIN};
    script_.moves.clear();
    EXPECT_EQ(value_of(read()), "0123456789") << "a ring that takes nothing";
    submissions_.results.clear();
    EXPECT_EQ(value_of(read()), "0123456789");
    EXPECT_EQ(submissions_.rings, 2) << "it is not used again: the request is still queued there";
    script_.moves = {-EIO};
    EXPECT_EQ(read().error().os_errno, EIO);
}

TEST_F(RingFaults, ReadsInTheBackgroundAreBoundedInNumber) {
    const std::shared_ptr<File> file = std::move(file_);
    std::array<char, background_reads_max + 1> into{};
    std::vector<std::unique_ptr<BackgroundRead>> reads;
    for (char& one : into) {
        reads.push_back(disk_->begin_read(file, BytePos{0}, std::as_writable_bytes(std::span(&one, 1))));
    }
    EXPECT_EQ(std::ranges::count_if(reads, [](const auto& read) { return read == nullptr; }), 1);
    EXPECT_EQ(reads.back(), nullptr);
    reads.front().reset();
    EXPECT_NE(disk_->begin_read(file, BytePos{0}, std::as_writable_bytes(std::span(into).first(1))), nullptr);
}

// Every request meets every kind of trouble, by seed; whatever happens, the bytes are right.
TEST_F(RingFaults, RandomTroubleChangesNoBytes) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
        SimRandom random(seed);
        submissions_.results.clear();
        script_.moves.clear();
        for (int i = 0; i < 300; ++i) {
            constexpr int64_t moves[] = {1, 3, 6, -EINTR, -EAGAIN, -ECANCELED, normal, normal};
            script_.moves.push_back(moves[random.below(std::size(moves))]);
            constexpr int submissions[] = {0, 1, 5, -EINTR, -EAGAIN, -EBUSY, 64, 64};
            submissions_.results.push_back(submissions[random.below(std::size(submissions))]);
        }
        script_.moves.push_back(normal);
        submissions_.results.push_back(64);
        write_and_read_all();
        ASSERT_TRUE(disk_->truncate(*file_, 0));
    }
}

}  // namespace
}  // namespace flowstone
