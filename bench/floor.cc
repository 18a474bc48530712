#include "bench/floor.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "storage/batch.h"
#include "storage/check.h"
#include "storage/checksum.h"
#include "storage/lock.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

constexpr size_t block_bytes = 4096;
constexpr size_t write_bytes = 1u << 20;
constexpr size_t frame_bytes = 64u << 10;
constexpr uint64_t ring_file_bytes = 64u << 20;

int64_t now_ns() { return system_clock().monotonic_ns(); }

size_t align_up(size_t bytes) { return (bytes + block_bytes - 1) & ~(block_bytes - 1); }

std::unexpected<Error> failed(const char* what, const std::string& path) { return fail_errno(errno, what, path); }

Result<void> write_whole(int fd, Bytes bytes, uint64_t at, int flags) {
    while (!bytes.empty()) {
        const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
        const ssize_t done = pwritev2(fd, &piece, 1, static_cast<off_t>(at), flags);
        if (done < 0 && errno == EINTR) { continue; }
        if (done <= 0) { return failed("floor.write", {}); }
        at += static_cast<uint64_t>(done);
        bytes = bytes.subspan(static_cast<size_t>(done));
    }
    return {};
}

// Frames records into a buffer, batch behind batch.
class Framer {
public:
    explicit Framer(const Source& source) : source_(source) {}

    // Appends batches of up to 64 KiB until `space` is full or record `end` is reached. Returns the bytes used.
    size_t fill(MutableBytes space, uint64_t& next, uint64_t end) {
        size_t used = 0;
        while (next < end && space.size() - used >= batch_header_bytes + 1024 + source_.record_bytes()) {
            BatchBuilder builder(space.subspan(used, std::min(frame_bytes, space.size() - used)),
                                 {.base_offset = {static_cast<int64_t>(next)}});
            while (next < end && builder.append(source_.record(next), fixed_time_ms)) { ++next; }
            const BatchView batch = builder.close();
            hash_ = hash_ * 31 + batch.crc();
            used += batch.size();
        }
        return used;
    }
    uint64_t hash() const { return hash_; }

private:
    const Source& source_;
    uint64_t hash_ = 0;
};

}  // namespace

