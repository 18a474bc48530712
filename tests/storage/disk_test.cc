// What storage/disk.h promises, tested alike in every room: io_uring, POSIX and the simulated disk.
#include "storage/disk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "storage/limits.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

struct Room {
    const char* name;
    bool real;  // has files that other processes see
    std::unique_ptr<Disk> (*open)();
};

constexpr Room rooms[] = {
    {"posix", true, open_posix_disk},
    {"io_uring", true, open_uring_disk},
    {"simulated", false, []() -> std::unique_ptr<Disk> { return std::make_unique<SimDisk>(); }},
};

class DiskContract : public testing::TestWithParam<Room> {
protected:
    void SetUp() override {
        disk_ = GetParam().open();
        if (disk_ == nullptr) { GTEST_SKIP() << "io_uring is not to be had here"; }
        if (GetParam().real) {
            std::string name = std::filesystem::temp_directory_path() / "flowstone_disk_XXXXXX";
            ASSERT_NE(::mkdtemp(name.data()), nullptr);
            root_ = name;
        } else {
            root_ = "root";
            ASSERT_TRUE(disk_->make_directory(root_));
        }
    }
    void TearDown() override {
        if (GetParam().real && !root_.empty()) { std::filesystem::remove_all(root_); }
    }

    std::string path(const std::string& name) const { return join_path(root_, name); }
    std::unique_ptr<File> open(const std::string& name, OpenOptions options = {.write = true, .create = true}) {
        auto file = disk_->open(path(name), options);
        EXPECT_TRUE(file) << file.error().message();
        return std::move(*file);
    }
    std::unique_ptr<File> file_with(const std::string& name, std::string_view content) {
        auto file = open(name);
        EXPECT_TRUE(write_at(*disk_, *file, BytePos{0}, as_bytes(content)));
        return file;
    }
    std::string content(const std::string& name) {
        auto bytes = read_file(*disk_, path(name), 1 << 20);
        EXPECT_TRUE(bytes) << bytes.error().message();
        return std::string(as_text(*bytes));
    }
    std::vector<std::string> names(const std::string& directory = "") {
        std::vector<std::string> found;
        auto entries = disk_->list(path(directory));
        EXPECT_TRUE(entries) << entries.error().message();
        for (const DirectoryEntry& entry : *entries) { found.push_back(entry.name + (entry.directory ? "/" : "")); }
        return found;
    }

    std::unique_ptr<Disk> disk_;
    std::string root_;
};

INSTANTIATE_TEST_SUITE_P(Room, DiskContract, testing::ValuesIn(rooms),
                         [](const auto& param) { return std::string(param.param.name); });

// What only files that other processes see can promise.
class DiskOfProcesses : public DiskContract {};

INSTANTIATE_TEST_SUITE_P(Room, DiskOfProcesses, testing::ValuesIn(std::span(rooms).first(2)),
                         [](const auto& param) { return std::string(param.param.name); });

