#include "storage/impl/uring_disk.h"

#include <liburing.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {
namespace {

class KernelRing final : public Ring {
public:
    // Null unless a request has gone through: a container may allow the ring and forbid entering it.
    static std::unique_ptr<KernelRing> open() {
        auto opened = std::unique_ptr<KernelRing>(new KernelRing);
        io_uring_params parameters{};
        parameters.flags =
            IORING_SETUP_COOP_TASKRUN;  // completions wait for our next entry: no interrupt of a busy core
        int failed = io_uring_queue_init_params(ring_entries, &opened->ring_, &parameters);
        if (failed == -EINVAL) {  // before Linux 5.19
            parameters = {};
            failed = io_uring_queue_init_params(ring_entries, &opened->ring_, &parameters);
        }
        if (failed < 0) { return nullptr; }
        opened->open_ = true;
        io_uring_sqe* entry = io_uring_get_sqe(&opened->ring_);
        io_uring_prep_nop(entry);
        io_uring_sqe_set_data64(entry, 0);
        if (opened->submit_and_wait() != 1 || !opened->reap()) { return nullptr; }
        return opened;
    }
    ~KernelRing() override {
        if (open_) { io_uring_queue_exit(&ring_); }
    }

    void prepare(uint32_t slot, const Request& request) override {
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        CHECK(entry != nullptr);  // no more slots than entries
        const iovec* pieces = request.pieces.data();
        const auto count = static_cast<unsigned>(request.pieces.size());
        switch (request.kind) {
            case Io::Kind::read: io_uring_prep_readv2(entry, request.fd, pieces, count, request.at, 0); break;
            case Io::Kind::write: io_uring_prep_writev2(entry, request.fd, pieces, count, request.at, 0); break;
            case Io::Kind::write_durable:
                io_uring_prep_writev2(entry, request.fd, pieces, count, request.at, RWF_DSYNC);
                break;
            case Io::Kind::sync:
                io_uring_prep_fsync(entry, request.fd, request.directory ? 0 : IORING_FSYNC_DATASYNC);
                break;
        }
        io_uring_sqe_set_data64(entry, slot);
    }
    int submit_and_wait() override { return io_uring_submit_and_wait(&ring_, 1); }
    int submit() override { return io_uring_submit(&ring_); }
    int wait() override {
        io_uring_cqe* completion = nullptr;
        return io_uring_wait_cqe(&ring_, &completion);
    }
    std::optional<Completion> reap() override {
        io_uring_cqe* completion = nullptr;
        if (io_uring_peek_cqe(&ring_, &completion) != 0) { return std::nullopt; }
        const Completion found{static_cast<uint32_t>(io_uring_cqe_get_data64(completion)), completion->res};
        io_uring_cqe_seen(&ring_, completion);
        return found;
    }

private:
    KernelRing() = default;
    io_uring ring_{};
    bool open_ = false;
};

}  // namespace

std::unique_ptr<Ring> open_kernel_ring() { return KernelRing::open(); }

struct UringDisk::Rig {
    explicit Rig(std::unique_ptr<Ring> opened) : ring(std::move(opened)) {}
    std::unique_ptr<Ring> ring;
    std::array<std::optional<Transfer>, ring_entries> transfers;
};

// The requests of one run() on their way through one ring.
class UringDisk::Batch {
public:
    Batch(const UringDisk& disk, Rig& rig, std::span<Io> requests) : disk_(disk), rig_(rig), requests_(requests) {
        for (uint32_t slot = 0; slot < ring_entries; ++slot) { free_[free_count_++] = slot; }
    }

    // Returns false when the ring must not be used again. All requests have ended either way.
    bool run() {
        for (;;) {
            while (!requests_.empty() && free_count_ > 0) { begin(); }
            if (queued_count_ > 0) {
                submit();
            } else if (in_kernel_ > 0) {
                wait();
            } else {
                return !broken_;
            }
            while (const auto completion = rig_.ring->reap()) { completed(*completion); }
        }
    }

private:
    void begin() {
        Io& request = requests_.front();
        requests_ = requests_.subspan(1);
        const uint32_t slot = free_[--free_count_];
        rig_.transfers[slot].emplace(request, posix(*request.file).alignment());
        go_on(slot);
    }

