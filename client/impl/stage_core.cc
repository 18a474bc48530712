#include "client/impl/stage_core.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "storage/batch.h"
#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t step_ns_max = 100 * ms_ns;       // of taking records, before what came of them is stored
constexpr int64_t tails_every_ns = 1'000 * ms_ns;  // that ends of outputs are looked at, for the next to begin
constexpr int64_t rate_ns = 10'000 * ms_ns;
constexpr int64_t look_at_stop_ms = 50;
constexpr size_t metadata_length_max = 4'096;  // Kafka's offset.metadata.max.bytes

}  // namespace

StageCore::StageCore(StagePort& port, StageOptions options, StageFunction function, StageSink* sink)
    : port_(port), options_(std::move(options)), function_(std::move(function)), sink_(sink) {
    written_topics_ = options_.outputs;
    if (!options_.dead_letters.empty()) { written_topics_.push_back(options_.dead_letters); }
    metrics_.stage = options_.name;
}

Result<void> StageCore::open() {
    const auto invalid = [](std::string_view why) { return fail(Code::invalid, "stage.open", why); };
    if (!valid_topic_name(options_.name)) { return invalid("a stage is named as a topic may be"); }
    if (options_.inputs.empty()) { return invalid("no inputs"); }
    if (!function_ && sink_ == nullptr) { return invalid("neither a function nor a sink"); }
    if (options_.tries_max < 1 || options_.step_records_max < 1 || options_.step_bytes_max < 1) {
        return invalid("tries_max, step_records_max and step_bytes_max are one at least");
    }
    int32_t most = 0;
    for (const std::string& topic : options_.inputs) {
        TRY(const int32_t partitions, port_.partitions(topic));
        most = std::max(most, partitions);
    }
    for (const std::string& topic : written_topics_) {
        if (std::ranges::find(options_.inputs, topic) != options_.inputs.end()) {
            return invalid(fmt::format("{} is an input and an output", topic));
        }
        TRY(const int32_t partitions, port_.partitions(topic));
        if (partitions < most) {
            return invalid(fmt::format("output {} has {} partitions, the inputs have {}", topic, partitions, most));
        }
    }
    return port_.join(options_.inputs, *this);
}

// --- what the group says -----------------------------------------------------------------------------------------------

void StageCore::assigned(const std::vector<TopicPartition>& places) {
    for (const TopicPartition& place : places) {
        Place& state = places_[place];
        state = {};
        if (const auto resumed = resume(place, state); !resumed) { while_sharing_ = resumed.error(); }
    }
}

void StageCore::revoked(const std::vector<TopicPartition>& places) {
    if (const auto done = store(never_); !done) { while_sharing_ = done.error(); }
    drop(places);
}

void StageCore::lost(const std::vector<TopicPartition>& places) {
    if (!pending_.ends.empty()) {
        forget_pending();
        begin_again();
    }
    drop(places);
}

void StageCore::drop(const std::vector<TopicPartition>& places) {
    for (const TopicPartition& place : places) {
        places_.erase(place);
        filter_.forget(place);
    }
}

// --- where it begins ---------------------------------------------------------------------------------------------------

void StageCore::begin_again() {
    for (auto& [place, state] : places_) { state.resumed = false; }
}

Result<void> StageCore::resume_all() {
    for (auto& [place, state] : places_) {
        if (!state.resumed) { TRY_VOID(resume(place, state)); }
    }
    return {};
}

Result<void> StageCore::resume(const TopicPartition& place, Place& state) {
    state = {};
    filter_.forget(place);
    TRY(const auto committed, port_.committed(place));
    if (committed) { state.stored = committed->offset; }
    std::optional<Offset> begin = state.stored;
    if (sink_ != nullptr) {
        TRY(state.sunk, sink_->stored(place));
        begin = state.sunk;
    }
    const bool as_committed = committed && begin == committed->offset;
    if (!as_committed || !restore(place, state, committed->metadata)) {
        state.tails.clear();
        if (begin) { TRY_VOID(read_seen(place, *begin)); }
    }
    state.next = begin;
    TRY_VOID(read_tails(place, state));
    TRY_VOID(port_.seek(place, begin ? From(*begin) : options_.begin));
    state.resumed = true;
    return {};
}