struct FreeDeleter {
    void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<std::byte, FreeDeleter>;
AlignedMemory aligned(uint64_t block_bytes, uint64_t bytes, char with = 0) {
    AlignedMemory memory(static_cast<std::byte*>(std::aligned_alloc(block_bytes, bytes)));
    std::memset(memory.get(), with, bytes);
    return memory;
}

Code code_of(const auto& result) { return result ? Code{} : result.error().code; }

TEST_P(DiskContract, SaysWhichRoomItIs) { EXPECT_STREQ(disk_->room(), GetParam().name); }

TEST_P(DiskContract, WhatIsWrittenIsReadBackAndHolesAreZero) {
    auto file = open("a");
    ASSERT_TRUE(write_at(*disk_, *file, BytePos{3}, as_bytes("stone")));
    EXPECT_EQ(content("a"), std::string("\0\0\0stone", 8));
    ASSERT_TRUE(write_at(*disk_, *file, BytePos{0}, as_bytes("flow")));
    EXPECT_EQ(content("a"), "flowtone");
    EXPECT_EQ(disk_->size(*file), 8u);
    EXPECT_EQ(file->path(), path("a"));
}

TEST_P(DiskContract, AReadIsShortOnlyAtTheEndOfTheFile) {
    auto file = file_with("a", "0123456789");
    std::byte into[8];
    EXPECT_EQ(read_at(*disk_, *file, BytePos{0}, into), 8u);
    EXPECT_EQ(read_at(*disk_, *file, BytePos{6}, into), 4u);
    EXPECT_EQ(as_text(Bytes(into, 4)), "6789");
    EXPECT_EQ(read_at(*disk_, *file, BytePos{10}, into), 0u);
    EXPECT_EQ(read_at(*disk_, *file, BytePos{1'000'000}, into), 0u);
}

TEST_P(DiskContract, PiecesAreGatheredAndScattered) {
    auto file = open("a");
    std::string text = "abcdefghijklmnopqrstuvwxyz";
    std::vector<iovec> pieces;
    for (size_t at = 0; at < text.size(); at += 4) {
        pieces.push_back({text.data() + at, std::min<size_t>(4, text.size() - at)});
    }
    pieces.push_back({text.data(), 0});
    Io write{.kind = Io::Kind::write, .file = file.get(), .pieces = pieces};
    disk_->run({&write, 1});
    EXPECT_EQ(write.os_errno, 0);
    EXPECT_EQ(write.done, 26u);

    std::string left(10, '?');
    std::string right(100, '?');
    const iovec into[] = {{left.data(), left.size()}, {right.data(), right.size()}};
    Io read{.kind = Io::Kind::read, .file = file.get(), .at = BytePos{1}, .pieces = into};
    disk_->run({&read, 1});
    EXPECT_EQ(read.os_errno, 0);
    EXPECT_EQ(read.done, 25u);
    EXPECT_EQ(left + right.substr(0, 15), text.substr(1));
    EXPECT_EQ(right.substr(15), std::string(85, '?'));
}

TEST_P(DiskContract, TooManyPiecesAndNegativePlacesAreRefused) {
    auto file = file_with("a", "x");
    char byte = 'y';
    std::vector<iovec> pieces(io_pieces_max, iovec{&byte, 1});
    Io most{.kind = Io::Kind::write, .file = file.get(), .pieces = pieces};
    disk_->run({&most, 1});
    EXPECT_EQ(most.os_errno, 0);
    EXPECT_EQ(content("a"), std::string(io_pieces_max, 'y'));

    pieces.push_back({&byte, 1});
    Io more{.kind = Io::Kind::write, .file = file.get(), .pieces = pieces};
    Io before{.kind = Io::Kind::read, .file = file.get(), .at = BytePos{-1}, .pieces = {pieces.data(), 1}};
    for (Io* request : {&more, &before}) {
        disk_->run({request, 1});
        EXPECT_EQ(request->os_errno, EINVAL);
    }
    EXPECT_EQ(disk_->size(*file), io_pieces_max);
}

TEST_P(DiskContract, RequestsWithoutBytesDoNothing) {
    auto file = file_with("a", "x");
    Io requests[] = {{.kind = Io::Kind::read, .file = file.get()},
                     {.kind = Io::Kind::write, .file = file.get(), .at = BytePos{50}}};
    disk_->run(requests);
    EXPECT_EQ(requests[0].os_errno, 0);
    EXPECT_EQ(requests[1].os_errno, 0);
    EXPECT_EQ(disk_->size(*file), 1u);
    disk_->run({});
}

TEST_P(DiskContract, DurableWritesAndSyncsExtendAndKeep) {
    auto file = open("a");
    std::string text = "durable";
    const iovec piece{text.data(), text.size()};
    Io write{.kind = Io::Kind::write_durable, .file = file.get(), .at = BytePos{5000}, .pieces = {&piece, 1}};
    disk_->run({&write, 1});
    EXPECT_EQ(write.os_errno, 0);
    EXPECT_EQ(write.done, text.size());
    EXPECT_EQ(disk_->size(*file), 5007u);
    EXPECT_TRUE(sync(*disk_, *file));
    EXPECT_TRUE(disk_->sync_directory(root_));
    EXPECT_EQ(content("a").substr(5000), text);
}

// More requests than any ring holds, of every kind, over several files, in an order that has nothing to do with place.
TEST_P(DiskContract, ManyRequestsRunAtOnceInAnyOrder) {
    constexpr uint64_t count = 300;
    constexpr uint64_t bytes = 700;
    std::vector<std::unique_ptr<File>> files;
    for (int i = 0; i < 3; ++i) { files.push_back(open("f" + std::to_string(i))); }
    std::vector<std::string> texts;
    std::vector<iovec> pieces(count);
    std::vector<Io> requests;
    for (uint64_t i = 0; i < count; ++i) { texts.push_back(std::string(bytes, static_cast<char>('!' + i % 90))); }
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t place = i * 7 % count;  // 7 and 300 share no factor: every place once
        pieces[i] = {texts[place].data(), bytes};
        requests.push_back({.kind = i % 10 == 0 ? Io::Kind::write_durable : Io::Kind::write,
                            .file = files[place % 3].get(),
                            .at = BytePos{static_cast<int64_t>(place / 3 * bytes)},
                            .pieces = {&pieces[i], 1}});
        if (i % 50 == 0) { requests.push_back({.kind = Io::Kind::sync, .file = files[i % 3].get()}); }
    }
    disk_->run(requests);
    for (const Io& request : requests) { ASSERT_EQ(request.os_errno, 0); }

    std::vector<std::string> found(count, std::string(bytes, '\0'));
    requests.clear();
    for (uint64_t place = 0; place < count; ++place) {
        pieces[place] = {found[place].data(), bytes};
        requests.push_back({.kind = Io::Kind::read,
                            .file = files[place % 3].get(),
                            .at = BytePos{static_cast<int64_t>(place / 3 * bytes)},
                            .pieces = {&pieces[place], 1}});
    }
    disk_->run(requests);
    for (uint64_t place = 0; place < count; ++place) {
        ASSERT_EQ(requests[place].done, bytes);
        ASSERT_EQ(found[place], texts[place]);
    }
}

