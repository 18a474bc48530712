// Numbers that must not be mixed up: each its own type.
//
// This header is public (installed as <flowstone/ids.h>): standard library only.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone {

template <class Tag>
struct Id {
    int64_t value = -1;
    friend auto operator<=>(const Id&, const Id&) = default;
};

using Offset = Id<struct OffsetTag>;    // position of a record in its partition, from 0
using Epoch = Id<struct EpochTag>;      // leadership number of a partition, only grows; fits 32 bits on disk
using BytePos = Id<struct BytePosTag>;  // position in one file

constexpr Offset operator+(Offset offset, int64_t records) { return {offset.value + records}; }
constexpr BytePos operator+(BytePos pos, uint64_t bytes) { return {pos.value + static_cast<int64_t>(bytes)}; }
constexpr int64_t operator-(Offset end, Offset begin) { return end.value - begin.value; }
constexpr int64_t operator-(BytePos end, BytePos begin) { return end.value - begin.value; }

// 128 random bits: cluster, directory and topic ids. Printed as Kafka prints them: 22 characters of URL-safe base64.
struct Uuid {
    std::array<std::byte, 16> bytes{};
    friend auto operator<=>(const Uuid&, const Uuid&) = default;
    bool is_zero() const { return *this == Uuid{}; }
    FLOWSTONE_EXPORT std::string to_string() const noexcept;
    FLOWSTONE_EXPORT static Result<Uuid> parse(std::string_view text) noexcept;  // Errors: invalid.
};

// A partition of a topic, by the topic's name.
struct TopicPartition {
    std::string topic;
    int32_t partition = 0;
    friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace flowstone