// What somebody has already made of records that come now.
Result<void> StageCore::read_tails(const TopicPartition& place, Place& state) {
    for (const std::string& topic : written_topics_) {
        const TopicPartition output{topic, place.partition};
        TRY(const auto ends, port_.ends(output));
        const auto known = state.tails.find(topic);
        const Offset from = known != state.tails.end() ? known->second : Offset{ends.end.value - tail_records};
        SourcePoint& last = state.written[topic];
        const auto look = [&](const RecordView& record) -> Result<void> {
            const auto source = source_of(record);
            const bool ours = source && *source && (**source).stage == options_.name &&
                              (**source).topic == place.topic && (**source).partition == place.partition;
            if (ours) { last = std::max(last, SourcePoint{(**source).offset, (**source).output}); }
            return {};
        };
        TRY_VOID(port_.read_back(output, std::clamp(from, ends.log_start, std::max(ends.log_start, ends.end)), ends.end,
                                 look));
        state.tails[topic] = ends.end;
        const bool has_next = last != SourcePoint{} && (!state.next || last.offset >= *state.next);
        state.tails[topic] = has_next ? std::min(from, ends.end) : ends.end;
    }
    state.tails_ns = port_.monotonic_ns();
    return {};
}

// Which sources the records in front of the first one say.
Result<void> StageCore::read_seen(const TopicPartition& place, Offset begin) {
    TRY(const auto ends, port_.ends(place));
    const Offset from = std::max(ends.log_start, Offset{begin.value - tail_records});
    if (from >= begin) { return {}; }
    return port_.read_back(place, from, std::min(begin, ends.end), [&](const RecordView& record) -> Result<void> {
        const auto fresh = filter_.fresh(place, record);
        if (!fresh && fresh.error().code == Code::busy) { return std::unexpected(fresh.error()); }
        return {};
    });
}

// Kept with the offset: "flowstone.stage 1", then lines "out TOPIC OFFSET" and "seen SOURCE".
std::string StageCore::metadata(const TopicPartition& place, const Place& state) const {
    std::string text = "flowstone.stage 1\n";
    for (const auto& [topic, offset] : state.tails) { text += fmt::format("out {} {}\n", topic, offset.value); }
    for (const Source& source : filter_.seen(place)) {
        const auto encoded = encode_source(source);
        if (encoded) { text += fmt::format("seen {}\n", *encoded); }
        if (text.size() > metadata_length_max) { return {}; }
    }
    return text.size() > metadata_length_max ? std::string() : text;
}

bool StageCore::restore(const TopicPartition& place, Place& state, std::string_view metadata) {
    constexpr std::string_view first = "flowstone.stage 1\n";
    if (!metadata.starts_with(first)) { return false; }
    metadata.remove_prefix(first.size());
    while (!metadata.empty()) {
        const size_t end = metadata.find('\n');
        if (end == std::string_view::npos) { return false; }
        const std::string_view line = metadata.substr(0, end);
        metadata.remove_prefix(end + 1);
        const size_t space = line.rfind(' ');
        if (line.starts_with("out ") && space > 4) {
            int64_t offset = -1;
            const auto digits = line.substr(space + 1);
            const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
            if (parsed.ec != std::errc() || offset < 0) { return false; }
            state.tails[std::string(line.substr(4, space - 4))] = Offset{offset};
        } else if (line.starts_with("seen ")) {
            const auto source = decode_source(line.substr(5));
            if (!source || !filter_.restore(place, *source)) { return false; }
        }
    }
    return true;
}

