// Which record a record was made of: what a stage writes beside its outputs, and what readers drop the second time.
//
//   flowstone::SourceFilter filter;
//   for (const auto& record : *batch) {
//       auto fresh = filter.fresh({batch->topic(), batch->partition()}, record);
//       if (!fresh || !*fresh) { continue; }                   // an error: the header makes no sense
//       ...
//   }
//
// Format of the header and why this suffices: docs/formats/source.md.
//
// This header is public (installed as <flowstone/source.h>): standard library only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/record.h>
#include <flowstone/result.h>

namespace flowstone {

constexpr std::string_view source_header = "flowstone.source";

struct Source {
    std::string stage;
    std::string topic;
    int32_t partition = 0;
    Offset offset{0};
    int32_t output = 0;  // which of those that the stage made of that record, from 0
    friend bool operator==(const Source&, const Source&) = default;
};
// "fraud-check payments 3 4711 0". Errors: invalid (a name that is no topic name, a negative number).
FLOWSTONE_EXPORT Result<std::string> encode_source(const Source& source);
// Errors: corrupt.
FLOWSTONE_EXPORT Result<Source> decode_source(std::string_view text);
// Nothing: the record does not say. Errors: corrupt.
FLOWSTONE_EXPORT Result<std::optional<Source>> source_of(const RecordView& record);

// How far one stage got with one partition, in what was read so far of another.
struct SourcePoint {
    Offset offset{-1};
    int32_t output = -1;
    friend auto operator<=>(const SourcePoint&, const SourcePoint&) = default;
};

// Drops what comes a second time: a record whose source is not above the last that was seen from there. Records that say no
// source pass. One thread at a time. Memory: the places and sources seen, at most sources_max.
class FLOWSTONE_EXPORT SourceFilter {
public:
    explicit SourceFilter(size_t sources_max = 100'000);
    ~SourceFilter();
    SourceFilter(SourceFilter&&) noexcept;
    SourceFilter& operator=(SourceFilter&&) noexcept;

    // Whether the record, the next one of that place, is to be used; then it has been seen. Records of a place come in their
    // order. Who begins somewhere in the middle shows it some thousand records from before there first, or restores.
    // Errors: corrupt (the header); busy (more sources than it keeps).
    Result<bool> fresh(const TopicPartition& place, const RecordView& record);
    // The same, for who may yet stop in front of the record: it has not been seen until fresh() is asked.
    Result<bool> would_be_fresh(const TopicPartition& place, const RecordView& record) const;
    uint64_t dropped() const;

    // What is known of a place, as sources: to be kept with the offset up to which that was read.
    std::vector<Source> seen(const TopicPartition& place) const;
    Result<void> restore(const TopicPartition& place, const Source& source);  // Errors: busy.
    void forget(const TopicPartition& place);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace flowstone
