#include "storage/disk.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {
namespace {

iovec piece_of(Bytes bytes) { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

// Runs one request and turns its errno into an error that names the file and the place.
Result<uint64_t> run_one(Disk& disk, Io& request, const char* operation) {
    disk.run({&request, 1});
    if (request.os_errno == 0) { return request.done; }
    return fail_errno(request.os_errno, operation, fmt::format("{} at {}", request.file->path(), request.at.value));
}

// Writes `content` as the whole of `path` and syncs it. The name is not durable yet.
Result<void> write_whole(Disk& disk, const std::string& path, Bytes content) {
    TRY(auto file, disk.open(path, {.write = true, .create = true}));
    TRY_VOID(disk.truncate(*file, 0));  // a crash may have left one of that name
    if (!content.empty()) { TRY_VOID(write_at(disk, *file, BytePos{0}, content)); }
    return mutated(Mutant::replace_sync) ? Result<void>{} : sync(disk, *file);
}

}  // namespace

Result<uint64_t> read_at(Disk& disk, File& file, BytePos at, MutableBytes into) {
    const iovec piece = piece_of(into);
    Io request{.kind = Io::Kind::read, .file = &file, .at = at, .pieces = {&piece, 1}};
    return run_one(disk, request, "disk.read");
}

Result<void> write_at(Disk& disk, File& file, BytePos at, Bytes from) {
    const iovec piece = piece_of(from);
    Io request{.kind = Io::Kind::write, .file = &file, .at = at, .pieces = {&piece, 1}};
    TRY_VOID(run_one(disk, request, "disk.write"));
    return {};
}

Result<void> sync(Disk& disk, File& file) {
    Io request{.kind = Io::Kind::sync, .file = &file};
    disk.run({&request, 1});
    if (request.os_errno != 0) { return fail_sync(request.os_errno, "disk.sync", file.path()); }
    return {};
}

Result<bool> exists(Disk& disk, const std::string& path) {
    const auto info = disk.info(path);
    if (info || info.error().code == Code::not_found) { return info.has_value(); }
    return std::unexpected(info.error());
}

std::unexpected<Error> fail_sync(int os_errno, const char* operation, std::string_view detail) {
    auto failed = fail_errno(os_errno, operation, detail);
    if (failed.error().code == Code::no_space) { failed.error().code = Code::io; }
    return failed;
}

bool loses_writes(const Error& error) {
    constexpr std::string_view operations[] = {"disk.write",    "disk.sync",      "disk.sync_directory",
                                               "segment.write", "journal.commit", "checkpoint.sync"};
    return error.code == Code::io && std::ranges::find(operations, error.operation) != std::end(operations);
}

Result<std::vector<std::byte>> read_file(Disk& disk, const std::string& path, uint64_t bytes_max) {
    TRY(auto file, disk.open(path, {}));
    TRY(const uint64_t bytes, disk.size(*file));
    if (bytes > bytes_max) {
        return fail(Code::too_large, "disk.read_file",
                    fmt::format("{} has {} bytes, at most {}", path, bytes, bytes_max));
    }
    std::vector<std::byte> content(bytes);
    TRY(const uint64_t done, read_at(disk, *file, BytePos{0}, content));
    content.resize(done);  // less, when somebody cuts the file meanwhile
    return content;
}

Result<void> replace_file(Disk& disk, const std::string& path, Bytes content) {
    const std::string temporary = path + ".tmp";
    if (auto written = write_whole(disk, temporary, content); !written) {
        (void)disk.remove(temporary);  // gives its space back; the first error is the one that counts
        return written;
    }
    TRY_VOID(disk.rename(temporary, path));
    return mutated(Mutant::replace_directory) ? Result<void>{} : disk.sync_directory(parent_path(path));
}

std::string join_path(const std::string& directory, const std::string& name) {
    if (directory.empty()) { return name; }
    return directory.back() == '/' ? directory + name : directory + '/' + name;
}

std::string parent_path(const std::string& path) {
    size_t end = path.find_last_not_of('/');  // a slash at the end names the same directory
    if (end == std::string::npos) { return path.empty() ? "." : "/"; }
    end = path.rfind('/', end);
    if (end == std::string::npos) { return "."; }
    end = path.find_last_not_of('/', end);
    return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

}  // namespace flowstone
