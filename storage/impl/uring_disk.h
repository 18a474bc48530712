// The io_uring room: many requests of one run() are in flight together. Everything else is the POSIX room's.
//
// A call takes a ring from a pool, submits, and blocks in the kernel until all its requests have ended: nothing spins
// (busy polling made a commit's p50 6 ms instead of 0.28), nothing outlives the call. One request alone goes the plain
// way, which costs the same. So does everything where a ring cannot be had (descriptors or memory run out, more than
// rings_max calls at once) or fails, and in the child after a fork, which must not touch its parent's rings.
//
// A thread submits and reaps its own requests, and rings change hands under a lock, so no order between threads is left
// to the kernel alone and ThreadSanitizer needs no annotation. A read in the background keeps its ring until it has ended;
// whoever hands it to another thread orders the two.
#pragma once

#include <functional>
#include <optional>

#include "storage/impl/posix_disk.h"

namespace flowstone {

// A submission queue and its completions, for one thread at a time. Tests put theirs here to make requests short, late,
// cancelled or refused; the default is the kernel's.
class Ring {
public:
    struct Request {
        Io::Kind kind;
        int fd;
        std::span<const iovec> pieces;  // valid until the completion, bytes included
        uint64_t at;
        bool directory = false;  // a sync of one: of all that there is, not of data only
    };
    struct Completion {
        uint32_t slot;
        int32_t result;  // bytes moved, or a negative errno
    };
    virtual ~Ring() = default;
    // Queues one request under a number below ring_entries that is not in use. Nothing happens yet.
    virtual void prepare(uint32_t slot, const Request& request) = 0;
    // Hands what is queued to the kernel and blocks until something has completed. Returns how many of the queue it took,
    // in order, or a negative errno; then it took none.
    virtual int submit_and_wait() = 0;
    // Hands what is queued to the kernel and returns. As submit_and_wait() else.
    virtual int submit() = 0;
    // Blocks until something has completed; submits nothing. Returns 0 or a negative errno.
    virtual int wait() = 0;
    // The next completion, if there is one.
    virtual std::optional<Completion> reap() = 0;
};

using RingFactory = std::function<std::unique_ptr<Ring>()>;  // null: no ring can be had

// A ring of the kernel's, tried once; null where it is forbidden or missing.
std::unique_ptr<Ring> open_kernel_ring();

// Safe from any thread.
class UringDisk final : public PosixDisk {
public:
    explicit UringDisk(RingFactory factory = open_kernel_ring, const SystemCalls& calls = SystemCalls::kernel());
    ~UringDisk() override;
    const char* room() const override { return "io_uring"; }
    void run(std::span<Io> requests) override;
    Result<void> sync_directories(std::span<const std::string> paths) override;
    std::unique_ptr<BackgroundRead> begin_read(const std::shared_ptr<File>& file, BytePos at,
                                               MutableBytes into) override;
    // Whether a ring can be had now; it is kept for the first call.
    bool has_ring();

private:
    // A ring and the places of its requests, kept together so that a call allocates nothing.
    struct Rig;
    class Batch;
    class Ahead;
    std::unique_ptr<Rig> acquire();
    void give_back(std::unique_ptr<Rig> rig);

    const RingFactory factory_;
    const int owner_;  // process id
    std::mutex rigs_lock_;
    std::vector<std::unique_ptr<Rig>> idle_;
    uint32_t in_use_ = 0;
    std::atomic<uint32_t> background_reads_ = 0;
};

}  // namespace flowstone
