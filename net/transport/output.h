// What is on its way to a peer: frames one behind the other, written as far as the peer takes them. One thread.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include <flowstone/result.h>

#include "net/kafka/gather.h"
#include "net/transport/network.h"
#include "storage/buffer.h"
#include "storage/bytes.h"

namespace flowstone {

class Output {
public:
    // `pins` keep what is spliced into `frame` until it is written, or this object goes.
    void add(kafka::Gather frame, std::vector<BufferRef> pins = {});

    struct Written {
        size_t bytes = 0;
        bool full = false;  // the peer takes no more now
    };
    // Up to `bytes_max`. Errors: io, as Network::write.
    Result<Written> write(Network& network, ConnectionId connection, size_t bytes_max);

    bool empty() const { return frames_.empty(); }
    size_t bytes() const { return bytes_; }  // not written yet
    void clear();

private:
    struct Frame {
        kafka::Gather frame;
        std::vector<BufferRef> pins;
        std::vector<Bytes> pieces;
        size_t next_piece = 0;
    };
    void took(size_t bytes);

    std::deque<Frame> frames_;
    size_t bytes_ = 0;
};

}  // namespace flowstone
