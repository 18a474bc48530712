// Records: what is appended and what is read.
//
// This header is public (installed as <flowstone/record.h>): standard library only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <flowstone/ids.h>
#include <flowstone/result.h>

namespace flowstone {

// A name and value beside a record. Names may repeat; order is kept. A value may be absent (null), as in Kafka.
struct Header {
    std::string_view name;
    std::optional<std::string_view> value;
};

// One record to append. Everything is borrowed and must stay valid until the call returns; it is copied once.
struct Record {
    std::optional<std::string_view> key{};    // decides the partition; absent: the sticky one
    std::optional<std::string_view> value{};  // absent: a tombstone
    std::span<const Header> headers{};
    std::optional<int64_t> timestamp_ms{};  // milliseconds since 1970 UTC; absent: the time of the append
};

// One record as read. Views point into the batch it came from and are valid as long as that is.
struct RecordView {
    Offset offset;
    int64_t timestamp_ms = -1;
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;

    // Calls nothing until asked: headers stay encoded. Fills `into` and returns how many there are in all.
    FLOWSTONE_EXPORT size_t headers(std::span<Header> into) const noexcept;
    FLOWSTONE_EXPORT size_t header_count() const noexcept;
    // The first header of that name.
    FLOWSTONE_EXPORT std::optional<Header> header(std::string_view name) const noexcept;

    std::span<const std::byte> encoded_headers{};  // count and pairs as on the wire, checked when the record was read
};

}  // namespace flowstone
