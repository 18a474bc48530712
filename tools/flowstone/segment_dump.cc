// `flowstone segment dump` and `grep`: batches and records as they lie in the file.
#include <functional>
#include <map>

#include <fmt/format.h>

#include "storage/producer_snapshot.h"
#include "storage/seal.h"
#include "storage/segment_index.h"
#include "storage/segment_salvage.h"
#include "storage/segment_verify.h"
#include "storage/try.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/record_output.h"
#include "tools/flowstone/segment_journal.h"
#include "tools/flowstone/segment_output.h"
#include "tools/flowstone/segment_progress.h"

namespace flowstone::tool {
namespace {

constexpr uint64_t small_file_bytes_max = 256ull << 20;

RecordPlace place_of(const SegmentTarget& target) {
    if (!target.partition || target.file_alone()) { return {}; }
    return {target.partition->topic, target.partition->partition};
}

// Walks the whole batches of one .log file. `take` returns false to stop. True when nothing was damaged.
Result<bool> walk_batches(Disk& disk, const LogFile& file, SegmentProgress& progress,
                          const std::function<Result<bool>(const ScannedBatch&)>& take) {
    TRY(const auto opened, disk.open(file.path, {}));
    SegmentSalvager salvager(
        disk, *opened, {.offset = file.base, .offset_end = file.next_base, .batch_bytes_max = verify_batch_bytes_max});
    while (true) {
        TRY(const auto scanned, salvager.next());
        if (!scanned) { break; }
        progress.read(scanned->batch.size(), static_cast<uint64_t>(scanned->batch.record_count()));
        TRY(const bool more, take(*scanned));
        if (!more) { return true; }
    }
    progress.clear();
    for (const DamagedRange& range : salvager.damage()) {
        note(fmt::format("{}: {} at {}", file.path, name(range.fault),
                         range_text(range.begin, range.end, range.offset_begin, range.offset_end)));
    }
    return salvager.damage().empty();
}

void append_batch_json(std::string& out, const SegmentTarget& target, const ScannedBatch& scanned) {
    const BatchView& batch = scanned.batch;
    JsonLine line(out);
    if (const RecordPlace place = place_of(target); !place.topic.empty()) {
        line.text("topic", place.topic).number("partition", int64_t{place.partition});
    }
    line.number("base_offset", batch.base_offset().value)
        .number("end_offset", batch.next_offset().value)
        .number("position", scanned.at.value)
        .number("bytes", static_cast<uint64_t>(batch.size()))
        .number("records", int64_t{batch.record_count()})
        .text("codec", codec_name(batch))
        .number("epoch", batch.epoch().value)
        .text("timestamp_type",
              batch.timestamp_type() == TimestampType::create_time ? "create_time" : "log_append_time")
        .time("base_timestamp", batch.base_timestamp_ms())
        .time("max_timestamp", batch.max_timestamp_ms())
        .number("producer_id", batch.producer_id())
        .number("producer_epoch", int64_t{batch.producer_epoch()})
        .number("base_sequence", int64_t{batch.base_sequence()})
        .flag("transactional", batch.transactional())
        .flag("control", batch.control())
        .number("crc", uint64_t{batch.crc()});
}

void append_batch_text(std::string& out, const ScannedBatch& scanned) {
    const BatchView& batch = scanned.batch;
    out += fmt::format("offsets [{}, {}) at {}, {} bytes: {} {}, {}, epoch {}, max time {}", batch.base_offset().value,
                       batch.next_offset().value, scanned.at.value, batch.size(), batch.record_count(),
                       batch.record_count() == 1 ? "record" : "records", codec_name(batch), batch.epoch().value,
                       format_time(batch.max_timestamp_ms()));
    if (batch.producer_id() >= 0) {
        out += fmt::format(", producer {} epoch {} sequence {}", batch.producer_id(), batch.producer_epoch(),
                           batch.base_sequence());
    }
    if (batch.transactional()) { out += ", transactional"; }
    if (batch.control()) { out += ", control"; }
    out += '\n';
}

// ---- the files beside the .log -----------------------------------------------------------------------------------

void dump_index(std::string& out, bool json, Offset base, Bytes content) {
    ByteReader reader(content);
    while (reader.remaining() >= index_entry_bytes) {
        const int64_t offset = base.value + reader.be<int32_t>();
        const int64_t position = reader.be<int32_t>();
        if (json) {
            JsonLine(out).number("offset", offset).number("position", position);
        } else {
            out += fmt::format("offset {} at {}\n", offset, position);
        }
    }
}

void dump_time_index(std::string& out, bool json, Offset base, Bytes content) {
    ByteReader reader(content);
    while (reader.remaining() >= time_index_entry_bytes) {
        const auto timestamp_ms = reader.be<int64_t>();
        const int64_t offset = base.value + reader.be<int32_t>();
        if (json) {
            JsonLine(out).time("timestamp", timestamp_ms).number("offset", offset);
        } else {
            out += fmt::format("time {} up to offset {}\n", format_time(timestamp_ms), offset);
        }
    }
}

Result<void> dump_snapshot(std::string& out, bool json, Bytes content) {
    TRY(const auto entries, decode_producer_snapshot(content));
    for (const ProducerSnapshotEntry& entry : entries) {
        if (json) {
            JsonLine(out)
                .number("producer_id", entry.producer_id)
                .number("producer_epoch", int64_t{entry.producer_epoch})
                .number("last_sequence", int64_t{entry.last_sequence})
                .number("last_offset", entry.last_offset.value)
                .number("offset_delta", int64_t{entry.offset_delta})
                .time("timestamp", entry.timestamp_ms)
                .number("coordinator_epoch", int64_t{entry.coordinator_epoch})
                .number("transaction_first_offset", entry.transaction_first_offset.value);
        } else {
            out += fmt::format("producer {} epoch {}: last sequence {} at offset {}, time {}\n", entry.producer_id,
                               entry.producer_epoch, entry.last_sequence, entry.last_offset.value,
                               format_time(entry.timestamp_ms));
        }
    }
    return {};
}

Result<void> dump_seal(std::string& out, bool json, Bytes content) {
    TRY(const Seal seal, decode_seal(content));
    if (json) {
        JsonLine line(out);
        line.text("origin", name(seal.origin))
            .text("cluster_id", seal.place.cluster.to_string())
            .text("topic_id", seal.place.topic.to_string())
            .number("partition", int64_t{seal.place.partition})
            .number("base_offset", seal.place.base.value)
            .number("end_offset", seal.end.value)
            .number("bytes", seal.bytes)
            .number("pieces", static_cast<uint64_t>(seal.pieces.size()));
        if (seal.chain) {
            line.text("content_sha256", to_hex(seal.chain->content))
                .text("previous_head", to_hex(seal.chain->previous))
                .text("head", to_hex(seal.head()));
        }
        return {};
    }
    out += fmt::format("sealed by {}: offsets [{}, {}), {} bytes in {} pieces, topic id {} partition {}, cluster {}\n",
                       name(seal.origin), seal.place.base.value, seal.end.value, seal.bytes, seal.pieces.size(),
                       seal.place.topic.to_string(), seal.place.partition, seal.place.cluster.to_string());
    if (seal.chain) {
        out += fmt::format("sha256 {}\nprevious {}\nhead {}\n", to_hex(seal.chain->content),
                           to_hex(seal.chain->previous), to_hex(seal.head()));
    }
    return {};
}

// True when `path` was shown: it is one of the files beside a .log.
Result<bool> dump_side_file(Disk& disk, const std::string& path, bool json, StandardOutput& out) {
    const auto named = parse_segment_file_name(std::string_view(path).substr(path.rfind('/') + 1));
    if (!named || named->kind == SegmentFile::log) { return false; }
    TRY(const auto content, read_file(disk, path, small_file_bytes_max));
    switch (named->kind) {
        case SegmentFile::index: dump_index(out.buffer(), json, named->base, content); break;
        case SegmentFile::time_index: dump_time_index(out.buffer(), json, named->base, content); break;
        case SegmentFile::snapshot: TRY_VOID(dump_snapshot(out.buffer(), json, content)); break;
        case SegmentFile::seal: TRY_VOID(dump_seal(out.buffer(), json, content)); break;
        case SegmentFile::transaction_index: return fail(Code::unsupported, "segment.dump", path);
        case SegmentFile::log: break;
    }
    TRY_VOID(out.wrote());
    return true;
}

Result<void> dump_log(Disk& disk, const SegmentArguments& arguments, const SegmentTarget& target, const LogFile& file,
                      StandardOutput& out, SegmentProgress& progress, bool& clean) {
    TRY(const RecordFormat format, RecordFormat::parse("  %o\t%T\t%k\t%v\t%h"));
    std::vector<std::byte> scratch;
    const RecordPlace place = place_of(target);
    const auto take = [&](const ScannedBatch& scanned) -> Result<bool> {
        // With --json a line is a record or a batch, never a mixture.
        if (!arguments.json) { append_batch_text(out.buffer(), scanned); }
        if (arguments.json && !arguments.records) { append_batch_json(out.buffer(), target, scanned); }
        if (arguments.records) {
            const auto walked = walk_records(scanned.batch, scratch, [&](const RecordView& record) {
                if (arguments.json) {
                    append_record_json(out.buffer(), place, record);
                } else {
                    format.append(out.buffer(), place, record);
                }
                return true;
            });
            if (!walked) {
                clean = false;
                progress.clear();
                note(fmt::format("{}: the batch at {}: {}", file.path, scanned.at.value, walked.error().message()));
            }
        }
        TRY_VOID(out.wrote());
        return !out.closed() && !interrupted();
    };
    TRY(const bool good, walk_batches(disk, file, progress, take));
    clean = clean && good;
    return {};
}

// ---- grep --------------------------------------------------------------------------------------------------------

// Finds `text` in keys and values, and prints or counts.
class Grep {
public:
    Grep(Disk& disk, const SegmentArguments& arguments, StandardOutput& out)
        : disk_(disk), arguments_(arguments), out_(out), progress_(disk, arguments, false) {}