TEST_P(DiskContract, OneFailingRequestDoesNotDisturbTheOthers) {
    file_with("a", "old");
    auto reader = open("a", {});
    auto writer = open("b");
    char text[] = "new";
    char into[3] = {};
    const iovec from{text, 3};
    const iovec to{into, 3};
    Io requests[] = {{.kind = Io::Kind::write, .file = reader.get(), .pieces = {&from, 1}},
                     {.kind = Io::Kind::write, .file = writer.get(), .pieces = {&from, 1}},
                     {.kind = Io::Kind::read, .file = reader.get(), .pieces = {&to, 1}}};
    disk_->run(requests);
    EXPECT_EQ(requests[0].os_errno, EBADF) << "opened for reading";
    EXPECT_EQ(requests[0].done, 0u);
    EXPECT_EQ(requests[1].os_errno, 0);
    EXPECT_EQ(requests[2].os_errno, 0);
    EXPECT_EQ(content("a"), "old");
    EXPECT_EQ(content("b"), "new");
}

TEST_P(DiskContract, AnyNumberOfThreadsMayCallAtTheSameTime) {
    constexpr int threads = 8;
    constexpr uint64_t blocks = 32;
    auto file = open("a");
    std::vector<std::thread> running;
    std::atomic<int> failures = 0;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&, t] {
            std::string text(blocks * 512, static_cast<char>('a' + t));
            for (int round = 0; round < 10; ++round) {
                std::vector<iovec> pieces(blocks);
                std::vector<Io> requests;
                for (uint64_t i = 0; i < blocks; ++i) {
                    pieces[i] = {text.data() + i * 512, 512};
                    requests.push_back(
                        {.kind = round % 2 == 0 ? Io::Kind::write : Io::Kind::read,
                         .file = file.get(),
                         .at = BytePos{static_cast<int64_t>((i * threads + static_cast<uint64_t>(t)) * 512)},
                         .pieces = {&pieces[i], 1}});
                }
                disk_->run(requests);
                for (const Io& request : requests) { failures += request.os_errno != 0 || request.done != 512; }
                failures += text != std::string(blocks * 512, static_cast<char>('a' + t));
            }
        });
    }
    for (auto& thread : running) { thread.join(); }
    EXPECT_EQ(failures, 0);
}

TEST_P(DiskContract, AReadGoesOnInTheBackgroundWhereItCan) {
    const std::shared_ptr<File> file = file_with("a", "0123456789");
    char first[4] = {};
    char second[8] = {};
    const auto begin = [&](BytePos at, std::span<char> into) {
        return disk_->begin_read(file, at, std::as_writable_bytes(into));
    };
    auto read = begin(BytePos{2}, first);
    if (std::string(GetParam().name) == "posix") {
        EXPECT_EQ(read, nullptr);
        return;
    }
    ASSERT_NE(read, nullptr);
    auto behind = begin(BytePos{7}, second);
    ASSERT_NE(behind, nullptr) << "two at once";
    char third[8] = {};
    { const auto forgotten = begin(BytePos{0}, third); }
    EXPECT_EQ(content("a"), "0123456789") << "other calls go on beside it";
    EXPECT_EQ(value_of(behind->end()), 3u) << "short at the end of the file";
    EXPECT_EQ(std::string_view(second, 3), "789");
    EXPECT_EQ(value_of(read->end()), 4u);
    EXPECT_EQ(std::string_view(first, 4), "2345");
}

TEST_P(DiskContract, AReadInTheBackgroundOutlivesTheThreadThatBeganIt) {
    const std::shared_ptr<File> file = file_with("a", std::string(1 << 20, 'x'));
    std::vector<std::byte> into(1 << 20);
    std::unique_ptr<BackgroundRead> read;
    std::thread([&] { read = disk_->begin_read(file, BytePos{0}, into); }).join();
    if (read == nullptr) { GTEST_SKIP() << "this room reads nothing in the background"; }
    EXPECT_EQ(value_of(read->end()), into.size());
    EXPECT_TRUE(std::ranges::all_of(into, [](std::byte b) { return b == std::byte{'x'}; }));
}

TEST_P(DiskContract, ABadReadInTheBackgroundSaysSoWhenItEnds) {
    const std::shared_ptr<File> file = open("a", {.write = true, .create = true, .direct = true});
    if (!file->direct()) { GTEST_SKIP() << "no O_DIRECT here"; }
    alignas(4096) static std::byte into[8192];
    auto read = disk_->begin_read(file, BytePos{0}, MutableBytes(into).subspan(1, 4096));
    if (read == nullptr) { GTEST_SKIP() << "this room reads nothing in the background"; }
    const auto ended = read->end();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().os_errno, EINVAL);
}

