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

std::string temporary_name(const Replacement& file) { return file.path + ".tmp"; }

// Writes each content as the whole of a temporary file, and syncs them. The names are not durable yet.
Result<void> write_temporaries(Disk& disk, std::span<const Replacement> files) {
    std::vector<std::unique_ptr<File>> written;
    std::vector<Io> syncs;
    for (const Replacement& file : files) {
        TRY(auto opened, disk.open(temporary_name(file), {.write = true, .create = true}));
        TRY_VOID(disk.truncate(*opened, 0));  // a crash may have left one of that name
        if (!file.content.empty()) { TRY_VOID(write_at(disk, *opened, BytePos{0}, file.content)); }
        syncs.push_back({.kind = Io::Kind::sync, .file = opened.get()});
        written.push_back(std::move(opened));
    }
    if (mutated(Mutant::replace_sync)) { return {}; }
    disk.run(syncs);
    for (const Io& one : syncs) {
        if (one.os_errno != 0) { return fail_sync(one.os_errno, "disk.sync", one.file->path()); }
    }
    return {};
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
    const Replacement one[] = {{path, content}};
    return replace_files(disk, one);
}

Result<void> replace_files(Disk& disk, std::span<const Replacement> files) {
    if (auto written = write_temporaries(disk, files); !written) {
        // Gives their space back; the first error is the one that counts.
        for (const Replacement& file : files) { (void)disk.remove(temporary_name(file)); }
        return written;
    }
    std::vector<std::string> directories;
    for (const Replacement& file : files) {
        TRY_VOID(disk.rename(temporary_name(file), file.path));
        directories.push_back(parent_path(file.path));
    }
    return mutated(Mutant::replace_directory) ? Result<void>{} : disk.sync_directories(directories);
}

Result<void> Disk::sync_directories(std::span<const std::string> paths) {
    for (const std::string& path : paths) { TRY_VOID(sync_directory(path)); }
    return {};
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