    // Queues what a transfer needs next, or frees its slot.
    void go_on(uint32_t slot) {
        Transfer& transfer = *rig_.transfers[slot];
        const PosixFile& file = posix(*transfer.io().file);
        const bool plainly = broken_ || (transfer.io().kind == Io::Kind::write_durable && file.dsync_refused());
        if (plainly) { disk_.finish(transfer); }
        if (transfer.next() == Transfer::Next::ask_size) { disk_.answer_size(transfer); }
        if (transfer.next() == Transfer::Next::ended) {
            free_[free_count_++] = slot;
            return;
        }
        rig_.ring->prepare(
            slot, {transfer.io().kind, file.fd(), transfer.remaining(), transfer.position(), file.directory()});
        queued_[queued_count_++] = slot;
    }

    void submit() {
        const int taken = rig_.ring->submit_and_wait();
        if (taken > 0) {
            const auto count = static_cast<uint32_t>(taken);
            CHECK(count <= queued_count_);
            std::move(queued_.begin() + count, queued_.begin() + queued_count_, queued_.begin());
            queued_count_ -= count;
            in_kernel_ += count;
            refusals_ = 0;
            return;
        }
        const bool passing = taken == 0 || taken == -EINTR || taken == -EAGAIN || taken == -EBUSY;
        if (passing && in_kernel_ > 0) { return wait(); }  // what ends there frees what is missing
        if (passing && ++refusals_ < io_attempts_max) { return; }
        give_up();
    }

    // Whatever happens, what the kernel holds must have ended before the caller's buffers are free again.
    void wait() {
        const int failed = rig_.ring->wait();
        CHECK(failed == 0 || failed == -EINTR || failed == -EAGAIN || failed == -EBUSY);
    }

    void completed(const Ring::Completion& completion) {
        CHECK(completion.slot < ring_entries);
        CHECK(in_kernel_ > 0);
        --in_kernel_;
        Transfer& transfer = *rig_.transfers[completion.slot];
        const bool durable = transfer.io().kind == Io::Kind::write_durable;
        const bool refused = completion.result == -EOPNOTSUPP || completion.result == -ENOSYS;
        if (durable && refused) {
            posix(*transfer.io().file).refuse_dsync();  // go_on() takes the plain way then
        } else if (completion.result == -EAGAIN) {
            disk_.finish(transfer);  // the ring would not wait for what is missing; a plain call does
        } else {
            transfer.result(completion.result);
        }
        go_on(completion.slot);
    }

    // The ring takes nothing any more. What it has not taken yet is done by plain calls, and so is all that follows.
    void give_up() {
        broken_ = true;
        const uint32_t left = std::exchange(queued_count_, 0);
        for (uint32_t i = 0; i < left; ++i) { go_on(queued_[i]); }
    }

    const UringDisk& disk_;
    Rig& rig_;
    std::span<Io> requests_;  // not begun
    std::array<uint32_t, ring_entries> free_;
    std::array<uint32_t, ring_entries> queued_;  // in the order of the ring's own queue
    uint32_t free_count_ = 0;
    uint32_t queued_count_ = 0;
    uint32_t in_kernel_ = 0;
    uint32_t refusals_ = 0;
    bool broken_ = false;
};

class UringDisk::Ahead final : public BackgroundRead {
public:
    Ahead(UringDisk& disk, std::unique_ptr<Rig> rig, std::shared_ptr<File> file, BytePos at, MutableBytes into)
        : disk_(disk), rig_(std::move(rig)), file_(std::move(file)), piece_{into.data(), into.size()} {
        io_ = {.kind = Io::Kind::read, .file = file_.get(), .at = at, .pieces = {&piece_, 1}};
        disk_.background_reads_.fetch_add(1, std::memory_order_relaxed);
        const PosixFile& real = posix(*file_);
        transfer_.emplace(io_, real.alignment());
        if (transfer_->next() == Transfer::Next::ended) { return; }
        rig_->ring->prepare(0, {io_.kind, real.fd(), transfer_->remaining(), transfer_->position()});
        in_kernel_ = rig_->ring->submit() == 1;
        sound_ = in_kernel_;  // else the request is still queued there
    }
    ~Ahead() override {
        if (::getpid() == disk_.owner_) {
            (void)wait();
            disk_.give_back(sound_ ? std::move(rig_) : nullptr);
        } else {
            (void)rig_.release();  // after a fork it is the parent's
        }
        disk_.background_reads_.fetch_sub(1, std::memory_order_relaxed);
    }
    Ahead(const Ahead&) = delete;
    Ahead& operator=(const Ahead&) = delete;

