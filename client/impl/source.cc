#include <flowstone/source.h>

#include <array>
#include <charconv>
#include <tuple>

#include <fmt/format.h>

#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr size_t fields = 5;

// Digits without a sign or leading zeros.
template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool plain = error == std::errc() && end == text.data() + text.size() && value >= 0;
    if (!plain || (text.size() > 1 && text[0] == '0') || text[0] == '-') { return {}; }
    return value;
}

}  // namespace

Result<std::string> encode_source(const Source& source) {
    if (!valid_topic_name(source.stage) || !valid_topic_name(source.topic)) {
        return fail(Code::invalid, "source.encode", "a name of other than 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'");
    }
    if (source.partition < 0 || source.offset.value < 0 || source.output < 0) {
        return fail(Code::invalid, "source.encode", "a negative number");
    }
    return fmt::format("{} {} {} {} {}", source.stage, source.topic, source.partition, source.offset.value,
                       source.output);
}

Result<Source> decode_source(std::string_view text) {
    const auto corrupt = [&] {
        return fail(Code::corrupt, "source.decode", fmt::format("\"{}\" is no source", text.substr(0, 80)));
    };
    std::array<std::string_view, fields> field;
    for (size_t i = 0; i < fields; ++i) {
        const size_t space = text.find(' ');
        if ((space == std::string_view::npos) != (i + 1 == fields)) { return corrupt(); }
        field[i] = text.substr(0, space);
        text.remove_prefix(i + 1 == fields ? text.size() : space + 1);
        if (field[i].empty()) { return corrupt(); }
    }
    const auto partition = parse_number<int32_t>(field[2]);
    const auto offset = parse_number<int64_t>(field[3]);
    const auto output = parse_number<int32_t>(field[4]);
    if (!partition || !offset || !output || !valid_topic_name(field[0]) || !valid_topic_name(field[1])) {
        return corrupt();
    }
    return Source{std::string(field[0]), std::string(field[1]), *partition, Offset{*offset}, *output};
}

Result<std::optional<Source>> source_of(const RecordView& record) {
    const auto header = record.header(source_header);
    if (!header) { return std::optional<Source>(); }
    if (!header->value) { return fail(Code::corrupt, "source.decode", "the header has no value"); }
    TRY(auto source, decode_source(*header->value));
    return std::optional(std::move(source));
}

struct [[gnu::visibility("hidden")]] SourceFilter::Impl {
    using From = std::tuple<std::string, std::string, int32_t>;  // stage, topic, partition

    Result<SourcePoint*> point(const TopicPartition& place, const Source& source) {
        auto& of_place = places[place];
        const auto [at, is_new] = of_place.try_emplace({source.stage, source.topic, source.partition});
        if (is_new && ++size > sources_max) {
            --size;
            of_place.erase(at);
            return too_many();
        }
        return &at->second;
    }
    std::unexpected<Error> too_many() const {
        return fail(Code::busy, "source.filter", fmt::format("more than {} sources", sources_max));
    }

    size_t sources_max;
    std::map<TopicPartition, std::map<From, SourcePoint>> places{};
    size_t size = 0;
    uint64_t dropped = 0;
};

SourceFilter::SourceFilter(size_t sources_max) : impl_(new Impl{sources_max}) {}
SourceFilter::~SourceFilter() = default;
SourceFilter::SourceFilter(SourceFilter&&) noexcept = default;
SourceFilter& SourceFilter::operator=(SourceFilter&&) noexcept = default;

Result<bool> SourceFilter::fresh(const TopicPartition& place, const RecordView& record) {
    TRY(const auto source, source_of(record));
    if (!source) { return true; }
    TRY(SourcePoint* const last, impl_->point(place, *source));
    const SourcePoint point{source->offset, source->output};
    if (point <= *last) {
        ++impl_->dropped;
        return false;
    }
    *last = point;
    return true;
}

Result<bool> SourceFilter::would_be_fresh(const TopicPartition& place, const RecordView& record) const {
    TRY(const auto source, source_of(record));
    if (!source) { return true; }
    const auto of_place = impl_->places.find(place);
    if (of_place != impl_->places.end()) {
        const auto last = of_place->second.find({source->stage, source->topic, source->partition});
        if (last != of_place->second.end()) { return SourcePoint{source->offset, source->output} > last->second; }
    }
    if (impl_->size >= impl_->sources_max) { return impl_->too_many(); }
    return true;
}

uint64_t SourceFilter::dropped() const { return impl_->dropped; }

std::vector<Source> SourceFilter::seen(const TopicPartition& place) const {
    std::vector<Source> out;
    const auto found = impl_->places.find(place);
    if (found == impl_->places.end()) { return out; }
    for (const auto& [from, point] : found->second) {
        const auto& [stage, topic, partition] = from;
        out.push_back({stage, topic, partition, point.offset, point.output});
    }
    return out;
}

Result<void> SourceFilter::restore(const TopicPartition& place, const Source& source) {
    TRY(SourcePoint* const last, impl_->point(place, source));
    *last = std::max(*last, SourcePoint{source.offset, source.output});
    return {};
}

void SourceFilter::forget(const TopicPartition& place) {
    const auto found = impl_->places.find(place);
    if (found == impl_->places.end()) { return; }
    impl_->size -= found->second.size();
    impl_->places.erase(found);
}

}  // namespace flowstone
