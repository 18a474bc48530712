#include "storage/disk.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace flowstone {
namespace {

class PosixDiskTest : public testing::Test {
protected:
    PosixDiskTest() {
        char name[] = "/tmp/flowstone_disk_XXXXXX";
        root_ = ::mkdtemp(name);
    }
    ~PosixDiskTest() override { std::filesystem::remove_all(root_); }
    std::string root_;
    std::unique_ptr<Disk> disk_ = open_posix_disk();
};

TEST_F(PosixDiskTest, WhatIsWrittenIsReadBack) {
    auto file = disk_->open(join_path(root_, "a"), {.write = true, .create = true});
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE(write_at(*disk_, **file, BytePos{3}, as_bytes("stone")));
    ASSERT_TRUE(sync(*disk_, **file));
    std::byte into[16];
    auto read = read_at(*disk_, **file, BytePos{0}, into);
    ASSERT_TRUE(read);
    EXPECT_EQ(as_text(Bytes(into, *read)), std::string_view("\0\0\0stone", 8));
}

TEST_F(PosixDiskTest, ReplaceFileReplaces) {
    const std::string path = join_path(root_, "meta");
    ASSERT_TRUE(replace_file(*disk_, path, as_bytes("a longer first version")));
    ASSERT_TRUE(replace_file(*disk_, path, as_bytes("second")));
    auto content = read_file(*disk_, path, 100);
    ASSERT_TRUE(content);
    EXPECT_EQ(as_text(*content), "second");
    EXPECT_EQ(disk_->list(root_)->size(), 1u);
}

TEST_F(PosixDiskTest, TheSecondLockNamesTheHolder) {
    auto first = disk_->lock(join_path(root_, ".lock"));
    ASSERT_TRUE(first) << first.error().message();
    auto second = disk_->lock(join_path(root_, ".lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::locked);
    EXPECT_NE(std::string(second.error().detail).find(std::to_string(::getpid())), std::string::npos);
}

TEST(Paths, ParentAndJoinAgree) {
    EXPECT_EQ(join_path("a/b", "c"), "a/b/c");
    EXPECT_EQ(join_path("a/", "c"), "a/c");
    EXPECT_EQ(join_path("", "c"), "c");
    EXPECT_EQ(parent_path("a/b/c"), "a/b");
    EXPECT_EQ(parent_path("a/b/"), "a");
    EXPECT_EQ(parent_path("a"), ".");
    EXPECT_EQ(parent_path("/a"), "/");
    EXPECT_EQ(parent_path("/"), "/");
}

}  // namespace
}  // namespace flowstone