TEST_P(DiskContract, OpenRefusesByCode) {
    EXPECT_EQ(code_of(disk_->open(path("none"), {})), Code::not_found);
    EXPECT_EQ(code_of(disk_->open(path("none"), {.write = true})), Code::not_found);
    EXPECT_EQ(code_of(disk_->open(path("none/a"), {.write = true, .create = true})), Code::not_found);
    file_with("a", "x");
    EXPECT_EQ(code_of(disk_->open(path("a"), {.write = true, .create = true, .exclusive = true})), Code::exists);
    EXPECT_EQ(code_of(disk_->open(path("a/b"), {})), Code::io) << "a is no directory";
    EXPECT_EQ(code_of(disk_->open(root_, {})), Code::invalid);
    EXPECT_EQ(code_of(disk_->open(root_, {.write = true})), Code::invalid);
    EXPECT_THAT(disk_->open(path("none"), {}).error().message(), testing::HasSubstr(path("none")));
    EXPECT_TRUE(disk_->open(path("new"), {.write = true, .create = true, .exclusive = true}));
    EXPECT_EQ(content("a"), "x") << "nothing was cut";
}

TEST_P(DiskContract, TruncateCutsAndExtendsWithZeros) {
    auto file = file_with("a", std::string(9000, 'x'));
    ASSERT_TRUE(disk_->truncate(*file, 5000));
    EXPECT_EQ(content("a"), std::string(5000, 'x'));
    ASSERT_TRUE(disk_->truncate(*file, 9000));
    EXPECT_EQ(content("a"), std::string(5000, 'x') + std::string(4000, '\0')) << "what was cut does not come back";
    ASSERT_TRUE(disk_->truncate(*file, 0));
    EXPECT_EQ(content("a"), "");
    auto reader = open("a", {});
    EXPECT_FALSE(disk_->truncate(*reader, 1));
}

TEST_P(DiskContract, AllocateReservesWithAndWithoutTheSize) {
    auto file = file_with("a", "x");
    auto kept = disk_->allocate(*file, BytePos{0}, BytePos{1 << 20}, true);
    if (!kept) {
        ASSERT_EQ(kept.error().code, Code::unsupported);
        GTEST_SKIP() << "this file system reserves nothing";
    }
    EXPECT_EQ(disk_->size(*file), 1u);
    EXPECT_GE(value_of(disk_->info(path("a"))).allocated_bytes, 1u << 20);
    ASSERT_TRUE(disk_->allocate(*file, BytePos{0}, BytePos{5000}, false));
    EXPECT_EQ(disk_->size(*file), 5000u);
    EXPECT_EQ(content("a"), 'x' + std::string(4999, '\0'));
    EXPECT_EQ(code_of(disk_->allocate(*file, BytePos{10}, BytePos{10}, true)), Code::invalid);
    EXPECT_EQ(code_of(disk_->allocate(*file, BytePos{-1}, BytePos{10}, true)), Code::invalid);
}

TEST_P(DiskContract, InfoTellsFilesFromDirectories) {
    file_with("a", "12345");
    ASSERT_TRUE(disk_->make_directory(path("d")));
    EXPECT_EQ(value_of(disk_->info(path("a"))).bytes, 5u);
    EXPECT_FALSE(value_of(disk_->info(path("a"))).directory);
    EXPECT_TRUE(value_of(disk_->info(path("d"))).directory);
    EXPECT_EQ(code_of(disk_->info(path("none"))), Code::not_found);
}

TEST_P(DiskContract, DirectoriesAreMadeListedAndRemoved) {
    ASSERT_TRUE(disk_->make_directory(path("d")));
    EXPECT_EQ(code_of(disk_->make_directory(path("d"))), Code::exists);
    EXPECT_EQ(code_of(disk_->make_directory(path("none/d"))), Code::not_found);
    for (const char* name : {"d/c", "d/a", "d/b"}) { file_with(name, "x"); }
    ASSERT_TRUE(disk_->make_directory(path("d/bb")));
    EXPECT_THAT(names("d"), testing::ElementsAre("a", "b", "bb/", "c"));
    EXPECT_EQ(code_of(disk_->list(path("none"))), Code::not_found);
    EXPECT_EQ(code_of(disk_->list(path("d/a"))), Code::io);

    EXPECT_EQ(disk_->remove(path("d")).error().os_errno, ENOTEMPTY);
    ASSERT_TRUE(disk_->remove(path("d/bb")));
    for (const char* name : {"d/c", "d/a", "d/b"}) { ASSERT_TRUE(disk_->remove(path(name))); }
    EXPECT_THAT(names("d"), testing::IsEmpty());
    ASSERT_TRUE(disk_->remove(path("d")));
    EXPECT_EQ(code_of(disk_->remove(path("d"))), Code::not_found);
}

TEST_P(DiskContract, ARemovedFileStaysReadableWhileItIsOpen) {
    auto file = file_with("a", "stone");
    ASSERT_TRUE(disk_->remove(path("a")));
    EXPECT_THAT(names(), testing::IsEmpty());
    std::byte into[5];
    EXPECT_EQ(read_at(*disk_, *file, BytePos{0}, into), 5u);
    EXPECT_TRUE(write_at(*disk_, *file, BytePos{5}, as_bytes("s")));
    auto other = file_with("a", "new");
    EXPECT_EQ(disk_->size(*file), 6u);
    EXPECT_EQ(content("a"), "new");
}

