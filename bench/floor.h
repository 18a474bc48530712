// The floor: bare programs that do what the hardware and Kafka's format demand, and nothing else. No partitions, no
// index, no seal, no recovery, no second thread. What they reach is what ours is judged by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <liburing.h>

#include "bench/source.h"
#include "bench/workload.h"
#include "storage/bytes.h"

namespace flowstone::bench {

enum class FileKind : uint8_t {
    extending,   // grows with each write
    fallocated,  // space reserved, never written
    recycled,    // written in full before
};

// A file for O_DIRECT writes; without O_DIRECT where the file system has none.
class RawFile {
public:
    RawFile() = default;
    RawFile(RawFile&& other) noexcept;
    RawFile& operator=(RawFile&& other) noexcept;
    ~RawFile();
    static Result<RawFile> make(const std::string& path, FileKind kind, uint64_t bytes, bool direct = true);
    static Result<RawFile> open(const std::string& path);  // to read
    int fd() const { return fd_; }

private:
    int fd_ = -1;
};

// Writes or reads of whole buffers, one request a buffer. Buffers lie in huge pages and are registered with the ring;
// where io_uring is forbidden each request runs at once.
class Queue {
public:
    Queue(size_t buffers, size_t buffer_bytes);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue();

    MutableBytes buffer(size_t index) const { return {memory_ + index * buffer_bytes_, buffer_bytes_}; }
    size_t free_buffer();  // one that no request uses; waits for it
    void write(int fd, size_t index, uint64_t at, size_t bytes, bool durable);
    void read(int fd, size_t index, uint64_t at, size_t bytes);
    void wait(size_t index);  // until no request uses this buffer
    Result<void> drain();

private:
    void submit();
    void take_completion();

    std::byte* memory_ = nullptr;
    size_t mapped_bytes_ = 0;
    size_t buffer_bytes_;
    std::vector<bool> busy_;
    bool has_ring_ = false;
    bool registered_ = false;
    io_uring ring_{};
    int os_errno_ = 0;
};

struct FloorAppend {
    uint64_t records = 0;
    uint32_t record_bytes = 100;
    FileKind kind = FileKind::fallocated;
    bool durable = false;
    size_t in_flight = 4;
    bool frame = true;  // else the same bytes are written again and again: the limit of the disk
    bool write = true;  // else nothing is written: the limit of the processor
};
// Frames Kafka batches of 64 KiB into writes of 1 MiB. Synced at the end, which counts.
Result<Outcome> floor_append(const std::string& directory, const FloorAppend& wanted);

struct FloorPaced {
    uint64_t per_second = 0;
    double seconds = 0;
    uint32_t record_bytes = 100;
    bool buffered =
        false;  // through the page cache with fdatasync, into a growing file; else O_DIRECT + DSYNC, recycled
};
// Everything that is due goes into one durable write; then the next.
Result<Outcome> floor_paced(const std::string& directory, const FloorPaced& wanted);

struct FloorWaiters {
    uint32_t threads = 64;
    uint32_t records_each = 1;  // per append
    uint64_t appends = 0;       // of all threads together
    uint32_t record_bytes = 100;
};
// Leader commits: one lock, whoever finds no write under way writes what has gathered, a futex wakes the others.
Result<Outcome> floor_waiters(const std::string& directory, const FloorWaiters& wanted);

void raise_descriptor_limit();  // to what the system allows this process
// Every 4 KiB batch to a file of its own, fdatasync behind each write, up to 64 at once.
Result<Outcome> floor_many_files(const std::string& directory, uint32_t files, uint64_t writes);

// Reads files from beginning to end.
Result<Outcome> floor_read(const std::vector<std::string>& paths, size_t read_bytes, size_t in_flight);

// A word sent to another thread and back, both spinning.
Outcome floor_ping_pong(uint64_t rounds);

// Copies Kafka batches and checks their sums.
Outcome floor_copy(uint64_t bytes, uint32_t record_bytes);

void sleep_until_ns(int64_t monotonic_ns);

}  // namespace flowstone::bench
