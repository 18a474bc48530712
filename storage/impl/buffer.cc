#include "storage/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "storage/check.h"

namespace flowstone {

void BufferRef::release() {
    if (buffer_ == nullptr) { return; }
    if (buffer_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) { buffer_->pool_->give_back(buffer_); }
    buffer_ = nullptr;
}

BufferPool::~BufferPool() {
    for (void* slab : slabs_) { std::free(slab); }
}

BufferRef BufferPool::take(size_t bytes) {
    const auto fits = std::ranges::lower_bound(class_bytes, bytes);
    if (fits == class_bytes.end()) {
        auto* buffer = new Buffer;
        buffer->capacity_ = align_up(bytes, class_bytes.front());
        buffer->data_ = static_cast<std::byte*>(std::aligned_alloc(class_bytes.front(), buffer->capacity_));
        CHECK(buffer->data_ != nullptr);
        buffer->pool_ = this;
        return BufferRef(buffer);
    }
    const auto size_class = static_cast<size_t>(fits - class_bytes.begin());
    std::lock_guard guard(lock_);
    if (free_[size_class].empty()) { cut_slab(size_class); }
    Buffer* buffer = free_[size_class].back();
    free_[size_class].pop_back();
    return BufferRef(buffer);
}

void BufferPool::give_back(Buffer* buffer) {
    const auto fits = std::ranges::find(class_bytes, buffer->capacity_);
    if (fits == class_bytes.end()) {
        std::free(buffer->data_);
        delete buffer;
        return;
    }
    std::lock_guard guard(lock_);
    free_[static_cast<size_t>(fits - class_bytes.begin())].push_back(buffer);
}

void BufferPool::cut_slab(size_t size_class) {
    // Small buffers come from slabs of their own size, so that an idle log of many partitions does not touch huge pages.
    const size_t bytes = class_bytes[size_class];
    const size_t total = bytes >= 65536 ? slab_bytes : std::max<size_t>(bytes * 4, 65536);
    auto* slab =
        static_cast<std::byte*>(std::aligned_alloc(total == slab_bytes ? slab_bytes : class_bytes.front(), total));
    CHECK(slab != nullptr);
    if (total == slab_bytes) { madvise(slab, total, MADV_HUGEPAGE); }  // a wish: refused is fine
    slabs_.push_back(slab);
    const size_t count = total / bytes;
    auto& headers = headers_.emplace_back(std::make_unique<Buffer[]>(count));
    for (size_t i = count; i-- > 0;) {
        headers[i].data_ = slab + i * bytes;
        headers[i].capacity_ = bytes;
        headers[i].pool_ = this;
        free_[size_class].push_back(&headers[i]);
    }
}

}  // namespace flowstone
