#include "net/kafka/gather.h"

#include "storage/check.h"
#include "storage/limits.h"

namespace flowstone::kafka {

void Gather::unsigned_varint(uint64_t value) {
    std::byte raw[varint_bytes_max];
    bytes(Bytes(raw, static_cast<size_t>(put_unsigned_varint(raw, value) - raw)));
}

void Gather::bytes(Bytes view) { own_.insert(own_.end(), view.begin(), view.end()); }

void Gather::splice(Bytes view) {
    if (view.size() < gather_copy_bytes_max) { return bytes(view); }
    splices_.push_back({own_.size(), view});
    spliced_bytes_ += view.size();
}

void Gather::clear() {
    own_.clear();
    splices_.clear();
    spliced_bytes_ = 0;
}

void Gather::replace_be(size_t own_position, int32_t value) {
    CHECK(own_position + sizeof value <= own_.size());
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
    own_until(own_.size());
    return list;
}

std::vector<std::byte> Gather::flat() const {
    std::vector<std::byte> all;
    all.reserve(size());
    for (const Bytes piece : pieces()) { all.insert(all.end(), piece.begin(), piece.end()); }
    return all;
}

}  // namespace flowstone::kafka