Result<void> StageCore::look_at_tails(const TopicPartition& place, Place& state) {
    const int64_t now = port_.monotonic_ns();
    if (now - state.tails_ns < tails_every_ns) { return {}; }
    for (const auto& [topic, last] : state.written) {
        if (state.next && last.offset >= *state.next) { return {}; }  // not past what is there already
    }
    for (auto& [topic, offset] : state.tails) {
        TRY(const auto ends, port_.ends({topic, place.partition}));
        offset = ends.end;
    }
    state.tails_ns = now;
    return {};
}

// --- steps -------------------------------------------------------------------------------------------------------------

Result<void> StageCore::run(const std::atomic<bool>& stop) {
    int32_t failures = 0;
    Result<void> ended;
    while (!stop) {
        const auto done = step(200, stop);
        if (done) {
            failures = 0;
            continue;
        }
        if (stop) { break; }
        const bool lasts = done.error().code == Code::offline && port_.atomic();  // until the log is opened again
        if (ended_ || lasts || advice(done.error()) != Advice::retry) {
            ended = std::unexpected(done.error());
            break;
        }
        wait_for_try(++failures, stop);
    }
    port_.leave();
    return ended;
}

Result<size_t> StageCore::step(int64_t timeout_ms, const std::atomic<bool>& stop) {
    ended_ = false;
    const uint64_t before = metrics_.records;
    TRY_VOID(resume_all());
    const int64_t until = port_.monotonic_ns() + step_ns_max;
    for (int64_t wait = timeout_ms;; wait = 0) {
        auto polled = port_.poll(wait);
        if (const auto error = std::exchange(while_sharing_, {})) { return std::unexpected(*error); }
        if (!polled) { return std::unexpected(polled.error()); }
        if (polled->place.topic.empty()) { break; }
        TRY_VOID(take(*polled, stop));
        if (stop || port_.monotonic_ns() >= until) { break; }
    }
    TRY_VOID(store(stop));
    measure();
    return static_cast<size_t>(metrics_.records - before);
}

Result<void> StageCore::take(const StagePort::Polled& polled, const std::atomic<bool>& stop) {
    const auto found = places_.find(polled.place);
    if (found == places_.end() || !found->second.resumed) { return {}; }
    Place& state = found->second;
    const int64_t now = port_.monotonic_ns();
    for (const RecordView& record : polled.records) {
        if (state.next && record.offset < *state.next) { continue; }
        if (auto done = process(polled.place, state, record, stop); !done) {
            made_.clear();
            begin_again();
            forget_pending();
            return done;
        }
        if (state.resumed) { pending_.taken_ns.push_back(now); }
        if (full()) { TRY_VOID(store(stop)); }
        if (!state.resumed) {
            made_.clear();
            return {};
        }
    }
    if (!state.next || polled.next_offset > *state.next) {
        state.next = polled.next_offset;
        pending_.ends[polled.place] = polled.next_offset;
    }
    return {};
}

Result<void> StageCore::process(const TopicPartition& place, Place& state, const RecordView& view,
                                const std::atomic<bool>& stop) {
    StageRecord record{view, place.topic, place.partition};
    record_ = &record;
    record_place_ = &state;
    begin_outputs();
    std::optional<Error> error;
    int32_t tries = 1;
    // What is stored in front of the record, below, must not say that it has been seen.
    const auto fresh = filter_.would_be_fresh(place, view);
    if (!fresh) {
        error = fresh.error();
    } else if (!*fresh) {
        const std::lock_guard guard(lock_);
        ++metrics_.dropped;
    } else if (function_) {
        const auto call = [&](int32_t n) {
            record.tries = n;
            begin_outputs();
            return function_(record, *this);
        };
        TRY(error, try_call(call, tries, stop));
    }
    if (error) {
        // What came before it is stored whatever becomes of it, so that it is the next one.
        if (options_.dead_letters.empty() || advice(*error) == Advice::fenced) {
            TRY_VOID(store(stop));
            return end(*error);
        }
        TRY_VOID(dead_letter(record, *error, tries));
        ++pending_.dead_letters;
    }
    TRY_VOID(add_made(!error, stop));
    if (!state.resumed) { return {}; }  // what came before it was another's
    if (fresh) { TRY_VOID(filter_.fresh(place, view)); }
    if (sink_ != nullptr && !error && fresh && *fresh) {
        StageRecord& kept = pending_.sunk[place].emplace_back(record);
        kept.key = keep_optional(record.key);
        kept.value = keep_optional(record.value);
        const std::string_view headers = keep(std::string_view(
            reinterpret_cast<const char*>(record.encoded_headers.data()), record.encoded_headers.size()));
        kept.encoded_headers = std::as_bytes(std::span(headers.data(), headers.size()));
        kept.topic = places_.find(place)->first.topic;
    }
    state.next = view.offset + 1;
    state.last_timestamp_ms = view.timestamp_ms;
    pending_.ends[place] = *state.next;
    ++pending_.records;
    return {};
}

