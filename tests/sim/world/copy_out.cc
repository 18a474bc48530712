#include "tests/sim/world/copy_out.h"

#include <algorithm>
#include <fstream>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t block_bytes = 4096;

void write_sparse(const std::filesystem::path& path, Bytes bytes) {
    std::ofstream file(path, std::ios::binary);
    for (size_t at = 0; at < bytes.size(); at += block_bytes) {
        const Bytes block = bytes.subspan(at, std::min(block_bytes, bytes.size() - at));
        if (std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; })) { continue; }
        file.seekp(static_cast<std::streamoff>(at));
        file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(block.size()));
    }
    file.close();
    std::filesystem::resize_file(path, bytes.size());
}

}  // namespace

Result<void> copy_out(Disk& disk, const std::string& from, const std::filesystem::path& to) {
    std::filesystem::create_directories(to);
    TRY(const auto entries, disk.list(from));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = join_path(from, entry.name);
        if (entry.directory) {
            TRY_VOID(copy_out(disk, path, to / entry.name));
            continue;
        }
        TRY(const auto bytes, read_file(disk, path, uint64_t{1} << 30));
        write_sparse(to / entry.name, bytes);
    }
    return {};
}

}  // namespace flowstone
