#include "net/transport/output.h"

#include <algorithm>
#include <array>
#include <utility>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t pieces_per_write_max = 64;

}  // namespace

void Output::add(kafka::Gather frame, std::vector<BufferRef> pins) {
    Frame& added = frames_.emplace_back();
    added.frame = std::move(frame);
    added.pins = std::move(pins);
    added.pieces = added.frame.pieces();
    bytes_ += added.frame.size();
}

Result<Output::Written> Output::write(Network& network, ConnectionId connection, size_t bytes_max) {
    Written written;
    while (!frames_.empty() && !written.full && written.bytes < bytes_max) {
        const size_t wanted = bytes_max - written.bytes;
        std::array<Bytes, pieces_per_write_max> pieces;
        size_t count = 0;
        size_t bytes = 0;
        for (const Frame& frame : frames_) {
            for (size_t i = frame.next_piece; i < frame.pieces.size() && count < pieces.size() && bytes < wanted; ++i) {
                pieces[count] = frame.pieces[i].first(std::min(frame.pieces[i].size(), wanted - bytes));
                bytes += pieces[count++].size();
            }
            if (count == pieces.size() || bytes == wanted) { break; }
        }
        TRY(const size_t put, network.write(connection, std::span(pieces).first(count)));
        written.bytes += put;
        written.full = put < bytes;
        took(put);
    }
    return written;
}

void Output::took(size_t bytes) {
    bytes_ -= bytes;
    while (bytes > 0) {
        Frame& frame = frames_.front();
        Bytes& piece = frame.pieces[frame.next_piece];
        const size_t taken = std::min(bytes, piece.size());
        piece = piece.subspan(taken);
        bytes -= taken;
        if (piece.empty()) { ++frame.next_piece; }
        if (frame.next_piece == frame.pieces.size()) { frames_.pop_front(); }
    }
}

void Output::clear() {
    frames_.clear();
    bytes_ = 0;
}

}  // namespace flowstone