Result<void> StageCore::add_made(bool outputs, const std::atomic<bool>& stop) {
    size_t bytes = 0;
    for (const StageWrite& write : made_) { bytes += BatchBuilder::record_bytes_max(write.record); }
    if (pending_.bytes > 0 && pending_.bytes + bytes > port_.step_bytes_max()) {
        TRY_VOID(store(stop));
        if (!record_place_->resumed) { return {}; }
    }
    if (outputs) { pending_.outputs += made_.size(); }
    pending_.bytes += bytes;
    for (StageWrite& write : made_) {
        pending_.write_bytes[write.place] += BatchBuilder::record_bytes_max(write.record);
        pending_.writes.push_back(std::move(write));
    }
    made_.clear();
    return {};
}

Result<std::optional<Error>> StageCore::try_call(const std::function<Result<void>(int32_t tries)>& call, int32_t& tries,
                                                 const std::atomic<bool>& stop) {
    for (tries = 1;; ++tries) {
        const auto done = call(tries);
        if (done) { return std::optional<Error>(); }
        {
            const std::lock_guard guard(lock_);
            ++metrics_.errors;
        }
        if (advice(done.error()) != Advice::retry || tries >= options_.tries_max) {
            return std::optional(done.error());
        }
        wait_for_try(tries, stop);
        if (stop) { return fail(Code::closed, "stage.run", "stopped while a record was to be tried again"); }
        const std::lock_guard guard(lock_);
        ++metrics_.retries;
    }
}

// Doubling, less up to half of it.
void StageCore::wait_for_try(int32_t tries, const std::atomic<bool>& stop) {
    const int64_t most = std::max<int64_t>(options_.retry_wait_max.count(), 1);
    int64_t wait = std::clamp<int64_t>(options_.retry_wait.count(), 1, most);
    for (int32_t i = 1; i < tries && wait < most; ++i) { wait = std::min(wait * 2, most); }
    wait -= static_cast<int64_t>(port_.random() % static_cast<uint64_t>(wait / 2 + 1));
    while (wait > 0 && !stop) {
        const int64_t piece = std::min(wait, look_at_stop_ms);
        port_.sleep(piece);
        wait -= piece;
    }
}

std::unexpected<Error> StageCore::end(const Error& error) {
    ended_ = true;
    return std::unexpected(error);
}

// --- outputs -----------------------------------------------------------------------------------------------------------

void StageCore::begin_outputs() {
    made_.clear();
    made_bytes_ = 0;
    outputs_made_ = 0;
}

Result<void> StageCore::send(std::string_view topic, const Record& record) {
    const auto known = std::ranges::find(options_.outputs, topic);
    if (known == options_.outputs.end()) {
        return fail(Code::invalid, "stage.send",
                    fmt::format("{} is not among the outputs of {}", topic, options_.name));
    }
    return send_to(*known, record, {});
}

