#include "tests/sim/world/faulty_disk.h"

#include <algorithm>
#include <ranges>

#include "storage/check.h"
#include "storage/impl/transfer.h"
#include "tests/sim/world/sim_disk.h"

namespace flowstone {
namespace {

static_assert(static_cast<int>(FaultyDisk::Call::sync) == static_cast<int>(Io::Kind::sync));
static_assert(static_cast<int>(FaultyDisk::Call::write_durable) == static_cast<int>(Io::Kind::write_durable));

constexpr const char* names[] = {
    "read", "write", "write_durable",  "sync",   "block_bytes", "open",           "size", "truncate",   "allocate",
    "info", "list",  "make_directory", "remove", "rename",      "sync_directory", "lock", "free_bytes",
};
static_assert(std::size(names) == FaultyDisk::call_kinds);

constexpr const char* operations[] = {
    "disk.read",   "disk.write",    "disk.write",          "disk.sync", "disk.block_bytes", "disk.open",
    "disk.size",   "disk.truncate", "disk.allocate",       "disk.info", "disk.list",        "disk.make_directory",
    "disk.remove", "disk.rename",   "disk.sync_directory", "disk.lock", "disk.free_bytes",
};
static_assert(std::size(operations) == FaultyDisk::call_kinds);

// The first `bytes` of them.
std::vector<iovec> front(std::span<const iovec> pieces, uint64_t bytes) {
    std::vector<iovec> some;
    for (const iovec& piece : pieces) {
        if (bytes == 0) { break; }
        some.push_back({piece.iov_base, std::min<uint64_t>(piece.iov_len, bytes)});
        bytes -= some.back().iov_len;
    }
    return some;
}

uint64_t total(std::span<const iovec> pieces) {
    uint64_t bytes = 0;
    for (const iovec& piece : pieces) { bytes += piece.iov_len; }
    return bytes;
}

}  // namespace

const char* FaultyDisk::name(Call call) { return names[static_cast<size_t>(call)]; }

FaultyDisk::FaultyDisk(Disk& below) : below_(below), simulated_(dynamic_cast<SimDisk*>(&below)) {}

uint64_t FaultyDisk::calls() const {
    const std::lock_guard guard(mutex_);
    return all_;
}

uint64_t FaultyDisk::calls(Call kind) const {
    const std::lock_guard guard(mutex_);
    return by_kind_[static_cast<size_t>(kind)];
}

void FaultyDisk::fail_at(uint64_t number, int32_t os_errno, bool and_after) {
    const std::lock_guard guard(mutex_);
    failure_ = {{}, number, os_errno, and_after};
}

void FaultyDisk::fail_at(Call kind, uint64_t number, int32_t os_errno, bool and_after) {
    const std::lock_guard guard(mutex_);
    failure_ = {kind, number, os_errno, and_after};
}

void FaultyDisk::skip(Call kind, uint64_t number) {
    CHECK(kind == Call::write_durable || kind == Call::sync || kind == Call::sync_directory || kind == Call::truncate);
    const std::lock_guard guard(mutex_);
    skips_[kind] = number;
}

void FaultyDisk::full(uint64_t begin, uint64_t end) {
    CHECK(simulated_ != nullptr);
    const std::lock_guard guard(mutex_);
    full_begin_ = begin;
    full_end_ = end;
}

std::optional<FaultyDisk::Failed> FaultyDisk::failed() const {
    const std::lock_guard guard(mutex_);
    return failed_;
}

void FaultyDisk::only_paths_with(std::string text) {
    const std::lock_guard guard(mutex_);
    only_ = std::move(text);
}

void FaultyDisk::interrupt(Call kind, std::function<void()> other) {
    const std::lock_guard guard(mutex_);
    interruptions_[kind] = std::move(other);
}

void FaultyDisk::kernel(Kernel kernel) {
    const std::lock_guard guard(mutex_);
    kernel_ = std::move(kernel);
}

void FaultyDisk::heal() {
    const std::lock_guard guard(mutex_);
    failure_.reset();
    skips_.clear();
    full_end_ = 0;
    kernel_ = nullptr;
    if (simulated_ != nullptr) { simulated_->set_full(false); }
}

FaultyDisk::Verdict FaultyDisk::count(Call kind, const std::string& path) {
    std::unique_lock guard(mutex_);
    if (path.find(only_) == std::string::npos) { return {}; }
    if (auto found = interruptions_.extract(kind)) {
        guard.unlock();
        found.mapped()();
        guard.lock();
    }
    const uint64_t among_all = all_++;
    const uint64_t among_kind = by_kind_[static_cast<size_t>(kind)]++;
    if (full_end_ > 0) { simulated_->set_full(among_all >= full_begin_ && among_all < full_end_); }
    Verdict verdict;
    if (failure_ && failure_->kind.value_or(kind) == kind) {
        const uint64_t number = failure_->kind ? among_kind : among_all;
        const bool hit = number == failure_->number || (failure_->and_after && number > failure_->number);
        if (hit) { verdict.os_errno = failure_->os_errno; }
        if (hit && !failed_) { failed_ = {kind, among_all, path}; }
    }
    if (const auto found = skips_.find(kind); found != skips_.end()) {
        verdict.skip = found->second == every || found->second == among_kind;
    }
    return verdict;
}

template <class Pass>
auto FaultyDisk::pass(Call kind, const std::string& path, Pass call) -> decltype(call()) {
    const Verdict verdict = count(kind, path);
    const char* const operation = operations[static_cast<size_t>(kind)];
    if (verdict.os_errno != 0 && kind == Call::sync_directory) { return fail_sync(verdict.os_errno, operation, path); }
    if (verdict.os_errno != 0) { return fail_errno(verdict.os_errno, operation, path); }
    if constexpr (std::is_same_v<decltype(call()), Result<void>>) {
        if (verdict.skip) { return {}; }
    }
    return call();
}

// The requests that pass go down together, as they came; those that fail or are skipped are dealt with one by one.
void FaultyDisk::run(std::span<Io> requests) {
    std::vector<Io> passing;
    std::vector<Io*> origins;
    for (Io& request : requests) {
        const Verdict verdict = count(static_cast<Call>(request.kind), request.file->path());
        if (verdict.os_errno != 0) {
            request.done = 0;
            request.os_errno = verdict.os_errno;
            if (simulated_ != nullptr) { simulated_->run_failing({&request, 1}, verdict.os_errno); }
        } else if (verdict.skip && request.kind == Io::Kind::sync) {
            request.os_errno = 0;
        } else {
            passing.push_back(request);
            origins.push_back(&request);
            if (verdict.skip) { passing.back().kind = Io::Kind::write; }
        }
    }
    if (passing.empty()) { return; }
    Kernel kernel;
    {
        const std::lock_guard guard(mutex_);
        kernel = kernel_;
    }
    if (kernel == nullptr) {
        below_.run(passing);
    } else {
        for (Io& request : std::views::reverse(passing)) { transfer(kernel, request); }
    }
    for (size_t i = 0; i < passing.size(); ++i) {
        origins[i]->done = passing[i].done;
        origins[i]->os_errno = passing[i].os_errno;
    }
}

void FaultyDisk::transfer(const Kernel& kernel, Io& request) {
    File& file = *request.file;
    const uint32_t block = file.direct() ? below_.block_bytes(parent_path(file.path())).value_or(1) : 1;
    Transfer transfer(request, block);
    while (transfer.next() != Transfer::Next::ended) {
        if (transfer.next() == Transfer::Next::ask_size) {
            transfer.file_size(below_.size(file).value_or(0));
            continue;
        }
        const int64_t moves = kernel(request.kind, total(transfer.remaining()));
        if (moves < 0) {
            transfer.result(moves);
            continue;
        }
        const auto pieces = front(transfer.remaining(), align_up(static_cast<uint64_t>(moves), block));
        Io part{.kind = request.kind,
                .file = &file,
                .at = BytePos{static_cast<int64_t>(transfer.position())},
                .pieces = pieces};
        below_.run({&part, 1});
        transfer.result(part.os_errno != 0 ? -int64_t{part.os_errno} : static_cast<int64_t>(part.done));
    }
}

std::unique_ptr<BackgroundRead> FaultyDisk::begin_read(const std::shared_ptr<File>& file, BytePos at,
                                                       MutableBytes into) {
    return std::make_unique<SimRead>(*this, file, at, into, false);
}

Result<uint32_t> FaultyDisk::block_bytes(const std::string& directory) {
    return pass(Call::block_bytes, directory, [&] { return below_.block_bytes(directory); });
}
Result<std::unique_ptr<File>> FaultyDisk::open(const std::string& path, OpenOptions options) {
    return pass(Call::open, path, [&] { return below_.open(path, options); });
}
Result<uint64_t> FaultyDisk::size(File& file) {
    return pass(Call::size, file.path(), [&] { return below_.size(file); });
}
Result<void> FaultyDisk::truncate(File& file, uint64_t bytes) {
    return pass(Call::truncate, file.path(), [&] { return below_.truncate(file, bytes); });
}
Result<void> FaultyDisk::allocate(File& file, BytePos begin, BytePos end, bool keep_size) {
    return pass(Call::allocate, file.path(), [&] { return below_.allocate(file, begin, end, keep_size); });
}
Result<FileInfo> FaultyDisk::info(const std::string& path) {
    return pass(Call::info, path, [&] { return below_.info(path); });
}
Result<std::vector<DirectoryEntry>> FaultyDisk::list(const std::string& directory) {
    return pass(Call::list, directory, [&] { return below_.list(directory); });
}
Result<void> FaultyDisk::make_directory(const std::string& path) {
    return pass(Call::make_directory, path, [&] { return below_.make_directory(path); });
}
Result<void> FaultyDisk::remove(const std::string& path) {
    return pass(Call::remove, path, [&] { return below_.remove(path); });
}
Result<void> FaultyDisk::rename(const std::string& from, const std::string& to) {
    return pass(Call::rename, from, [&] { return below_.rename(from, to); });
}
Result<void> FaultyDisk::sync_directory(const std::string& path) {
    return pass(Call::sync_directory, path, [&] { return below_.sync_directory(path); });
}
Result<std::unique_ptr<DirectoryLock>> FaultyDisk::lock(const std::string& path) {
    return pass(Call::lock, path, [&] { return below_.lock(path); });
}
Result<uint64_t> FaultyDisk::free_bytes(const std::string& directory) {
    return pass(Call::free_bytes, directory, [&] { return below_.free_bytes(directory); });
}

}  // namespace flowstone
