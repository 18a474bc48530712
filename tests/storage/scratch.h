// A directory of its own for one test, on the simulated disk, and segments written into it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/batch.h"
#include "storage/disk.h"
#include "storage/segment_files.h"
#include "tests/sim/world/sim_disk.h"

namespace flowstone {

// The code of an error, nothing for a success.
template <class T>
std::optional<Code> code_of(const Result<T>& result) {
    return result ? std::nullopt : std::optional(result.error().code);
}

class ScratchTest : public testing::Test {
protected:
    ScratchTest() { EXPECT_TRUE(disk_->make_directory(root_)); }

    void write(const std::string& name, Bytes content) {
        auto file = disk_->open(join_path(root_, name), {.write = true, .create = true});
        ASSERT_TRUE(file) << file.error().message();
        ASSERT_TRUE(disk_->truncate(**file, 0));
        if (!content.empty()) { ASSERT_TRUE(write_at(*disk_, **file, BytePos{0}, content)); }
    }
    std::vector<std::byte> read(const std::string& name) {
        auto content = read_file(*disk_, join_path(root_, name), uint64_t{1} << 30);
        EXPECT_TRUE(content) << content.error().message();
        return content ? *content : std::vector<std::byte>{};
    }
    std::unique_ptr<File> open(const std::string& name, OpenOptions options = {}) {
        auto file = disk_->open(join_path(root_, name), options);
        EXPECT_TRUE(file) << file.error().message();
        return file ? std::move(*file) : nullptr;
    }

    const std::string root_ = "partition";
    std::unique_ptr<Disk> disk_ = std::make_unique<SimDisk>();
};

// One batch of equal records with a value of `value_bytes`.
struct BatchShape {
    int32_t records = 1;
    size_t value_bytes = 100;
    int64_t timestamp_ms = 1'000;
    int32_t epoch = 0;
    int64_t gap = 0;  // offsets left out before it
};

// Where a batch of a made segment is.
struct MadeBatch {
    int64_t at = 0;
    int64_t bytes = 0;
    int64_t base_offset = 0;
    int64_t last_offset = 0;
    int64_t timestamp_ms = 0;
};
struct MadeSegment {
    std::vector<std::byte> bytes;
    std::vector<MadeBatch> batches;
    int64_t next_offset = 0;
};

inline MadeSegment make_segment(int64_t base, const std::vector<BatchShape>& shapes) {
    MadeSegment segment;
    segment.next_offset = base;
    for (const BatchShape& shape : shapes) {
        segment.next_offset += shape.gap;
        const std::string value(shape.value_bytes, 'v');
        std::vector<std::byte> space(batch_header_bytes + (value.size() + 64) * static_cast<size_t>(shape.records));
        BatchBuilder builder(space, {.base_offset = Offset{segment.next_offset}, .epoch = Epoch{shape.epoch}});
        for (int32_t i = 0; i < shape.records; ++i) {
            EXPECT_TRUE(builder.append({.key = "key", .value = value}, shape.timestamp_ms));
        }
        const BatchView batch = builder.close();
        segment.batches.push_back({static_cast<int64_t>(segment.bytes.size()), static_cast<int64_t>(batch.size()),
                                   segment.next_offset, segment.next_offset + shape.records - 1, shape.timestamp_ms});
        segment.bytes.insert(segment.bytes.end(), batch.bytes().begin(), batch.bytes().end());
        segment.next_offset += shape.records;
    }
    return segment;
}

}  // namespace flowstone