    Result<uint64_t> end() override {
        if (const auto result = wait()) { transfer_->result(*result); }
        disk_.finish(
            *transfer_);  // what is left: all of it if its thread has gone, and the request with it (ECANCELED)
        if (io_.os_errno != 0) { return fail_errno(io_.os_errno, "disk.read", file_->path()); }
        return io_.done;
    }

private:
    // What the kernel said, if it has it.
    std::optional<int32_t> wait() {
        if (!in_kernel_ || ::getpid() != disk_.owner_) { return std::nullopt; }
        in_kernel_ = false;
        for (;;) {
            if (const auto completion = rig_->ring->reap()) { return completion->result; }
            const int failed = rig_->ring->wait();
            CHECK(failed == 0 || failed == -EINTR || failed == -EAGAIN || failed == -EBUSY);
        }
    }

    UringDisk& disk_;
    std::unique_ptr<Rig> rig_;
    std::shared_ptr<File> file_;
    iovec piece_;
    Io io_;
    std::optional<Transfer> transfer_;
    bool in_kernel_ = false;
    bool sound_ = true;
};

UringDisk::UringDisk(RingFactory factory, const SystemCalls& calls)
    : PosixDisk(calls), factory_(std::move(factory)), owner_(::getpid()) {}

UringDisk::~UringDisk() {
    if (::getpid() == owner_) { return; }
    for (auto& rig : idle_) { (void)rig.release(); }  // their memory and descriptors are shared with the parent
}

std::unique_ptr<UringDisk::Rig> UringDisk::acquire() {
    {
        const std::lock_guard guard(rigs_lock_);
        if (in_use_ == rings_max) { return nullptr; }
        ++in_use_;
        if (!idle_.empty()) {
            auto rig = std::move(idle_.back());
            idle_.pop_back();
            return rig;
        }
    }
    if (auto ring = factory_()) { return std::make_unique<Rig>(std::move(ring)); }
    give_back(nullptr);
    return nullptr;
}

bool UringDisk::has_ring() {
    auto rig = acquire();
    if (rig == nullptr) { return false; }
    give_back(std::move(rig));
    return true;
}

void UringDisk::give_back(std::unique_ptr<Rig> rig) {
    const std::lock_guard guard(rigs_lock_);
    --in_use_;
    if (rig != nullptr && idle_.size() < rings_idle_max) { idle_.push_back(std::move(rig)); }
}

void UringDisk::run(std::span<Io> requests) {
    if (requests.size() < 2 || ::getpid() != owner_) { return PosixDisk::run(requests); }
    auto rig = acquire();
    if (rig == nullptr) { return PosixDisk::run(requests); }
    const bool sound = Batch(*this, *rig, requests).run();
    give_back(sound ? std::move(rig) : nullptr);
}

Result<void> UringDisk::sync_directories(std::span<const std::string> paths) {
    std::vector<std::unique_ptr<PosixFile>> open;
    std::vector<Io> syncs;
    for (const std::string& path : paths) {
        TRY(auto directory, open_directory(path));
        syncs.push_back({.kind = Io::Kind::sync, .file = directory.get()});
        open.push_back(std::move(directory));
    }
    run(syncs);
    for (const Io& one : syncs) {
        if (one.os_errno != 0) { return fail_sync(one.os_errno, "disk.sync_directory", one.file->path()); }
    }
    return {};
}

std::unique_ptr<BackgroundRead> UringDisk::begin_read(const std::shared_ptr<File>& file, BytePos at,
                                                      MutableBytes into) {
    if (::getpid() != owner_ || background_reads_.load(std::memory_order_relaxed) >= background_reads_max) {
        return nullptr;
    }
    auto rig = acquire();
    if (rig == nullptr) { return nullptr; }
    return std::make_unique<Ahead>(*this, std::move(rig), file, at, into);
}

std::unique_ptr<Disk> open_best_disk() {
    auto disk = open_uring_disk();
    return disk != nullptr ? std::move(disk) : open_posix_disk();
}

std::unique_ptr<Disk> open_uring_disk() {
    auto disk = std::make_unique<UringDisk>();
    return disk->has_ring() ? std::move(disk) : nullptr;
}

}  // namespace flowstone