TEST_P(DiskContract, RenameReplacesAndMovesDirectories) {
    file_with("a", "new");
    file_with("b", "old");
    ASSERT_TRUE(disk_->rename(path("a"), path("b")));
    EXPECT_EQ(content("b"), "new");
    EXPECT_THAT(names(), testing::ElementsAre("b"));
    EXPECT_EQ(code_of(disk_->rename(path("a"), path("b"))), Code::not_found);
    EXPECT_EQ(code_of(disk_->rename(path("b"), path("none/b"))), Code::not_found);
    ASSERT_TRUE(disk_->make_directory(path("d")));
    EXPECT_FALSE(disk_->rename(path("b"), path("d")));
    EXPECT_FALSE(disk_->rename(path("d"), path("b")));
    ASSERT_TRUE(disk_->rename(path("b"), path("d/b")));
    ASSERT_TRUE(disk_->rename(path("d"), path("e")));
    EXPECT_EQ(content("e/b"), "new");
    EXPECT_THAT(names(), testing::ElementsAre("e/"));
}

TEST_P(DiskContract, SyncDirectoryNeedsADirectory) {
    file_with("a", "x");
    EXPECT_EQ(code_of(disk_->sync_directory(path("none"))), Code::not_found);
    EXPECT_EQ(code_of(disk_->sync_directory(path("a"))), Code::io);
    EXPECT_TRUE(disk_->sync_directory(root_));
}

TEST_P(DiskContract, BlocksAreAPowerOfTwoAndNeverBelow4096) {
    auto block = disk_->block_bytes(root_);
    ASSERT_TRUE(block) << block.error().message();
    EXPECT_GE(*block, 4096u);
    EXPECT_TRUE(std::has_single_bit(*block));
    EXPECT_EQ(disk_->block_bytes(root_), *block);
    EXPECT_EQ(code_of(disk_->block_bytes(path("none"))), Code::not_found);
}

TEST_P(DiskContract, DirectRequestsMustBeAligned) {
    const uint64_t block = value_of(disk_->block_bytes(root_));
    auto file = open("a", {.write = true, .create = true, .direct = true});
    EXPECT_FALSE(open("b")->direct()) << "not asked for";
    if (!file->direct()) { GTEST_SKIP() << "O_DIRECT does not work in " << root_; }
    EXPECT_THAT(names(), testing::ElementsAre("a", "b")) << "finding out leaves nothing behind";
    auto memory = aligned(block, 4 * block, 'x');
    ASSERT_TRUE(write_at(*disk_, *file, BytePos{0}, {memory.get(), 4 * block}));

    struct Case {
        uint64_t at, begin, bytes;
    };
    for (const Case wrong : {Case{1, 0, block}, Case{512, 0, block}, Case{0, 1, block}, Case{0, 512, block},
                             Case{0, 0, 100}, Case{0, 0, block + 512}}) {
        const BytePos at{static_cast<int64_t>(wrong.at)};
        EXPECT_EQ(write_at(*disk_, *file, at, {memory.get() + wrong.begin, wrong.bytes}).error().os_errno, EINVAL);
        EXPECT_EQ(read_at(*disk_, *file, at, {memory.get() + wrong.begin, wrong.bytes}).error().os_errno, EINVAL);
    }
    EXPECT_EQ(content("a"), std::string(4 * block, 'x'));
}

TEST_P(DiskContract, ADirectReadEndsWhereTheFileEnds) {
    const uint64_t block = value_of(disk_->block_bytes(root_));
    for (const uint64_t size : {uint64_t{1}, uint64_t{512}, block - 1, block, block + 1, 2 * block + 512}) {
        const std::string text(size, 't');
        auto writer = file_with("a", text);
        ASSERT_TRUE(disk_->truncate(*writer, size));
        auto file = open("a", {.direct = true});
        auto memory = aligned(block, 4 * block);
        EXPECT_EQ(read_at(*disk_, *file, BytePos{0}, {memory.get(), 4 * block}), size);
        EXPECT_EQ(as_text({memory.get(), size}), text);
        EXPECT_EQ(read_at(*disk_, *file, BytePos{static_cast<int64_t>(3 * block)}, {memory.get(), block}), 0u);
    }
}

TEST_P(DiskContract, DirectAndBufferedSeeTheSameBytes) {
    const uint64_t block = value_of(disk_->block_bytes(root_));
    auto direct = open("a", {.write = true, .create = true, .direct = true});
    auto memory = aligned(block, block, 'd');
    const iovec piece{memory.get(), block};
    Io write{.kind = Io::Kind::write_durable,
             .file = direct.get(),
             .at = BytePos{static_cast<int64_t>(block)},
             .pieces = {&piece, 1}};
    disk_->run({&write, 1});
    ASSERT_EQ(write.os_errno, 0);
    EXPECT_EQ(content("a"), std::string(block, '\0') + std::string(block, 'd'));
    auto buffered = open("a");
    ASSERT_TRUE(write_at(*disk_, *buffered, BytePos{5}, as_bytes("buffered")));
    disk_->drop_cache(*buffered);
    EXPECT_EQ(read_at(*disk_, *direct, BytePos{0}, {memory.get(), block}), block);
    EXPECT_EQ(as_text({memory.get() + 5, 8}), "buffered");
}

