// A disk whose calls fail on demand, or lie. Passes everything on to another disk and counts.
//
// Failing:  the N-th call, or every call from the N-th on, ends with an errno. Where the disk below is simulated, a
//           failing write may leave any of its sectors and a failing sync drops what it covered; elsewhere nothing happens.
// Skipping: the N-th call, or every call of a kind, says it succeeded and does nothing; a skipped write_durable becomes
//           a plain write. That is a mutant: some test must notice.
// Kernel:   each transfer moves less than it was asked for, or is interrupted, and is gone on with as in the real rooms.
//
// Every request of a run() is one call. Safe from any thread as far as the disk below is.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "storage/disk.h"

namespace flowstone {

class SimDisk;

class FaultyDisk final : public Disk {
public:
    enum class Call : uint8_t {
        read,
        write,
        write_durable,
        sync,  // as Io::Kind
        block_bytes,
        open,
        size,
        truncate,
        allocate,
        info,
        list,
        make_directory,
        remove,
        rename,
        sync_directory,
        lock,
        free_bytes,
    };
    static constexpr size_t call_kinds = static_cast<size_t>(Call::free_bytes) + 1;
    static constexpr uint64_t every = ~uint64_t{0};
    static const char* name(Call call);

    // `below` must outlive this disk.
    explicit FaultyDisk(Disk& below);

    // Calls so far, the failed and skipped included: numbers start at 0.
    uint64_t calls() const;
    uint64_t calls(Call kind) const;

    // The call numbered `number` among all, or among those of `kind`, fails. With `and_after`, all later ones too.
    // Each replaces what was asked before it.
    void fail_at(uint64_t number, int32_t os_errno, bool and_after = false);
    void fail_at(Call kind, uint64_t number, int32_t os_errno, bool and_after = false);
    // The call numbered `number` of `kind`, or `every`, is skipped. Only write_durable, sync, sync_directory and truncate.
    void skip(Call kind, uint64_t number = every);
    // While calls [begin, end) happen nothing more takes room on the disk below, which must be a simulated one.
    void full(uint64_t begin, uint64_t end);
    // Only calls on paths that contain this are counted, failed and skipped; the others pass.
    void only_paths_with(std::string text);
    // The next call of `kind` is preceded by a call of `other`, which may use the disk too: what somebody else does meanwhile.
    void interrupt(Call kind, std::function<void()> other);
    // What a kernel below does when it is asked to move `bytes` (of a sync 0): a negative errno, and nothing is moved; else at
    // most so many bytes, in whole blocks of a file that is direct. The requests of a run() then end one after another, the
    // last one first.
    using Kernel = std::function<int64_t(Io::Kind kind, uint64_t bytes)>;
    void kernel(Kernel kernel);
    // Fails and skips nothing any more, and no kernel is in between. Counting goes on.
    void heal();

    struct Failed {
        Call kind;
        uint64_t number;  // among all
        std::string path;
    };
    // The first call that failed as fail_at() asked.
    std::optional<Failed> failed() const;

    const char* room() const override { return below_.room(); }
    Result<uint32_t> block_bytes(const std::string& directory) override;
    Result<std::unique_ptr<File>> open(const std::string& path, OpenOptions options) override;
    void run(std::span<Io> requests) override;
    // One read among the calls, when it ends.
    std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& file, BytePos at,
                                               MutableBytes into) override;
    Result<uint64_t> size(File& file) override;
    Result<void> truncate(File& file, uint64_t bytes) override;
    Result<void> allocate(File& file, BytePos begin, BytePos end, bool keep_size) override;
    Result<FileInfo> info(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
    Result<void> make_directory(const std::string& path) override;
    Result<void> remove(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> sync_directory(const std::string& path) override;
    Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;
    void drop_cache(File& file) override { below_.drop_cache(file); }
    Result<uint64_t> free_bytes(const std::string& directory) override;

private:
    struct Verdict {
        int32_t os_errno = 0;
        bool skip = false;
    };
    Verdict count(Call kind, const std::string& path);
    void transfer(const Kernel& kernel, Io& request);
    template <class Pass>
    auto pass(Call kind, const std::string& path, Pass call) -> decltype(call());

    struct Failure {
        std::optional<Call> kind;  // none: among all calls
        uint64_t number = 0;
        int32_t os_errno = 0;
        bool and_after = false;
    };

    Disk& below_;
    SimDisk* simulated_;  // below_, when it is one
    mutable std::mutex mutex_;
    uint64_t all_ = 0;
    std::array<uint64_t, call_kinds> by_kind_{};
    std::optional<Failure> failure_;
    std::optional<Failed> failed_;
    uint64_t full_begin_ = 0;
    uint64_t full_end_ = 0;
    std::map<Call, uint64_t> skips_;
    std::string only_;
    std::map<Call, std::function<void()>> interruptions_;
    Kernel kernel_;
};

}  // namespace flowstone