    Result<void> prepare() {
        TRY(format_, RecordFormat::parse("%t-%p %o\t%T\t%k\t%v"));
        return {};
    }
    Result<void> search(const SegmentTarget& target) {
        if (target.journal) { return search_journal(target); }
        TRY(const auto files, log_files(disk_, target));
        const RecordPlace place = place_of(target);
        for (const LogFile& file : files) {
            if (enough()) { return {}; }
            const auto take = [&](const ScannedBatch& scanned) -> Result<bool> {
                search_batch(file.path, scanned.at, place, scanned.batch);
                if (target.partition) { end_[*target.partition] = scanned.batch.next_offset(); }
                TRY_VOID(progress_.emit(out_));
                return !enough();
            };
            TRY(const bool good, walk_batches(disk_, file, progress_, take));
            damaged_ = damaged_ || !good;
        }
        return {};
    }
    uint64_t found() const { return found_; }
    bool damaged() const { return damaged_; }
    void end_progress() { progress_.clear(); }

private:
    bool enough() const {
        return out_.closed() || interrupted() || (arguments_.records_max && found_ >= *arguments_.records_max);
    }
    bool matches(const RecordView& record) const {
        return (record.value && record.value->find(arguments_.text) != std::string_view::npos) ||
               (record.key && record.key->find(arguments_.text) != std::string_view::npos);
    }
    // What the journal has and no segment that was searched.
    Result<void> search_journal(const SegmentTarget& target) {
        const uint64_t found_before = found_;
        const auto take = [&](const JournaledBatch& journaled) -> Result<bool> {
            const TopicPartition partition{std::string(journaled.place.topic), journaled.place.partition};
            const auto end = end_.find(partition);
            if (end != end_.end() && journaled.batch.base_offset() < end->second) { return !enough(); }
            search_batch(journaled.path, journaled.at, journaled.place, journaled.batch);
            TRY_VOID(progress_.emit(out_));
            return !enough();
        };
        if (enough()) { return {}; }
        TRY_VOID(walk_journaled_batches(disk_, target, take));
        progress_.read(bytes_of(disk_, target).value_or(0));
        progress_.clear();
        if (const uint64_t found = found_ - found_before; found > 0) {
            note(fmt::format("{} of these {} in the journal and not yet in a segment", format_count(found),
                             found == 1 ? "is" : "are"));
        }
        return {};
    }
    void search_batch(const std::string& path, BytePos at, const RecordPlace& place, const BatchView& batch) {
        if (batch.control()) { return; }  // transaction markers: no record of anybody's
        const auto walked = walk_records(batch, scratch_, [&](const RecordView& record) {
            if (!matches(record)) { return true; }
            ++found_;
            if (arguments_.count) { return !enough(); }
            if (arguments_.json) {
                append_record_json(out_.buffer(), place, record);
            } else {
                format_.append(out_.buffer(), place, record);
            }
            return !enough();
        });
        if (walked) { return; }
        damaged_ = true;
        progress_.clear();
        note(fmt::format("{}: the batch at {}: {}", path, at.value, walked.error().message()));
    }

