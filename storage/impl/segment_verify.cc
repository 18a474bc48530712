#include "storage/segment_verify.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/compression.h"
#include "storage/impl/index_check.h"
#include "storage/limits.h"
#include "storage/meta_files.h"
#include "storage/producer_snapshot.h"
#include "storage/segment_files.h"
#include "storage/segment_salvage.h"
#include "storage/transaction_index.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr uint64_t index_file_bytes_max = 256ull << 20;
constexpr uint64_t progress_bytes = 4 << 20;

SegmentFault whole_file(std::string path, const char* what, std::string detail) {
    SegmentFault fault;
    fault.path = std::move(path);
    fault.what = what;
    fault.detail = std::move(detail);
    return fault;
}

// One partition's state while its segments are checked in order.
class Verifier {
public:
    Verifier(Disk& disk, std::string directory, const VerifyOptions& options, const FaultSink& sink)
        : disk_(disk), directory_(std::move(directory)), options_(options), sink_(sink) {}

    Result<VerifyCounts> run();
    void check_log(const std::string& path, Offset base, Offset next_base, bool active);
    VerifyCounts counts() const { return counts_; }

private:
    void report(const SegmentFault& fault) {
        ++counts_.faults;
        sink_(fault);
    }
    // Errors of reading something are faults of it.
    void report(const std::string& path, const char* what, const Error& error) {
        const char* word =
            error.code == Code::corrupt || error.code == Code::too_large || error.code == Code::unsupported ? what
                                                                                                            : "io";
        report(whole_file(path, word, error.message()));
    }
    std::string path_of(Offset base, SegmentFile kind) const {
        return join_path(directory_, segment_file_name(base, kind));
    }
    template <class Check>
    std::optional<Check> load_index(const SegmentListing& segment, bool present, SegmentFile kind, bool active);

    void check_meta_files();
    void check_segment(const SegmentListing& segment, Offset next_base, bool active);
    BytePos proven(Offset base, bool active) const;
    bool unproven(Offset base, bool active) const { return options_.synced && !proven(base, active).value; }
    void check_batch(const std::string& path, const ScannedBatch& scanned);
    void check_epoch(const std::string& path, const ScannedBatch& scanned);
    void report_epoch_fault();
    void check_records(const std::string& path, const ScannedBatch& scanned);
    void check_damage(const std::string& path, const DamagedRange& range, BytePos proven);
    void check_length(const std::string& path, BytePos end, Offset offset);
    void check_seal(const SegmentListing& segment, bool active);
    void check_trimmed_seal(Offset base);
    void check_sealed_bytes(const SegmentListing& segment, const Seal& seal);
    void check_chain(const std::string& path, const Seal& seal);
    void check_snapshot(Offset offset);
    void check_transaction_index(Offset base);

    Disk& disk_;
    std::string directory_;
    const VerifyOptions& options_;
    const FaultSink& sink_;
    VerifyCounts counts_;
    std::optional<Uuid> topic_;
    std::vector<EpochStart> epochs_;
    std::optional<SegmentFault> epoch_fault_;  // a run of batches with the same mismatch is one fault
    std::optional<OffsetIndexCheck> index_;
    std::optional<TimeIndexCheck> times_;
    bool log_damaged_ = false;  // the segment just scanned
    Offset log_base_;
    Offset log_end_;
    std::optional<Seal> last_seal_;  // of the rolled segment before, when it has a good one
    bool first_segment_ = true;
    bool chain_head_found_ = false;
    std::vector<std::byte> scratch_;
    uint64_t unreported_bytes_ = 0;
};

Result<VerifyCounts> Verifier::run() {
    TRY(const PartitionListing listing, list_segments(disk_, directory_));
    check_meta_files();
    bool found = false;
    for (const SegmentListing& orphan : listing.orphans) {
        const bool front = listing.segments.empty() || orphan.base < listing.segments.front().base;
        if (orphan.seal && front && !options_.only) { check_trimmed_seal(orphan.base); }
    }
    for (size_t i = 0; i < listing.segments.size(); ++i) {
        const SegmentListing& segment = listing.segments[i];
        if (options_.only && segment.base != *options_.only) { continue; }
        found = true;
        const bool active = i + 1 == listing.segments.size();
        check_segment(segment, active ? Offset{INT64_MAX} : listing.segments[i + 1].base, active);
    }
    if (options_.only && !found) {
        return fail(Code::not_found, "segment.verify", path_of(*options_.only, SegmentFile::log));
    }
    for (const SegmentListing& orphan : listing.orphans) {
        if (orphan.snapshot && !options_.only) { check_snapshot(orphan.base); }
    }
    if (options_.chain_head && !chain_head_found_) {
        report(whole_file(directory_, "chain_head_missing",
                          to_hex(*options_.chain_head) + " is the head of no seal here"));
    }
    return counts_;
}

