#include "net/kafka/gather.h"

#include <algorithm>
#include <cstring>

#include "storage/check.h"
#include "storage/limits.h"

namespace flowstone::kafka {

void Gather::unsigned_varint(uint64_t value) {
    if (value < 0x80) { return be(static_cast<uint8_t>(value)); }
    std::byte raw[varint_bytes_max];
    bytes(Bytes(raw, static_cast<size_t>(put_unsigned_varint(raw, value) - raw)));
}

void Gather::bytes(Bytes view) {
    if (!view.empty()) { std::memcpy(room(view.size()), view.data(), view.size()); }
}

void Gather::grow(size_t bytes) {
    constexpr size_t first_bytes = 256;  // most answers fit
    own_.resize(std::max({2 * own_.size(), own_size_ + bytes, first_bytes}));
}

void Gather::splice(Bytes view) {
    if (view.size() < gather_copy_bytes_max) { return bytes(view); }
    splices_.push_back({own_size_, view});
    spliced_bytes_ += view.size();
}

void Gather::clear() {
    own_size_ = 0;
    splices_.clear();
    spliced_bytes_ = 0;
}

void Gather::replace_be(size_t own_position, int32_t value) {
    CHECK(own_position + sizeof value <= own_size_);
    store_be(own_.data() + own_position, value);
}

std::vector<Bytes> Gather::pieces() const {
    std::vector<Bytes> list;
    list.reserve(2 * splices_.size() + 1);
    size_t done = 0;
    const auto own_until = [&](size_t end) {
        if (end > done) { list.push_back(Bytes(own_).subspan(done, end - done)); }
        done = end;
    };
    for (const Splice& splice : splices_) {
        own_until(splice.own_position);
        list.push_back(splice.bytes);
    }
    own_until(own_size_);
    return list;
}

std::vector<std::byte> Gather::flat() const {
    std::vector<std::byte> all;
    all.reserve(size());
    for (const Bytes piece : pieces()) { all.insert(all.end(), piece.begin(), piece.end()); }
    return all;
}

}  // namespace flowstone::kafka
