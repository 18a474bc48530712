// What is to be written to a peer: bytes of its own, with foreign ones spliced in where they belong, not copied.
//
// A fetched batch goes from the tail or a read buffer to the socket this way. Whoever splices keeps those bytes alive
// and unchanged until they are written. One Gather may carry several frames, one behind the other. Owned by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/bytes.h"

namespace flowstone::kafka {

class Gather {
public:
    template <class T>
    void be(T value) {
        store_be(room(sizeof value), value);
    }
    void unsigned_varint(uint64_t value);
    void bytes(Bytes view);   // copies
    void splice(Bytes view);  // refers to `view`, unless it is short: limits.h, gather_copy_bytes_max

    size_t size() const { return own_size_ + spliced_bytes_; }
    bool empty() const { return size() == 0; }
    void clear();

    // A place to be filled in later, such as a frame's length. Requires 4 own bytes there.
    size_t own_size() const { return own_size_; }
    void replace_be(size_t own_position, int32_t value);

    // In order, none empty. Valid until this object changes or goes.
    std::vector<Bytes> pieces() const;
    // All of it in one piece, copied. For tests and small messages.
    std::vector<std::byte> flat() const;

private:
    struct Splice {
        size_t own_position;  // stands in front of this own byte
        Bytes bytes;
    };
    std::byte* room(size_t bytes) {
        if (own_.size() - own_size_ < bytes) { grow(bytes); }
        std::byte* const at = own_.data() + own_size_;
        own_size_ += bytes;
        return at;
    }
    void grow(size_t bytes);

    std::vector<std::byte> own_;  // own_size_ of them are in use: appending a number is then a comparison and a store
    size_t own_size_ = 0;
    std::vector<Splice> splices_;
    size_t spliced_bytes_ = 0;
};

}  // namespace flowstone::kafka