void Verifier::check_meta_files() {
    auto topic = read_partition_metadata(disk_, directory_);
    if (topic) {
        topic_ = *topic;
    } else if (topic.error().code != Code::not_found) {
        report(join_path(directory_, partition_metadata_file_name), "metadata_corrupt", topic.error());
    }
    if (options_.epochs) {
        epochs_ = *options_.epochs;
        return;
    }
    auto epochs = read_leader_epochs(disk_, directory_);
    if (epochs) {
        epochs_ = std::move(*epochs);
    } else if (epochs.error().code != Code::not_found) {
        report(join_path(directory_, leader_epoch_file_name), "epochs_corrupt", epochs.error());
    }
}

void Verifier::check_segment(const SegmentListing& segment, Offset next_base, bool active) {
    index_ = load_index<OffsetIndexCheck>(segment, segment.index, SegmentFile::index, active);
    times_ = load_index<TimeIndexCheck>(segment, segment.time_index, SegmentFile::time_index, active);
    check_log(path_of(segment.base, SegmentFile::log), segment.base, next_base, active);
    check_seal(segment, active);
    if (segment.snapshot) { check_snapshot(segment.base); }
    if (segment.transaction_index) { check_transaction_index(segment.base); }
}

template <class Check>
std::optional<Check> Verifier::load_index(const SegmentListing& segment, bool present, SegmentFile kind, bool active) {
    const std::string path = path_of(segment.base, kind);
    if (!present) {
        if (!active && !unproven(segment.base, active)) {
            report(whole_file(path, "index_missing", "it is made again when the log is opened"));
        }
        return {};
    }
    auto content = read_file(disk_, path, index_file_bytes_max);
    if (!content) {
        report(path, kind == SegmentFile::index ? "index_entry" : "time_index_entry", content.error());
        return {};
    }
    return Check(path, segment.base, std::move(*content));
}

void Verifier::check_log(const std::string& path, Offset base, Offset next_base, bool active) {
    log_damaged_ = false;
    log_base_ = base;
    log_end_ = base;
    ++counts_.segments;
    auto file = disk_.open(path, {});
    if (!file) { return report(path, "io", file.error()); }
    SegmentSalvager salvager(disk_, **file,
                             {.offset = base, .offset_end = next_base, .batch_bytes_max = verify_batch_bytes_max});
    const FaultSink count_and_pass = [this](const SegmentFault& fault) { report(fault); };
    size_t damage_seen = 0;
    const BytePos proven_end = proven(base, active);
    // A range is complete once the batch behind it is known.
    const auto pass_damage_before = [&](BytePos at) {
        for (; damage_seen < salvager.damage().size() && salvager.damage()[damage_seen].end <= at; ++damage_seen) {
            const DamagedRange& range = salvager.damage()[damage_seen];
            check_damage(path, range, proven_end);
            const DamageAround around{range.begin, range.end, range.offset_begin, range.offset_end};
            if (index_) { index_->damage(around); }
            if (times_) { times_->damage(around); }
        }
    };
    while (true) {
        const auto scanned = salvager.next();
        if (!scanned) {
            log_damaged_ = true;
            return report(path, "io", scanned.error());
        }
        if (!*scanned) { break; }
        pass_damage_before((*scanned)->at);
        check_batch(path, **scanned);
        if (index_) { index_->batch((*scanned)->batch, (*scanned)->at, count_and_pass); }
        if (times_) { times_->batch((*scanned)->batch, count_and_pass); }
    }
    report_epoch_fault();
    pass_damage_before(salvager.end());
    // A damaged end was named already.
    if (salvager.damage().empty() || salvager.damage().back().end < salvager.end()) {
        check_length(path, salvager.end(), salvager.next_offset());
    }
    if (index_) { index_->finish(active, count_and_pass); }
    if (times_) { times_->finish(active, count_and_pass); }
    counts_.bytes += static_cast<uint64_t>(salvager.end().value);
    log_end_ = salvager.next_offset();
}