Result<void> StageCore::send_to(const std::string& topic, const Record& record, std::span<const Header> more) {
    const Source source{options_.name, std::string(record_->topic), record_->partition, record_->offset,
                        outputs_made_++};
    const SourcePoint point{source.offset, source.output};
    if (point <= record_place_->written[topic]) {
        const std::lock_guard guard(lock_);
        ++metrics_.already_written;
        return {};
    }
    TRY(const std::string encoded, encode_source(source));
    const size_t count = record.headers.size() + more.size() + 1;
    auto* const headers = static_cast<Header*>(memory_.allocate(count * sizeof(Header), alignof(Header)));
    size_t used = 0;
    for (const auto& part : {record.headers, more}) {
        for (const Header& header : part) {
            if (header.name == source_header) { continue; }
            std::construct_at(headers + used++, Header{keep(header.name), keep_optional(header.value)});
        }
    }
    std::construct_at(headers + used++, Header{source_header, keep(encoded)});
    StageWrite& write = made_.emplace_back();
    write.place = {topic, record_->partition};
    write.record = {.key = keep_optional(record.key),
                    .value = keep_optional(record.value),
                    .headers = {headers, used},
                    .timestamp_ms = record.timestamp_ms.value_or(record_->timestamp_ms)};
    const size_t bytes = BatchBuilder::record_bytes_max(write.record);
    made_bytes_ += bytes;
    if (bytes <= options_.output_bytes_max && made_bytes_ <= port_.step_bytes_max()) { return {}; }
    return fail(Code::too_large, "stage.send",
                fmt::format("{} bytes to {}, {} with the others of the record; {} and {} are allowed", bytes, topic,
                            made_bytes_, options_.output_bytes_max, port_.step_bytes_max()));
}

// The record as it was, and why. Its own source becomes a header of another name.
Result<void> StageCore::dead_letter(const StageRecord& record, const Error& error, int32_t tries) {
    begin_outputs();
    std::vector<Header> headers(record.header_count());
    record.headers(headers);
    for (Header& header : headers) {
        if (header.name == source_header) { header.name = dead_letter_source_header; }
    }
    const std::string message = error.message();
    const std::string partition = std::to_string(record.partition);
    const std::string offset = std::to_string(record.offset.value);
    const std::string count = std::to_string(tries);
    const std::array<Header, 7> why{{{"flowstone.error", message},
                                     {"flowstone.error.code", name(error.code)},
                                     {"flowstone.error.stage", options_.name},
                                     {"flowstone.error.topic", record.topic},
                                     {"flowstone.error.partition", partition},
                                     {"flowstone.error.offset", offset},
                                     {"flowstone.error.tries", count}}};
    return send_to(options_.dead_letters,
                   {.key = record.key, .value = record.value, .headers = headers, .timestamp_ms = record.timestamp_ms},
                   why);
}

std::string_view StageCore::keep(std::string_view bytes) {
    if (bytes.empty()) { return ""; }
    auto* const copy = static_cast<char*>(memory_.allocate(bytes.size(), 1));
    std::memcpy(copy, bytes.data(), bytes.size());
    return {copy, bytes.size()};
}
std::optional<std::string_view> StageCore::keep_optional(const std::optional<std::string_view>& bytes) {
    return bytes ? std::optional(keep(*bytes)) : std::nullopt;
}

// --- storing -----------------------------------------------------------------------------------------------------------

bool StageCore::full() const {
    return pending_.records >= options_.step_records_max ||
           std::ranges::any_of(pending_.write_bytes,
                               [&](const auto& at) { return at.second >= options_.step_bytes_max; });
}

Result<void> StageCore::store(const std::atomic<bool>& stop) {
    if (pending_.ends.empty()) { return {}; }
    auto moving = moves();
    auto done = moving ? store_pending(*moving, stop) : Result<void>(std::unexpected(moving.error()));
    if (done) {
        stored(*moving);
        return {};
    }
    forget_pending();
    begin_again();
    const bool fenced = done.error().code == Code::stale_epoch && !ended_;
    {
        const std::lock_guard guard(lock_);
        ++(fenced ? metrics_.fenced : metrics_.failures);
    }
    if (!fenced) { return done; }
    wait_for_try(++fenced_in_a_row_, stop);
    return {};
}

