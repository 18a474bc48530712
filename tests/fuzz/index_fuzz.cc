// Index files: the first byte says how many blocks of the input are the offset index, the rest is the time index.
#include <algorithm>

#include "storage/check.h"
#include "storage/segment_files.h"
#include "storage/segment_index.h"
#include "tests/sim/world/sim_disk.h"

using namespace flowstone;

namespace {

void write_file(Disk& disk, const std::string& name, Bytes content) {
    auto file = disk.open(name, {.write = true, .create = true});
    CHECK(file.has_value());
    if (!content.empty()) { CHECK(write_at(disk, **file, BytePos{0}, content).has_value()); }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) { return 0; }
    const Bytes input(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
    const size_t cut = std::min<size_t>(size_t{data[0]} * index_entry_bytes, input.size());
    const Offset base{1000};
    const SegmentEnd end{Offset{100'000}, BytePos{1 << 20}};
    SimDisk disk;
    CHECK(disk.make_directory("p").has_value());
    write_file(disk, join_path("p", segment_file_name(base, SegmentFile::index)), input.first(cut));
    write_file(disk, join_path("p", segment_file_name(base, SegmentFile::time_index)), input.subspan(cut));

    auto index = SegmentIndex::open(disk, "p", base, end);
    if (!index) {
        CHECK(index.error().code == Code::corrupt);
        return 0;
    }
    for (const int64_t offset :
         {int64_t{0}, int64_t{1000}, int64_t{1001}, int64_t{50'000}, int64_t{99'999}, INT64_MAX}) {
        const auto at = index->lookup(disk, Offset{offset});
        CHECK(at ? *at >= BytePos{0} && *at < end.at : at.error().code == Code::corrupt);
    }
    for (const int64_t time : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1'700'000'000'000}, INT64_MAX}) {
        const auto hit = index->lookup_time(disk, time);
        CHECK(hit ? hit->at >= BytePos{0} && hit->timestamp_ms <= std::max<int64_t>(time, -1)
                  : hit.error().code == Code::corrupt);
    }
    if (auto cut_index = *index; cut_index.truncate(disk, {Offset{20'000}, BytePos{1 << 18}})) {
        CHECK(cut_index.last_entry_at() < BytePos{1 << 18});
        (void)cut_index.flush(disk);
    }
    return 0;
}