// Up to where a segment was on disk for certain when the checkpoint was written; INT64_MAX: all of it.
BytePos Verifier::proven(Offset base, bool active) const {
    if (!options_.synced || options_.closed) { return BytePos{INT64_MAX}; }
    if (!options_.synced_base) { return active ? options_.synced->at : BytePos{INT64_MAX}; }
    if (base == *options_.synced_base) { return options_.synced->at; }
    return base < *options_.synced_base ? BytePos{INT64_MAX} : BytePos{0};
}

void Verifier::check_damage(const std::string& path, const DamagedRange& range, BytePos proven) {
    // Past what the checkpoint knows to be synced, a segment may end in an unfinished write.
    const bool tail = range.fault == ScanFault::torn_end || range.fault == ScanFault::zeros;
    if (tail && range.begin >= proven) { return; }
    log_damaged_ = true;
    report({.path = path,
            .what = name(range.fault),
            .begin = range.begin,
            .end = range.end,
            .offset_begin = range.offset_begin,
            .offset_end = range.offset_end,
            .detail = {}});
}

// A file that ends with a whole batch looks good by itself, however much of it is gone.
void Verifier::check_length(const std::string& path, BytePos end, Offset offset) {
    const BytePos least{static_cast<int64_t>(options_.synced_bytes)};
    if (options_.synced_base != log_base_ || end >= least) { return; }
    log_damaged_ = true;
    report({.path = path,
            .what = "cut_short",
            .begin = end,
            .end = least,
            .offset_begin = offset,
            .offset_end = Offset{},
            .detail = "the checkpoint says that it was longer"});
}

void Verifier::check_batch(const std::string& path, const ScannedBatch& scanned) {
    ++counts_.batches;
    counts_.records += static_cast<uint64_t>(scanned.batch.record_count());
    check_epoch(path, scanned);
    if (options_.records) { check_records(path, scanned); }
    unreported_bytes_ += scanned.batch.size();
    if (options_.progress && unreported_bytes_ >= progress_bytes) {
        options_.progress(std::exchange(unreported_bytes_, 0));
    }
}

void Verifier::check_epoch(const std::string& path, const ScannedBatch& scanned) {
    const BatchView& batch = scanned.batch;
    const auto begun = epochs_until(epochs_, batch.base_offset());
    if (begun.empty()) { return; }  // below the log's start: the checkpoint no longer speaks of it
    const EpochStart& expected = begun.back();
    if (expected.epoch == batch.epoch()) { return; }
    // An epoch that began past the checkpoint is known by its batches alone.
    const bool past = options_.synced && !options_.closed && batch.base_offset() >= options_.synced->offset;
    if (past && batch.epoch() > expected.epoch) { return; }
    std::string detail =
        fmt::format("epoch {}, but {} says {}", batch.epoch().value, leader_epoch_file_name, expected.epoch.value);
    const BytePos end = scanned.at + batch.size();
    if (epoch_fault_ && epoch_fault_->end == scanned.at && epoch_fault_->detail == detail) {
        epoch_fault_->end = end;
        epoch_fault_->offset_end = batch.next_offset();
        return;
    }
    report_epoch_fault();
    epoch_fault_ = {.path = path,
                    .what = "epoch_mismatch",
                    .begin = scanned.at,
                    .end = end,
                    .offset_begin = batch.base_offset(),
                    .offset_end = batch.next_offset(),
                    .detail = std::move(detail)};
}

void Verifier::report_epoch_fault() {
    if (epoch_fault_) { report(*epoch_fault_); }
    epoch_fault_.reset();
}

void Verifier::check_records(const std::string& path, const ScannedBatch& scanned) {
    const BatchView& batch = scanned.batch;
    const auto bad = [&](const Error& error) {
        report({.path = path,
                .what = "bad_records",
                .begin = scanned.at,
                .end = scanned.at + batch.size(),
                .offset_begin = batch.base_offset(),
                .offset_end = batch.next_offset(),
                .detail = error.message()});
    };
    auto cursor = RecordCursor::open(batch, scratch_);
    if (!cursor) { return bad(cursor.error()); }
    while (true) {
        const auto record = cursor->next();
        if (!record) { return bad(record.error()); }
        if (!*record) { return; }
    }
}