Result<void> StageCore::store_pending(const std::vector<OffsetMove>& moving, const std::atomic<bool>& stop) {
    if (port_.atomic() && sink_ == nullptr) { return port_.write_step(pending_.writes, moving); }
    if (!pending_.writes.empty()) { TRY_VOID(port_.send(pending_.writes)); }
    if (sink_ != nullptr) { TRY_VOID(store_in_sink(stop)); }
    return moving.empty() ? Result<void>() : port_.commit(moving);
}

Result<void> StageCore::store_in_sink(const std::atomic<bool>& stop) {
    for (const auto& [place, end_offset] : pending_.ends) {
        Place& state = places_[place];
        const SinkBatch batch{place, state.sunk, end_offset, pending_.sunk[place]};
        int32_t tries = 1;
        TRY(const auto error, try_call([&](int32_t) { return sink_->store(batch); }, tries, stop));
        if (error && error->code == Code::stale_epoch) { return std::unexpected(*error); }
        if (error) { return end(*error); }
        state.sunk = end_offset;
    }
    return {};
}

Result<std::vector<OffsetMove>> StageCore::moves() {
    std::vector<OffsetMove> out;
    for (const auto& [place, end_offset] : pending_.ends) {
        Place& state = places_[place];
        if (state.stored && *state.stored >= end_offset) { continue; }
        TRY_VOID(look_at_tails(place, state));
        out.push_back({place.topic, place.partition, state.stored, end_offset, metadata(place, state)});
    }
    return out;
}

void StageCore::stored(const std::vector<OffsetMove>& moving) {
    fenced_in_a_row_ = 0;
    for (const OffsetMove& move : moving) { places_[{move.topic, move.partition}].stored = move.to; }
    const int64_t now = port_.monotonic_ns();
    {
        const std::lock_guard guard(lock_);
        metrics_.records += pending_.records;
        metrics_.outputs += pending_.outputs;
        metrics_.dead_letters += pending_.dead_letters;
        for (const int64_t taken : pending_.taken_ns) {
            const double seconds = static_cast<double>(now - taken) / 1e9;
            const auto& bounds = StageMetrics::latency_bounds;
            ++metrics_.latency[static_cast<size_t>(std::ranges::lower_bound(bounds, seconds) - bounds.begin())];
            metrics_.latency_sum += seconds;
        }
    }
    forget_pending();
}

void StageCore::forget_pending() {
    pending_ = {};
    if (made_.empty()) { memory_.release(); }
}

// --- metrics -----------------------------------------------------------------------------------------------------------

void StageCore::measure() {
    const int64_t now = port_.monotonic_ns();
    int64_t lag = 0;
    int64_t oldest_ms = INT64_MAX;
    for (auto& [place, state] : places_) {
        const int64_t of_place = port_.lag(place).value_or(0);
        lag += of_place;
        if (of_place > 0 && state.last_timestamp_ms >= 0) { oldest_ms = std::min(oldest_ms, state.last_timestamp_ms); }
    }
    const double age = oldest_ms == INT64_MAX ? 0 : static_cast<double>(port_.wall_ms() - oldest_ms) / 1e3;
    const std::lock_guard guard(lock_);
    metrics_.partitions = static_cast<int32_t>(places_.size());
    metrics_.lag_records = lag;
    metrics_.lag_seconds = std::max(0.0, age);
    rate_.emplace_back(now, metrics_.records);
    while (rate_.size() > 2 && rate_[1].first <= now - rate_ns) { rate_.pop_front(); }
    const auto& [since, records] = rate_.front();
    if (now > since) {
        metrics_.records_per_second =
            static_cast<double>(metrics_.records - records) * 1e9 / static_cast<double>(now - since);
    }
}

StageMetrics StageCore::metrics() const {
    const std::lock_guard guard(lock_);
    return metrics_;
}

}  // namespace flowstone