void sleep_until_ns(int64_t monotonic_ns) {
    const timespec until{monotonic_ns / 1'000'000'000, monotonic_ns % 1'000'000'000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {}
}

// --- RawFile -----------------------------------------------------------------------------------------------------------

RawFile::RawFile(RawFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
RawFile& RawFile::operator=(RawFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}
RawFile::~RawFile() {
    if (fd_ >= 0) { ::close(fd_); }
}

Result<RawFile> RawFile::make(const std::string& path, FileKind kind, uint64_t bytes, bool direct) {
    RawFile file;
    const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
    file.fd_ = ::open(path.c_str(), flags | (direct ? O_DIRECT : 0), 0644);
    if (file.fd_ < 0 && direct && errno == EINVAL) { file.fd_ = ::open(path.c_str(), flags, 0644); }
    if (file.fd_ < 0) { return failed("floor.open", path); }
    if (kind == FileKind::extending) { return file; }
    // A file system that cannot reserve space leaves a growing file, which is then the floor.
    if (::fallocate(file.fd_, 0, 0, static_cast<off_t>(bytes)) != 0 && errno != EOPNOTSUPP) {
        return failed("floor.fallocate", path);
    }
    if (kind == FileKind::recycled) {
        Queue queue(4, write_bytes);
        for (uint64_t at = 0; at < bytes; at += write_bytes) {
            queue.write(file.fd_, queue.free_buffer(), at, write_bytes, false);
        }
        TRY_VOID(queue.drain());
    }
    if (::fsync(file.fd_) != 0) { return failed("floor.sync", path); }
    return file;
}

Result<RawFile> RawFile::open(const std::string& path) {
    RawFile file;
    file.fd_ = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (file.fd_ < 0 && errno == EINVAL) { file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }
    if (file.fd_ < 0) { return failed("floor.open", path); }
    return file;
}

// --- Queue -------------------------------------------------------------------------------------------------------------

Queue::Queue(size_t buffers, size_t buffer_bytes) : buffer_bytes_(buffer_bytes), busy_(buffers) {
    constexpr size_t huge = 2u << 20;
    mapped_bytes_ = (buffers * buffer_bytes + huge - 1) / huge * huge + huge;
    void* mapped = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    const size_t in_front = (huge - reinterpret_cast<uintptr_t>(mapped) % huge) % huge;
    memory_ = static_cast<std::byte*>(mapped) + in_front;
    ::munmap(mapped, in_front);
    mapped_bytes_ -= in_front;
    ::madvise(memory_, mapped_bytes_, MADV_HUGEPAGE);
    std::memset(memory_, 0x5a, buffers * buffer_bytes);

    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_COOP_TASKRUN;
    has_ring_ = io_uring_queue_init_params(64, &ring_, &parameters) == 0;
    if (!has_ring_) { return; }
    std::vector<iovec> pieces;
    for (size_t i = 0; i < buffers; ++i) { pieces.push_back({buffer(i).data(), buffer_bytes}); }
    registered_ = io_uring_register_buffers(&ring_, pieces.data(), static_cast<unsigned>(pieces.size())) == 0;
}

Queue::~Queue() {
    (void)drain();
    if (has_ring_) { io_uring_queue_exit(&ring_); }
    ::munmap(memory_, mapped_bytes_);
}

size_t Queue::free_buffer() {
    for (;;) {
        const auto found = std::ranges::find(busy_, false);
        if (found != busy_.end()) { return static_cast<size_t>(found - busy_.begin()); }
        take_completion();
    }
}

void Queue::write(int fd, size_t index, uint64_t at, size_t bytes, bool durable) {
    if (!has_ring_) {
        auto done = write_whole(fd, buffer(index).first(bytes), at, durable ? RWF_DSYNC : 0);
        if (!done) { os_errno_ = done.error().os_errno; }
        return;
    }
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    if (registered_) {
        io_uring_prep_write_fixed(entry, fd, buffer(index).data(), static_cast<unsigned>(bytes), at,
                                  static_cast<int>(index));
    } else {
        io_uring_prep_write(entry, fd, buffer(index).data(), static_cast<unsigned>(bytes), at);
    }
    entry->rw_flags = durable ? RWF_DSYNC : 0;
    io_uring_sqe_set_data64(entry, index << 32 | bytes);
    busy_[index] = true;
    submit();
}

void Queue::read(int fd, size_t index, uint64_t at, size_t bytes) {
    if (!has_ring_) {
        if (::pread(fd, buffer(index).data(), bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes)) {
            os_errno_ = EIO;
        }
        return;
    }
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    if (registered_) {
        io_uring_prep_read_fixed(entry, fd, buffer(index).data(), static_cast<unsigned>(bytes), at,
                                 static_cast<int>(index));
    } else {
        io_uring_prep_read(entry, fd, buffer(index).data(), static_cast<unsigned>(bytes), at);
    }
    io_uring_sqe_set_data64(entry, index << 32 | bytes);
    busy_[index] = true;
    submit();
}

void Queue::submit() {
    const int submitted = io_uring_submit(&ring_);
    if (submitted < 0) { os_errno_ = -submitted; }
}

void Queue::take_completion() {
    io_uring_cqe* completion = nullptr;
    int waited = 0;
    while ((waited = io_uring_wait_cqe(&ring_, &completion)) == -EINTR) {}
    CHECK(waited == 0);
    const uint64_t data = io_uring_cqe_get_data64(completion);
    if (completion->res < 0) { os_errno_ = -completion->res; }
    if (completion->res >= 0 && static_cast<uint64_t>(completion->res) != (data & UINT32_MAX)) { os_errno_ = EIO; }
    io_uring_cqe_seen(&ring_, completion);
    busy_[data >> 32] = false;
}

void Queue::wait(size_t index) {
    while (busy_[index]) { take_completion(); }
}

Result<void> Queue::drain() {
    while (has_ring_ && std::ranges::find(busy_, true) != busy_.end()) { take_completion(); }
    if (os_errno_ != 0) { return fail_errno(os_errno_, "floor.io"); }
    return {};
}

// --- appending -----------------------------------------------------------------------------------------------------------

Result<Outcome> floor_append(const std::string& directory, const FloorAppend& wanted) {
    const Source source(wanted.record_bytes);
    Framer framer(source);
    const uint64_t payload = wanted.records * wanted.record_bytes;
    const uint64_t room = payload + wanted.records * 16 + payload / 64 + 2 * write_bytes;
    RawFile file;
    if (wanted.write) {
        TRY(file, RawFile::make(directory + "/floor", wanted.kind, (room / write_bytes + 1) * write_bytes));
    }
    Queue queue(wanted.in_flight + 1, write_bytes);
    Outcome outcome;
    outcome.records = wanted.records;
    outcome.bytes = payload;
    const Stopwatch watch;
    uint64_t next = 0;
    uint64_t at = 0;
    size_t carried = 0;  // bytes of an unfinished block, already at the front of `index`
    size_t index = queue.free_buffer();
    while (next < wanted.records) {
        const MutableBytes space = queue.buffer(index);
        size_t used = write_bytes;
        if (wanted.frame) {
            used = carried + framer.fill(space.subspan(carried), next, wanted.records);
        } else {
            next = std::min(wanted.records, next + write_bytes / wanted.record_bytes);
        }
        const size_t whole = next < wanted.records ? used / block_bytes * block_bytes : align_up(used);
        if (!wanted.write) {
            index = (index + 1) % 2;
            continue;
        }
        const int64_t began = now_ns();
        queue.write(file.fd(), index, at, whole, wanted.durable);
        if (wanted.in_flight == 1) { TRY_VOID(queue.drain()); }
        if (wanted.in_flight == 1) { outcome.latency_ns.record(static_cast<uint64_t>(now_ns() - began)); }
        at += whole;
        const size_t before = index;
        index = queue.free_buffer();
        carried = used > whole ? used - whole : 0;
        if (index != before) { std::memcpy(queue.buffer(index).data(), space.data() + whole, carried); }
        if (index == before) { std::memmove(space.data(), space.data() + whole, carried); }
    }
    TRY_VOID(queue.drain());
    if (wanted.write && ::fdatasync(file.fd()) != 0) { return failed("floor.sync", directory); }
    watch.stop(outcome);
    outcome.hash = framer.hash();
    return outcome;
}

Result<Outcome> floor_paced(const std::string& directory, const FloorPaced& wanted) {
    const Source source(wanted.record_bytes);
    Framer framer(source);
    TRY(const RawFile file,
        RawFile::make(directory + "/floor", wanted.buffered ? FileKind::extending : FileKind::recycled, ring_file_bytes,
                      !wanted.buffered));
    Queue queue(1, write_bytes);
    Outcome outcome;
    outcome.records = static_cast<uint64_t>(static_cast<double>(wanted.per_second) * wanted.seconds);
    outcome.bytes = outcome.records * wanted.record_bytes;
    const Stopwatch watch;
    const Pace pace{watch.began_ns(), wanted.per_second};
    uint64_t next = 0;
    uint64_t at = 0;
    while (next < outcome.records) {
        const uint64_t first = next;
        const uint64_t due = std::min(outcome.records, pace.due(now_ns()));
        if (due == next) {
            sleep_until_ns(pace.intended_ns(next));
            continue;
        }
        const size_t used = framer.fill(queue.buffer(0), next, due);
        if (wanted.buffered) {
            TRY_VOID(write_whole(file.fd(), queue.buffer(0).first(used), at, 0));
            if (::fdatasync(file.fd()) != 0) { return failed("floor.sync", directory); }
            at += used;
        } else {
            if (at + align_up(used) > ring_file_bytes) { at = 0; }
            queue.write(file.fd(), 0, at, align_up(used), true);
            TRY_VOID(queue.drain());
            at += align_up(used);
        }
        const int64_t done = now_ns();
        for (uint64_t i = first; i < next; ++i) {
            outcome.latency_ns.record(static_cast<uint64_t>(done - pace.intended_ns(i)));
        }
    }
    watch.stop(outcome);
    outcome.hash = framer.hash();
    return outcome;
}

// --- waiting -------------------------------------------------------------------------------------------------------------

namespace {

// Two buffers in turns: one gathers while the other is written.
struct LeaderLog {
    Lock lock;
    int fd = -1;
    Queue queue{2, write_bytes};
    size_t gathering = 0;
    size_t used = 0;
    uint64_t at = 0;
    uint64_t generation = 0;           // of what gathers now
    std::atomic<uint32_t> written{0};  // generations that are durable
    bool writing = false;
    uint64_t hash = 0;
    std::atomic<bool> broken{false};

    void append(const Source& source, uint64_t first, uint32_t count) {
        std::unique_lock guard(lock);
        // As full as a commit may be: wait for the next buffer.
        while (write_bytes - used < batch_header_bytes + count * (source.record_bytes() + 32ull)) { turn(guard); }
        BatchBuilder builder(queue.buffer(gathering).subspan(used), {});
        for (uint32_t i = 0; i < count; ++i) { CHECK(builder.append(source.record(first + i), fixed_time_ms)); }
        const BatchView batch = builder.close();
        hash += batch.crc();
        used += batch.size();
        const uint64_t mine = generation;
        while (written.load() <= mine && !broken) { turn(guard); }
    }

    // Writes what has gathered, or sleeps until the write under way has ended.
    void turn(std::unique_lock<Lock>& guard) {
        if (writing) {
            const uint32_t seen = written.load();
            guard.unlock();
            sleep_while(written, seen);
            guard.lock();
            return;
        }
        writing = true;
        const size_t index = gathering;
        const size_t bytes = align_up(used);
        gathering = 1 - gathering;
        used = 0;
        ++generation;
        if (at + bytes > ring_file_bytes) { at = 0; }
        const uint64_t here = at;
        at += bytes;
        guard.unlock();
        queue.write(fd, index, here, bytes, true);
        if (!queue.drain()) { broken = true; }
        guard.lock();
        writing = false;
        written.fetch_add(1);
        wake_all(written);
    }
};

}  // namespace

Result<Outcome> floor_waiters(const std::string& directory, const FloorWaiters& wanted) {
    const Source source(wanted.record_bytes);
    TRY(const RawFile file, RawFile::make(directory + "/floor", FileKind::recycled, ring_file_bytes));
    LeaderLog log;
    log.fd = file.fd();
    const uint64_t each = std::max<uint64_t>(1, wanted.appends / wanted.threads);
    std::vector<Histogram> latency(wanted.threads);
    Outcome outcome;
    outcome.records = each * wanted.threads * wanted.records_each;
    outcome.bytes = outcome.records * wanted.record_bytes;
    const Stopwatch watch;
    {
        std::vector<std::jthread> threads;
        for (uint32_t thread = 0; thread < wanted.threads; ++thread) {
            threads.emplace_back([&, thread] {
                for (uint64_t i = 0; i < each; ++i) {
                    const int64_t began = now_ns();
                    log.append(source, (thread * each + i) * wanted.records_each, wanted.records_each);
                    latency[thread].record(static_cast<uint64_t>(now_ns() - began));
                }
            });
        }
    }
    watch.stop(outcome);
    if (log.broken) { return fail(Code::io, "floor.write", directory); }
    for (const Histogram& part : latency) { outcome.latency_ns.merge(part); }
    outcome.hash = log.hash;
    return outcome;
}

void raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<Outcome> floor_many_files(const std::string& directory, uint32_t files, uint64_t writes) {
    raise_descriptor_limit();
    std::vector<RawFile> open;
    for (uint32_t i = 0; i < files; ++i) {
        TRY(auto file, RawFile::make(fmt::format("{}/{}", directory, i), FileKind::extending, 0, false));
        open.push_back(std::move(file));
    }
    const Source source(4000);
    Outcome outcome;
    outcome.records = writes;
    outcome.bytes = writes * source.record_bytes();
    // One thread a write in flight: the kernel hands every fdatasync to a worker anyway.
    constexpr uint32_t at_once = 16;
    std::atomic<uint64_t> next{0};
    std::atomic<uint64_t> hash{0};
    std::atomic<int> os_errno{0};
    const Stopwatch watch;
    {
        std::vector<std::jthread> threads;
        for (uint32_t thread = 0; thread < at_once; ++thread) {
            threads.emplace_back([&] {
                std::vector<std::byte> space(4096);
                for (uint64_t i = next++; i < writes && os_errno == 0; i = next++) {
                    BatchBuilder builder(space, {});
                    CHECK(builder.append(source.record(i), fixed_time_ms));
                    const BatchView made = builder.close();
                    hash += made.crc();
                    const int fd = open[i % files].fd();
                    const auto done = write_whole(fd, made.bytes(), i / files * made.size(), 0);
                    if (!done) { os_errno = done.error().os_errno; }
                    if (::fdatasync(fd) != 0) { os_errno = errno; }
                }
            });
        }
    }
    watch.stop(outcome);
    if (os_errno != 0) { return fail_errno(os_errno, "floor.write", directory); }
    outcome.hash = hash;
    return outcome;
}

// --- reading -------------------------------------------------------------------------------------------------------------

Result<Outcome> floor_read(const std::vector<std::string>& paths, size_t read_bytes, size_t in_flight) {
    Outcome outcome;
    const Stopwatch watch;
    Queue queue(in_flight, read_bytes);
    for (const std::string& path : paths) {
        TRY(const RawFile file, RawFile::open(path));
        const auto bytes = static_cast<uint64_t>(::lseek(file.fd(), 0, SEEK_END));
        const uint64_t whole = bytes / block_bytes * block_bytes;  // the rest is less than one block a file
        const uint64_t requests = (whole + read_bytes - 1) / read_bytes;
        const auto issue = [&](uint64_t i) {
            queue.read(file.fd(), i % in_flight, i * read_bytes,
                       std::min<uint64_t>(read_bytes, whole - i * read_bytes));
        };
        for (uint64_t i = 0; i < std::min<uint64_t>(in_flight, requests); ++i) { issue(i); }
        for (uint64_t i = 0; i < requests; ++i) {
            queue.wait(i % in_flight);
            outcome.hash += load_le<uint64_t>(queue.buffer(i % in_flight).data());
            if (i + in_flight < requests) { issue(i + in_flight); }
        }
        TRY_VOID(queue.drain());
        outcome.bytes += bytes;
    }
    watch.stop(outcome);
    outcome.records = outcome.bytes / read_bytes;
    return outcome;
}

Outcome floor_copy(uint64_t bytes, uint32_t record_bytes) {
    // As many bytes as the tail that ours reads from, over and over.
    const Source source(record_bytes);
    Framer framer(source);
    std::vector<std::byte> from(8u << 20);
    uint64_t next = 0;
    const size_t used = framer.fill(from, next, UINT64_MAX);
    std::vector<std::byte> to(frame_bytes);
    Outcome outcome;
    const Stopwatch watch;
    while (outcome.bytes < bytes) {
        size_t at = 0;
        while (at < used) {
            const auto batch = BatchView::parse(Bytes(from.data() + at, used - at));
            CHECK(batch.has_value());
            std::memcpy(to.data(), batch->bytes().data(), batch->size());
            const auto copy = BatchView::parse(Bytes(to.data(), batch->size()));
            CHECK(copy.has_value() && copy->crc_matches());
            outcome.hash += batch->crc();
            at += batch->size();
        }
        outcome.bytes += used;
        outcome.records += next;
    }
    watch.stop(outcome);
    return outcome;
}

// Gives the processor up only where the other thread seems to have none.
static void spin(const std::atomic<uint64_t>& word, uint64_t value) {
    for (uint32_t turns = 0; word.load(std::memory_order_acquire) != value; ++turns) {
        if (turns % 4096 == 4095) { std::this_thread::yield(); }
        __builtin_ia32_pause();
    }
}

Outcome floor_ping_pong(uint64_t rounds) {
    alignas(64) std::atomic<uint64_t> ping{0};
    alignas(64) std::atomic<uint64_t> pong{0};
    Outcome outcome;
    outcome.records = rounds;
    const Stopwatch watch;
    {
        const std::jthread other([&] {
            for (uint64_t i = 1; i <= rounds; ++i) {
                spin(ping, i);
                pong.store(i, std::memory_order_release);
            }
        });
        for (uint64_t i = 1; i <= rounds; ++i) {
            const int64_t began = now_ns();
            ping.store(i, std::memory_order_release);
            spin(pong, i);
            outcome.latency_ns.record(static_cast<uint64_t>(now_ns() - began));
        }
    }
    watch.stop(outcome);
    outcome.hash = pong;
    return outcome;
}

}  // namespace flowstone::bench