void Verifier::check_seal(const SegmentListing& segment, bool active) {
    const std::string path = path_of(segment.base, SegmentFile::seal);
    const bool had_chain = last_seal_ && last_seal_->chain;
    if (!segment.seal) {
        if (!active && options_.seals_expected && !unproven(segment.base, active)) {
            report(whole_file(path, "seal_missing", ""));
        }
        if (!active && had_chain) {
            report(whole_file(path, "chain_broken", "the seal before it is chained, this one is missing"));
        }
        if (!active) { last_seal_.reset(); }
        first_segment_ = false;
        return;
    }
    auto seal = read_seal(disk_, directory_, segment.base);
    if (!seal) {
        report(path, "seal_corrupt", seal.error());
        if (had_chain) { report(whole_file(path, "chain_broken", "its seal cannot be read")); }
        last_seal_.reset();
        first_segment_ = false;
        return;
    }
    ++counts_.sealed;
    check_sealed_bytes(segment, *seal);
    check_chain(path, *seal);
    last_seal_ = std::move(*seal);
    first_segment_ = false;
}

// Of a segment that is gone: a link of the chain is all it is.
void Verifier::check_trimmed_seal(Offset base) {
    const std::string path = path_of(base, SegmentFile::seal);
    auto seal = read_seal(disk_, directory_, base);
    if (!seal) {
        report(path, "seal_corrupt", seal.error());
        last_seal_.reset();
    } else {
        check_chain(path, *seal);
        last_seal_ = std::move(*seal);
    }
    first_segment_ = false;
}

void Verifier::check_sealed_bytes(const SegmentListing& segment, const Seal& seal) {
    const std::string path = path_of(segment.base, SegmentFile::seal);
    const bool elsewhere = (options_.cluster && seal.place.cluster != *options_.cluster) ||
                           (topic_ && seal.place.topic != *topic_) ||
                           (options_.partition && seal.place.partition != *options_.partition);
    if (elsewhere) {
        report(whole_file(path, "seal_place",
                          fmt::format("it seals topic id {} partition {} of cluster {}", seal.place.topic.to_string(),
                                      seal.place.partition, seal.place.cluster.to_string())));
    }
    // Compaction may have taken the last records, and leaves the end where it was.
    const bool beyond = seal.origin == SealOrigin::rewrite ? log_end_ > seal.end : log_end_ != seal.end;
    if (!log_damaged_ && beyond) {
        report(whole_file(path, "seal_end",
                          fmt::format("it ends at offset {}, the segment at {}", seal.end.value, log_end_.value)));
    }
    const std::string log_path = path_of(segment.base, SegmentFile::log);
    auto file = disk_.open(log_path, {});
    if (!file) { return; }  // said already
    const auto verdict = verify_seal(disk_, **file, seal);
    if (!verdict) { return report(log_path, "io", verdict.error()); }
    for (const SealFault& fault : verdict->faults) {
        const char* what = fault.kind == SealFault::Kind::piece ? "seal_piece" : "seal_length";
        report({.path = log_path,
                .what = what,
                .begin = fault.begin,
                .end = fault.end,
                .offset_begin = Offset{},
                .offset_end = Offset{},
                .detail = "not the bytes that were sealed"});
    }
    if (!verdict->content_matches) {
        report(whole_file(log_path, "seal_content", "its SHA-256 is not the sealed one"));
    }
}

void Verifier::check_chain(const std::string& path, const Seal& seal) {
    if (!seal.chain) {
        if (last_seal_ && last_seal_->chain) {
            report(whole_file(path, "chain_broken", "the seal before it is chained, this one is not"));
        }
        return;
    }
    if (options_.chain_head) {
        const auto& replaced = seal.chain->replaced;
        chain_head_found_ = chain_head_found_ || seal.head() == *options_.chain_head ||
                            std::ranges::find(replaced, *options_.chain_head) != replaced.end();
    }
    if (options_.only || first_segment_) { return; }  // what came before has been trimmed, or was not asked for
    const Sha256& previous = seal.chain->previous;
    if (!last_seal_ || !last_seal_->chain) {
        if (previous != Sha256{}) { report(whole_file(path, "chain_broken", "the seal it continues is not there")); }
        return;
    }
    const auto& replaced = last_seal_->chain->replaced;
    if (previous != last_seal_->head() && std::ranges::find(replaced, previous) == replaced.end()) {
        report(whole_file(path, "chain_broken", "it does not continue the seal before it"));
    }
}