TEST_P(DiskContract, DroppingTheCacheLosesNothing) {
    auto file = file_with("a", std::string(10'000, 'x'));
    disk_->drop_cache(*file);
    EXPECT_EQ(content("a"), std::string(10'000, 'x'));
    ASSERT_TRUE(sync(*disk_, *file));
    disk_->drop_cache(*file);
    EXPECT_EQ(content("a"), std::string(10'000, 'x'));
}

TEST_P(DiskContract, SeveralDirectoriesAreSyncedAtOnce) {
    std::vector<std::string> all{root_};
    for (int i = 0; i < 40; ++i) {
        all.push_back(path("d" + std::to_string(i)));
        ASSERT_TRUE(disk_->make_directory(all.back()));
    }
    const auto synced = disk_->sync_directories(all);
    EXPECT_TRUE(synced) << synced.error().message();
    EXPECT_TRUE(disk_->sync_directories({}));
    all[20] = path("none");
    const auto missing = disk_->sync_directories(all);
    EXPECT_EQ(code_of(missing), Code::not_found);
    EXPECT_THAT(missing.error().message(), testing::HasSubstr("none"));
    file_with("a", "");
    all[20] = path("a");
    EXPECT_EQ(code_of(disk_->sync_directories(all)), Code::io);
}

TEST_P(DiskContract, FreeBytesAreKnown) {
    EXPECT_GT(value_of(disk_->free_bytes(root_)), 0u);
    EXPECT_EQ(code_of(disk_->free_bytes(path("none"))), Code::not_found);
}

TEST_P(DiskContract, ReadFileReadsTheWholeAndNotMoreThanAllowed) {
    file_with("a", "12345");
    EXPECT_EQ(as_text(value_of(read_file(*disk_, path("a"), 5))), "12345");
    EXPECT_EQ(code_of(read_file(*disk_, path("a"), 4)), Code::too_large);
    EXPECT_EQ(code_of(read_file(*disk_, path("none"), 4)), Code::not_found);
    file_with("empty", "");
    EXPECT_EQ(value_of(read_file(*disk_, path("empty"), 0)).size(), 0u);
}

TEST_P(DiskContract, ReplaceFileReplacesTheWhole) {
    file_with("meta.tmp", std::string(500, 'l'));  // left by a crash, longer than what comes
    for (const std::string text : {"a longer first version", "second", ""}) {
        auto replaced = replace_file(*disk_, path("meta"), as_bytes(text));
        ASSERT_TRUE(replaced) << replaced.error().message();
        EXPECT_EQ(content("meta"), text);
        EXPECT_THAT(names(), testing::ElementsAre("meta"));
    }
    EXPECT_EQ(code_of(replace_file(*disk_, path("none/meta"), {})), Code::not_found);
}

TEST_P(DiskContract, ReplaceFilesReplacesEachOrSaysWhy) {
    ASSERT_TRUE(disk_->make_directory(path("d")));
    file_with("one", "old");
    const Replacement files[] = {{path("one"), as_bytes("first")}, {path("d/two"), as_bytes("second")}};
    ASSERT_TRUE(replace_files(*disk_, files));
    EXPECT_EQ(content("one"), "first");
    EXPECT_EQ(content("d/two"), "second");
    const Replacement bad[] = {{path("one"), as_bytes("third")}, {path("none/two"), {}}};
    EXPECT_EQ(code_of(replace_files(*disk_, bad)), Code::not_found);
    EXPECT_EQ(content("one"), "first");
    EXPECT_THAT(names(), testing::ElementsAre("d/", "one"));
}

TEST_P(DiskContract, ALockKeepsASecondOneOutUntilItIsDropped) {
    auto first = disk_->lock(path(".lock"));
    ASSERT_TRUE(first) << first.error().message();
    auto second = disk_->lock(path(".lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::locked);
    EXPECT_THAT(second.error().detail, testing::HasSubstr("process "));
    EXPECT_TRUE(disk_->lock(path(".other")));
    first->reset();
    EXPECT_TRUE(disk_->lock(path(".lock")));
    EXPECT_EQ(code_of(disk_->lock(path("none/.lock"))), Code::not_found);
}

// Runs `body` in a child and returns its exit code. The child makes its own disk: nothing survives a fork.
int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) { ::_exit(body()); }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_P(DiskOfProcesses, AnotherProcessIsToldWhoHoldsTheLock) {
    auto held = disk_->lock(path(".lock"));
    ASSERT_TRUE(held);
    const std::string holder = "process " + std::to_string(::getpid());
    EXPECT_EQ(in_child([&] {
                  auto refused = GetParam().open()->lock(path(".lock"));
                  if (refused || refused.error().code != Code::locked) { return 1; }
                  return refused.error().message().find(holder + " has") != std::string::npos ? 0 : 2;
              }),
              0);
}

TEST_P(DiskOfProcesses, TheLockGoesWithItsProcess) {
    EXPECT_EQ(in_child([&] {
                  auto held = GetParam().open()->lock(path(".lock"));
                  if (held) { ::_exit(0); }  // without any destructor, like a kill
                  return 1;
              }),
              0);
    EXPECT_TRUE(disk_->lock(path(".lock")));
}

TEST_P(DiskOfProcesses, AChildThatDropsItsCopyOfALockFreesNothing) {
    auto held = disk_->lock(path(".lock"));
    ASSERT_TRUE(held);
    EXPECT_EQ(in_child([&] {
                  held->reset();
                  return 0;
              }),
              0);
    auto refused = disk_->lock(path(".lock"));
    EXPECT_EQ(code_of(refused), Code::locked);
    EXPECT_THAT(refused.error().detail, testing::HasSubstr(std::to_string(::getpid())));
}

TEST_P(DiskOfProcesses, AChildThatLivesOnKeepsNoLock) {
    auto held = disk_->lock(path(".lock"));
    ASSERT_TRUE(held);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        char byte = 0;
        ::close(ends[1]);
        ::_exit(static_cast<int>(::read(ends[0], &byte, 1)));  // until the parent has looked
    }
    held->reset();
    auto again = disk_->lock(path(".lock"));
    EXPECT_TRUE(again) << again.error().message();
    ::close(ends[0]);
    ::close(ends[1]);
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_P(DiskOfProcesses, RequestsOfAChildDoNotDisturbItsParent) {
    auto file = open("a");
    char texts[2][4] = {"one", "two"};
    const iovec pieces[] = {{texts[0], 3}, {texts[1], 3}};
    Io requests[] = {{.kind = Io::Kind::write, .file = file.get(), .pieces = {&pieces[0], 1}},
                     {.kind = Io::Kind::write, .file = file.get(), .at = BytePos{3}, .pieces = {&pieces[1], 1}}};
    disk_->run(requests);  // a ring is open now, where there are rings
    EXPECT_EQ(in_child([&] {
                  disk_->run(requests);
                  disk_.reset();
                  return requests[0].os_errno + requests[1].os_errno;
              }),
              0);
    disk_->run(requests);
    EXPECT_EQ(content("a"), "onetwo");
}

TEST_P(DiskOfProcesses, WhatMayNotBeWrittenIsReadOnly) {
    file_with("a", "x");
    ASSERT_EQ(::chmod(path("a").c_str(), 0444), 0);
    ASSERT_EQ(::chmod(root_.c_str(), 0555), 0);
    EXPECT_EQ(in_child([&] {
                  constexpr uid_t nobody = 65534;
                  if (::geteuid() == 0 && ::setuid(nobody) != 0) { return 100; }
                  auto disk = GetParam().open();
                  if (disk == nullptr) { return 0; }
                  if (!read_file(*disk, path("a"), 10)) { return 1; }
                  if (code_of(disk->open(path("a"), {.write = true})) != Code::read_only) { return 2; }
                  if (code_of(disk->open(path("b"), {.write = true, .create = true})) != Code::read_only) { return 3; }
                  if (code_of(disk->make_directory(path("d"))) != Code::read_only) { return 4; }
                  if (code_of(disk->lock(path(".lock"))) != Code::read_only) { return 5; }
                  if (code_of(disk->remove(path("a"))) != Code::read_only) { return 6; }
                  if (!disk->block_bytes(root_)) { return 7; }  // reading with O_DIRECT needs no permission to write
                  auto direct = disk->open(path("a"), {.direct = true});
                  auto memory = aligned(4096, 4096);
                  if (!direct || read_at(*disk, **direct, BytePos{0}, {memory.get(), 4096}) != 1u) { return 8; }
                  return 0;
              }),
              0);
    ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
}

TEST_P(DiskOfProcesses, WhatIsNoFileIsRefusedWithoutWaiting) {
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    EXPECT_EQ(code_of(disk_->open(path("pipe"), {})), Code::invalid);
    EXPECT_EQ(code_of(disk_->open(path("pipe"), {.write = true})), Code::invalid);
    ASSERT_TRUE(disk_->remove(path("pipe")));
}

TEST_P(DiskOfProcesses, DescriptorsAreNotInheritedByPrograms) {
    auto file = open("a");
    auto direct = open("b", {.write = true, .create = true, .direct = true});
    auto held = disk_->lock(path(".lock"));
    char texts[2] = {'1', '2'};
    const iovec pieces[] = {{&texts[0], 1}, {&texts[1], 1}};
    Io requests[] = {{.kind = Io::Kind::write, .file = file.get(), .pieces = {&pieces[0], 1}},
                     {.kind = Io::Kind::write, .file = file.get(), .at = BytePos{1}, .pieces = {&pieces[1], 1}}};
    disk_->run(requests);
    int seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code ignored;
        const std::string target = std::filesystem::read_symlink(entry.path(), ignored).string();
        if (!target.starts_with(root_) && target.find("io_uring") == std::string::npos) { continue; }
        ++seen;
        EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
    }
    EXPECT_GE(seen, 3);
}

// How many flushes the block device below a directory has performed; nothing where that cannot be told.
std::optional<uint64_t> device_flushes(const std::string& directory) {
    struct stat found;
    if (::stat(directory.c_str(), &found) != 0) { return std::nullopt; }
    const std::string device =
        "/sys/dev/block/" + std::to_string(major(found.st_dev)) + ':' + std::to_string(minor(found.st_dev));
    const std::string queue = std::filesystem::exists(device + "/queue") ? device + "/queue/" : device + "/../queue/";
    std::string cache;
    std::string fua;
    std::getline(std::ifstream(queue + "write_cache"), cache);
    std::getline(std::ifstream(queue + "fua"), fua);
    if (cache != "write back" || fua != "0") { return std::nullopt; }  // durable without a flush
    std::ifstream statistics(device + "/stat");
    uint64_t value = 0;
    for (int field = 1; field <= 16; ++field) {
        statistics >> value;
    }  // Documentation/block/stat.rst: 16 is flush I/Os
    return statistics ? std::optional(value) : std::nullopt;
}

// Others may flush the device meanwhile: that only adds. One flush may serve both requests of a call.
TEST_P(DiskOfProcesses, EveryDurableWriteAndSyncFlushesTheDevice) {
    constexpr uint64_t calls = 50;
    if (!device_flushes(root_)) { GTEST_SKIP() << "the device below " << root_ << " does not count flushes"; }
    const uint64_t block = value_of(disk_->block_bytes(root_));
    auto file = open("a", {.write = true, .create = true, .direct = true});
    auto memory = aligned(block, 2 * block, 'x');
    ASSERT_TRUE(write_at(*disk_, *file, BytePos{0}, {memory.get(), 2 * block}));
    ASSERT_TRUE(sync(*disk_, *file));
    const iovec pieces[] = {{memory.get(), block}, {memory.get() + block, block}};
    for (const size_t together : {1, 2}) {
        Io requests[] = {{.kind = Io::Kind::write_durable, .file = file.get(), .pieces = {&pieces[0], 1}},
                         {.kind = Io::Kind::write_durable,
                          .file = file.get(),
                          .at = BytePos{static_cast<int64_t>(block)},
                          .pieces = {&pieces[1], 1}}};
        uint64_t before = *device_flushes(root_);
        for (uint64_t i = 0; i < calls; ++i) { disk_->run(std::span(requests).first(together)); }
        EXPECT_GE(*device_flushes(root_) - before, calls);

        Io syncs[] = {{.kind = Io::Kind::sync, .file = file.get()}, {.kind = Io::Kind::read, .file = file.get()}};
        before = *device_flushes(root_);
        for (uint64_t i = 0; i < calls; ++i) {
            ASSERT_TRUE(write_at(*disk_, *file, BytePos{0}, {memory.get(), block}));
            disk_->run(std::span(syncs).first(together));
        }
        EXPECT_GE(*device_flushes(root_) - before, calls);
    }
}

// A new name each time: a directory that did not change needs no flush.
TEST_P(DiskOfProcesses, EverySyncOfADirectoryFlushesTheDevice) {
    constexpr uint64_t calls = 50;
    if (!device_flushes(root_)) { GTEST_SKIP() << "the device below " << root_ << " does not count flushes"; }
    const std::string directories[] = {root_ + "/one", root_ + "/other"};
    for (const std::string& directory : directories) { ASSERT_TRUE(disk_->make_directory(directory)); }
    ASSERT_TRUE(disk_->sync_directory(root_));
    int names = 0;
    const auto add = [&](const std::string& directory) {
        const std::string name = join_path(directory, std::to_string(names++));
        ASSERT_TRUE(disk_->open(name, {.write = true, .create = true}));
    };
    uint64_t before = *device_flushes(root_);
    for (uint64_t i = 0; i < calls; ++i) {
        add(directories[0]);
        ASSERT_TRUE(disk_->sync_directory(directories[0]));
    }
    EXPECT_GE(*device_flushes(root_) - before, calls);
    before = *device_flushes(root_);
    for (uint64_t i = 0; i < calls; ++i) {
        for (const std::string& directory : directories) { add(directory); }
        ASSERT_TRUE(disk_->sync_directories(directories));
    }
    EXPECT_GE(*device_flushes(root_) - before, calls);
}

TEST(Paths, ParentAndJoinAgree) {
    EXPECT_EQ(join_path("a/b", "c"), "a/b/c");
    EXPECT_EQ(join_path("a/", "c"), "a/c");
    EXPECT_EQ(join_path("", "c"), "c");
    EXPECT_EQ(parent_path("a/b/c"), "a/b");
    EXPECT_EQ(parent_path("a/b/"), "a");
    EXPECT_EQ(parent_path("a//b"), "a");
    EXPECT_EQ(parent_path("a"), ".");
    EXPECT_EQ(parent_path(""), ".");
    EXPECT_EQ(parent_path("/a"), "/");
    EXPECT_EQ(parent_path("/"), "/");
}

TEST(BestDisk, IsTheRingWhereThereIsOne) {
    EXPECT_STREQ(open_best_disk()->room(), open_uring_disk() != nullptr ? "io_uring" : "posix");
}

}  // namespace
}  // namespace flowstone
