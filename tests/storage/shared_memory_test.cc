// Memory that processes share: whose it is, who may have it, and what becomes of it.
#include "storage/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/random.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t bytes = 16 * page;

class SharedMemoryTest : public testing::Test {
protected:
    SharedMemoryTest() { std::filesystem::create_directory(directory_); }
    ~SharedMemoryTest() override {
        SharedMemory::remove(name_, directory_);
        std::filesystem::remove_all(directory_);
    }
    Result<SharedMemory> make() { return SharedMemory::make(name_, bytes, directory_); }
    Result<SharedMemory> open() { return SharedMemory::open(name_, directory_, page, page); }
    struct stat info() {
        struct stat found{};
        struct stat directory{};
        EXPECT_EQ(stat(directory_.c_str(), &directory), 0);
        const auto name = fmt::format("/{}-{:x}-{:x}", name_, directory.st_dev, directory.st_ino);
        const int file = shm_open(name.c_str(), O_RDONLY, 0);
        EXPECT_EQ(fstat(file, &found), 0);
        close(file);
        return found;
    }

    const std::string name_ = "flowstone-test-" + std::to_string(system_random().next());
    const std::string directory_ = std::filesystem::temp_directory_path() / name_;
};

TEST_F(SharedMemoryTest, WhatOneWritesAnotherReads) {
    const auto made = value_of(make());
    const auto opened = value_of(open());
    ASSERT_EQ(made.writable().size(), bytes);
    ASSERT_EQ(opened.bytes().size(), bytes);
    made.writable()[3 * page] = std::byte{42};
    EXPECT_EQ(opened.bytes()[3 * page], std::byte{42});
    ASSERT_EQ(opened.writable().size(), page);  // the one page that was asked for
    opened.writable()[5] = std::byte{43};
    EXPECT_EQ(made.bytes()[page + 5], std::byte{43});
}

// The memory is there from the beginning: to write to it can fail no more.
TEST_F(SharedMemoryTest, ItHasItsRoomWhenItIsMade) {
    const auto made = value_of(make());
    EXPECT_GE(static_cast<uint64_t>(info().st_blocks) * 512, bytes);
    const auto too_large = SharedMemory::make(name_, uint64_t{1} << 50, directory_);
    ASSERT_FALSE(too_large);
    EXPECT_EQ(too_large.error().code, Code::no_space);
    EXPECT_FALSE(open());  // nothing is left of it
}

TEST_F(SharedMemoryTest, PermissionsFollowTheDirectory) {
    std::filesystem::permissions(directory_, std::filesystem::perms(0750));
    { const auto made = value_of(make()); }
    EXPECT_EQ(info().st_mode & 0777, 0640u);
    std::filesystem::permissions(directory_, std::filesystem::perms(0700));
    { const auto made = value_of(make()); }
    EXPECT_EQ(info().st_mode & 0777, 0600u);
}

TEST_F(SharedMemoryTest, OfAnotherOwnerIsNone) {
    const auto made = value_of(make());
    if (geteuid() != 0) { GTEST_SKIP() << "only root may give a directory away"; }
    ASSERT_EQ(chown(directory_.c_str(), 12'345, 12'345), 0);
    const auto opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::not_found);
    const auto again = value_of(make());  // goes to whom the directory belongs
    EXPECT_EQ(info().st_uid, 12'345u);
    EXPECT_TRUE(open());
}

TEST_F(SharedMemoryTest, AnotherOfThatNameTakesItsPlace) {
    const auto first = value_of(make());
    const auto of_first = value_of(open());
    EXPECT_TRUE(of_first.alive());
    first.writable()[0] = std::byte{1};
    const auto second = value_of(make());
    EXPECT_FALSE(of_first.alive());
    EXPECT_EQ(of_first.bytes()[0], std::byte{1});  // who has it keeps it
    const auto of_second = value_of(open());
    EXPECT_TRUE(of_second.alive());
    EXPECT_EQ(of_second.bytes()[0], std::byte{0});
}

TEST_F(SharedMemoryTest, ACopyOfTheDirectoryHasItsOwn) {
    const auto made = value_of(make());
    const std::string copy = directory_ + "-copy";
    std::filesystem::copy(directory_, copy);
    const auto opened = SharedMemory::open(name_, copy, page, page);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::not_found);
    SharedMemory::remove(name_, copy);
    std::filesystem::remove_all(copy);
    EXPECT_TRUE(value_of(open()).alive());
}

TEST_F(SharedMemoryTest, ItsMakersDeathIsSeen) {
    int made_pipe[2];
    ASSERT_EQ(pipe(made_pipe), 0);
    const pid_t child = fork();
    if (child == 0) {
        const auto made = make();
        const char told = made ? 'y' : 'n';
        static_cast<void>(!write(made_pipe[1], &told, 1));
        for (;;) { pause(); }
    }
    char told = 0;
    ASSERT_EQ(read(made_pipe[0], &told, 1), 1);
    ASSERT_EQ(told, 'y');
    const auto opened = value_of(open());
    EXPECT_TRUE(opened.alive());
    ASSERT_EQ(kill(child, SIGKILL), 0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_FALSE(opened.alive());
    const auto next = value_of(make());  // nothing of the dead one is in the way
    close(made_pipe[0]);
    close(made_pipe[1]);
}

TEST_F(SharedMemoryTest, RemovedIsGone) {
    const auto made = value_of(make());
    const auto opened = value_of(open());
    SharedMemory::remove(name_, directory_);
    EXPECT_FALSE(opened.alive());
    const auto again = open();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::not_found);
    SharedMemory::remove(name_, directory_);
}

}  // namespace
}  // namespace flowstone