    Disk& disk_;
    const SegmentArguments& arguments_;
    StandardOutput& out_;
    SegmentProgress progress_;
    RecordFormat format_;
    std::vector<std::byte> scratch_;
    std::map<TopicPartition, Offset> end_;  // of what was found in segments
    uint64_t found_ = 0;
    bool damaged_ = false;
};

}  // namespace

Exit run_segment_dump(Disk& disk, const SegmentArguments& arguments) {
    StandardOutput out;
    bool clean = true;
    // Where it is on a terminal itself, output leaves no room for anything else.
    SegmentProgress progress(disk, arguments, output_is_terminal());
    const auto visit = [&](const SegmentTarget& target) -> Result<void> {
        if (target.journal) {
            TRY_VOID(dump_journal(disk, arguments, target, out, clean));
            progress.read(bytes_of(disk, target).value_or(0));
            return {};
        }
        if (!target.file.empty()) {
            TRY(const bool shown, dump_side_file(disk, target.file, arguments.json, out));
            if (shown) { return {}; }
        }
        TRY(const auto files, log_files(disk, target));
        for (const LogFile& file : files) {
            if (!arguments.json && files.size() > 1) { out.buffer() += file.path + '\n'; }
            TRY_VOID(dump_log(disk, arguments, target, file, out, progress, clean));
        }
        return {};
    };
    const auto done = for_each_target(disk, arguments, out, visit);
    progress.clear();
    if (!done) { return complain(done.error()); }
    if (const auto flushed = out.flush(); !flushed) { return complain(flushed.error()); }
    return clean ? Exit::done : Exit::no;
}

Exit run_segment_grep(Disk& disk, const SegmentArguments& arguments) {
    StandardOutput out;
    Grep grep(disk, arguments, out);
    if (const auto prepared = grep.prepare(); !prepared) { return complain(prepared.error()); }
    const auto visit = [&](const SegmentTarget& target) { return grep.search(target); };
    const auto done = for_each_target(disk, arguments, out, visit);
    grep.end_progress();
    if (!done) { return complain(done.error()); }
    if (arguments.count && arguments.json) {
        JsonLine(out.buffer()).number("records", grep.found());
    } else if (arguments.count) {
        out.buffer() += fmt::format("{}\n", grep.found());
    }
    if (const auto flushed = out.flush(); !flushed) { return complain(flushed.error()); }
    if (grep.damaged()) { return complain("not everything could be searched"); }
    return grep.found() > 0 ? Exit::done : Exit::no;
}

}  // namespace flowstone::tool
