// Block-aligned memory in a few sizes, shared by reference count: what the tail of a partition is made of.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "storage/bytes.h"
#include "storage/lock.h"

namespace flowstone {

class BufferPool;

// One piece of memory, aligned to 4096 bytes. Freed to its pool when the last reference goes.
class Buffer {
public:
    std::byte* data() const { return data_; }
    size_t capacity() const { return capacity_; }

private:
    friend class BufferPool;
    friend class BufferRef;
    std::atomic<uint32_t> references_ = 0;
    std::byte* data_ = nullptr;
    size_t capacity_ = 0;
    BufferPool* pool_ = nullptr;
};

// A counted reference. Copies may live in any thread.
class BufferRef {
public:
    BufferRef() = default;
    explicit BufferRef(Buffer* buffer) : buffer_(buffer) { retain(); }
    BufferRef(const BufferRef& other) : buffer_(other.buffer_) { retain(); }
    BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
    BufferRef& operator=(BufferRef other) noexcept {
        std::swap(buffer_, other.buffer_);
        return *this;
    }
    ~BufferRef() { release(); }

    explicit operator bool() const { return buffer_ != nullptr; }
    Buffer* operator->() const { return buffer_; }

private:
    void retain() {
        if (buffer_ != nullptr) { buffer_->references_.fetch_add(1, std::memory_order_relaxed); }
    }
    void release();
    Buffer* buffer_ = nullptr;
};

// Sizes from 4 KiB to 1 MiB in steps of four, cut from slabs of 2 MiB that ask for huge pages (one huge page is one
// entry of the device's scatter list instead of 512: research/performance.md 4d measured 3.4 against 5.9 GB/s).
// Larger buffers are made and freed one by one. Must outlive its buffers. Safe from any thread.
class BufferPool {
public:
    BufferPool() = default;
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    // At least `bytes`, contents undefined.
    BufferRef take(size_t bytes);

private:
    friend class BufferRef;
    static constexpr size_t slab_bytes = 2u << 20;
    static constexpr std::array<size_t, 5> class_bytes = {4096, 16384, 65536, 262144, 1u << 20};

    void give_back(Buffer* buffer);
    void cut_slab(size_t size_class);

    Lock lock_;
    std::array<std::vector<Buffer*>, class_bytes.size()> free_;
    std::vector<void*> slabs_;
    std::vector<std::unique_ptr<Buffer[]>> headers_;
};

}  // namespace flowstone