void Verifier::check_snapshot(Offset offset) {
    const auto entries = read_producer_snapshot(disk_, directory_, offset);
    if (!entries) { report(path_of(offset, SegmentFile::snapshot), "snapshot_corrupt", entries.error()); }
}

void Verifier::check_transaction_index(Offset base) {
    const std::string path = path_of(base, SegmentFile::transaction_index);
    const auto content = read_file(disk_, path, index_file_bytes_max);
    if (!content) { return report(path, "transaction_index_entry", content.error()); }
    const auto fault = [&](uint64_t begin, const char* why) {
        report({.path = path,
                .what = "transaction_index_entry",
                .begin = BytePos{static_cast<int64_t>(begin)},
                .end = BytePos{static_cast<int64_t>(
                    std::min<uint64_t>(begin + transaction_index_entry_bytes, content->size()))},
                .offset_begin = Offset{},
                .offset_end = Offset{},
                .detail = why});
    };
    ByteReader reader(*content);
    int64_t last_before = -1;
    for (uint64_t at = 0; at < content->size(); at += transaction_index_entry_bytes) {
        const auto version = reader.be<int16_t>();
        reader.skip(8);  // producer id
        const auto first = reader.be<int64_t>();
        const auto last = reader.be<int64_t>();
        const auto stable = reader.be<int64_t>();
        if (reader.failed()) { return fault(at, "half an entry"); }
        if (version != 0) { return fault(at, "not version 0"); }
        if (first < 0 || last < first || last <= last_before || stable < 0) {
            fault(at, "offsets contradict each other");
        }
        last_before = last;
    }
}

}  // namespace

VerifyCounts& VerifyCounts::operator+=(const VerifyCounts& other) {
    segments += other.segments;
    sealed += other.sealed;
    batches += other.batches;
    records += other.records;
    bytes += other.bytes;
    faults += other.faults;
    return *this;
}

Result<VerifyCounts> verify_partition(Disk& disk, const std::string& directory, const VerifyOptions& options,
                                      const FaultSink& sink) {
    return Verifier(disk, directory, options, sink).run();
}

Result<VerifyCounts> verify_log_file(Disk& disk, const std::string& path, const VerifyOptions& options,
                                     const FaultSink& sink) {
    TRY_VOID(disk.info(path));
    Verifier verifier(disk, parent_path(path), options, sink);
    verifier.check_log(path, Offset{0}, Offset{INT64_MAX}, /*active=*/true);
    return verifier.counts();
}

Result<SegmentSummary> summarize_log(Disk& disk, const std::string& path, Offset base) {
    TRY(const auto file, disk.open(path, {}));
    SegmentScanner scanner(disk, *file, {.offset = base, .crc = false, .batch_bytes_max = verify_batch_bytes_max});
    SegmentSummary summary;
    summary.base = base;
    std::vector<std::byte> scratch;
    while (true) {
        TRY(const auto scanned, scanner.next());
        if (!scanned) { break; }
        const BatchView& batch = scanned->batch;
        if (summary.batches == 0) { summary.first_timestamp_ms = batch.base_timestamp_ms(); }
        ++summary.batches;
        summary.records += static_cast<uint64_t>(batch.record_count());
        summary.max_timestamp_ms = std::max(summary.max_timestamp_ms, batch.max_timestamp_ms());
        summary.uncompressed_bytes += batch.size();
        if (batch.codec_id() == 0) { continue; }
        const auto codec = static_cast<Codec>(batch.codec_id());
        if (decompress(codec, batch.encoded_records(), decompressed_batch_bytes_max, scratch)) {
            summary.uncompressed_bytes += scratch.size() - batch.encoded_records().size();
        }
    }
    summary.end = scanner.next_offset();
    summary.bytes = static_cast<uint64_t>(scanner.end().value);
    summary.damaged = scanner.fault() != ScanFault::none;
    return summary;
}

}  // namespace flowstone
