// What a commit takes along, how it is written, and what is true once it is there.
#include <algorithm>

#include "log/impl/shard.h"
#include "log/impl/tail_sharing.h"
#include "storage/check.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {

size_t Shard::cost(const Run& run) const {
    size_t bytes = 0;
    const uint64_t payload =
        run.direct ? direct_payload_bytes + (run.range.end - run.direct_end) : run.range.end - run.range.begin;
    if (run.range.kind == EntryKind::batches) { bytes += CommitWriter::entry_bytes(payload); }
    if (run.range.kind == EntryKind::carry) { bytes += CommitWriter::entry_bytes(run.range.end - run.range.begin); }
    if (run.range.kind != EntryKind::batches && run.range.kind != EntryKind::carry) {
        size_t said = run.range.kind == EntryKind::skip ? skip_payload_bytes : 0;
        if (run.range.kind == EntryKind::swap) { said = run.range.partition->swap_text.size(); }
        if (run.range.kind == EntryKind::truncate) { said = run.range.partition->truncation.fragment.size(); }
        bytes += CommitWriter::entry_bytes(said);
    }
    if (run.carry) { bytes += CommitWriter::entry_bytes(run.range.begin - run.carry_begin); }
    return bytes;
}

// Takes ranges from the front of the queue while they fit into one commit; groups whole or not at all.
void Shard::plan_runs(Plan& out) {
    const size_t budget = commit_bytes_max - commit_header_bytes - prior_places_.size() * commit_place_bytes;
    size_t total = 0;
    size_t taken = 0;
    while (taken < queue_.size()) {
        size_t count = 1;
        size_t bytes = 0;
        const uint32_t group = queue_[taken].group;
        while (group != 0 && taken + count < queue_.size() && queue_[taken + count].group == group) { ++count; }
        for (size_t i = taken; i < taken + count; ++i) {
            uint64_t size = queue_[i].kind == EntryKind::roll ? 0 : queue_[i].end - queue_[i].begin;
            if (queue_[i].kind == EntryKind::swap) { size = queue_[i].partition->swap_text.size(); }
            const bool block = queue_[i].kind == EntryKind::carry || queue_[i].kind == EntryKind::truncate;
            if (block) { size = engine_.block_bytes; }
            if (queue_[i].kind == EntryKind::skip) { size = skip_payload_bytes; }
            bytes += CommitWriter::entry_bytes(size) +
                     (queue_[i].partition->carry_due() ? CommitWriter::entry_bytes(engine_.block_bytes) : 0);
        }
        if (taken > 0 && total + bytes > budget) { break; }
        total += bytes;
        for (size_t i = taken; i < taken + count; ++i) {
            const Range& range = queue_[i];
            // One says all that is known, so that what lies between two of them stays one run.
            if (range.kind == EntryKind::skip && std::ranges::any_of(out.runs, [&](const Run& run) {
                    return run.range.partition == range.partition && run.range.kind == EntryKind::skip;
                })) {
                continue;
            }
            Run* before = nullptr;
            for (auto run = out.runs.rbegin(); run != out.runs.rend(); ++run) {
                if (run->range.partition == range.partition) {
                    before = &*run;
                    break;
                }
                if (run - out.runs.rbegin() > 16) { break; }  // with many partitions a run rarely has a second range
            }
            if (before != nullptr && before->range.kind == EntryKind::batches && range.kind == EntryKind::batches &&
                before->range.end == range.begin) {
                before->range.end = range.end;
                before->grouped = before->grouped || group != 0;
                before->range.next_offset = range.next_offset;
            } else {
                out.runs.push_back({.range = range, .grouped = group != 0});
            }
        }
        taken += count;
    }
    out.ranges = taken;
}

// Large writes go to the segment once and leave only place and sum in the journal (JOURNAL 2.3).
void Shard::plan_direct(Run& run) {
    Partition& partition = *run.range.partition;
    // A direct write whose commit never came is kept by the next opening, without the rest of its group.
    if (run.grouped || run.range.kind != EntryKind::batches || partition.durability() != Durability::durable ||
        partition.carry_due_at(run.range.begin) || partition.hooks.filling) {
        return;
    }
    const bool oversize = CommitWriter::entry_bytes(run.range.end - run.range.begin) > commit_bytes_max / 2;
    // Who waits to fill, such as the end of a finished segment, would never get at the files of a partition that is
    // written directly by one commit after the other. What the journal cannot hold does not wait: see fill_behind().
    if (partition.hooks.in_stream_list && !oversize) { return; }
    const OpenSegment& segment = partition.segment_of(run.range.begin);
    const uint64_t filled = partition.filled_from(segment.begin);
    if (filled > run.range.begin || (run.range.begin - filled > direct_backlog_bytes_max && !oversize)) { return; }
    const uint64_t begin = align_down(filled, engine_.block_bytes);
    const uint64_t end = align_down(run.range.end, engine_.block_bytes);
    if (end <= run.range.begin || (end - begin < engine_.direct_bytes_min && !oversize)) { return; }
    run.direct = true;
    run.sync_first = segment.unsynced;
    run.direct_begin = begin;
    run.direct_end = end;
}

// A fragment is repeated as it is now, in front of what its partition commits with it: replay meets the bytes in their
// order, and no commit before this one is needed for what no file has. One that was completed since it was queued is not
// repeated; where it is not filled yet, its commits stay needed.
void Shard::plan_carries(Plan& out) {
    const auto is_carry = [](const Run& run) { return run.range.kind == EntryKind::carry; };
    if (std::ranges::none_of(out.runs, is_carry)) { return; }
    std::erase_if(out.runs, [&](const Run& run) {
        const Partition& partition = *run.range.partition;
        if (run.range.kind != EntryKind::carry || partition.carry_queued) { return false; }
        const uint64_t end = run.range.begin + engine_.block_bytes;
        return partition.filled_from(0) >= end || partition.visible().at > end;
    });
    for (Run& run : out.runs) {
        if (run.range.kind != EntryKind::carry || run.range.partition->carry_queued) { continue; }
        const Mark& visible = run.range.partition->visible();
        run.range.end = visible.at;
        run.range.base_offset = run.range.next_offset = visible.offset;
    }
    std::vector<Run> in_order;
    std::ranges::copy_if(out.runs, std::back_inserter(in_order), is_carry);
    std::ranges::copy_if(out.runs, std::back_inserter(in_order), std::not_fn(is_carry));
    out.runs = std::move(in_order);
}

bool Shard::plan(Plan& out) {
    if (queued_bytes_ < commit_bytes_max) { close_open_batches(); }
    plan_runs(out);
    size_t bytes = commit_header_bytes + prior_places_.size() * commit_place_bytes;
    plan_carries(out);
    for (Run& run : out.runs) {
        Partition& partition = *run.range.partition;
        run.level = partition.durability();
        run.segment = &partition.segment_of(run.range.begin);
        run.segment_base = run.segment->base;
        run.position = run.segment->in_file(run.range.begin);
        run.missing_below = partition.compacted_end;
        if (run.range.kind == EntryKind::truncate) {
            run.segment_base = partition.truncation.segment_base;
            run.position = partition.truncation.position;
        }
        const bool durable = run.level == Durability::durable;
        plan_direct(run);
        // Bytes of a `written` topic go to its file now.
        if (run.level == Durability::written && run.range.kind == EntryKind::batches && partition.hooks.filling) {
            out.blocked = true;
            return true;
        }
        if (run.range.kind == EntryKind::batches && partition.carry_due_at(run.range.begin)) {
            run.carry = true;
            run.carry_begin = align_down(run.range.begin, engine_.block_bytes);
        }
        const bool bytes_run = run.range.kind == EntryKind::batches || run.range.kind == EntryKind::carry;
        const bool shape = !bytes_run && (durable || run.range.kind != EntryKind::roll);
        if (!shape && !(bytes_run && (durable || run.range.kind == EntryKind::carry)) && !run.carry) { continue; }
        out.journaled = true;
        bytes += durable || run.range.kind != EntryKind::batches
                     ? cost(run)
                     : CommitWriter::entry_bytes(run.range.begin - run.carry_begin);
    }
    if (bytes > commit_bytes_max) {
        // One batch that only a direct write can carry, but whose block the journal must hold first: the carry alone.
        CHECK(out.runs.size() == 1 && (out.runs[0].carry || out.runs[0].range.partition->hooks.filling));
        out.ranges = 0;
        Run& run = out.runs[0];
        if (!run.carry) {
            out.blocked = true;
            return true;
        }
        run.position = run.segment->in_file(run.carry_begin);
        run.range.kind = EntryKind::carry;
        run.range.end = run.range.begin;
        run.range.begin = run.carry_begin;
        run.range.next_offset = run.range.base_offset;
        run.carry = false;
        bytes = commit_header_bytes + prior_places_.size() * commit_place_bytes + cost(run);
    }
    if (out.journaled) {
        out.place = journal_->take(bytes);
        if (!out.place) { return false; }
    }
    out.journal_bytes = bytes;
    for (Run& run : out.runs) {
        Partition& partition = *run.range.partition;
        if (run.range.kind == EntryKind::batches || run.range.kind == EntryKind::carry) {
            partition.pieces(run.range.begin, run.range.end, Partition::Cut::batches, run.pieces, out.pins);
        }
        if (run.range.kind == EntryKind::swap) { run.pieces.push_back(as_bytes(partition.swap_text)); }
        if (run.range.kind == EntryKind::truncate) { run.pieces.emplace_back(partition.truncation.fragment); }
        if (run.carry) {
            partition.pieces(run.carry_begin, run.range.begin, Partition::Cut::batches, run.carry_pieces, out.pins);
        }
        if (run.direct) {
            partition.pieces(run.direct_begin, run.direct_end, Partition::Cut::blocks, run.direct_pieces, out.pins);
        }
        // Never less than it carries: who believes to be carried by the next commit sleeps until there is one.
        partition.hooks.committing_to =
            std::max(partition.hooks.committing_to, static_cast<uint64_t>(run.range.next_offset.value));
        if (run.direct || run.level == Durability::written) { partition.hooks.writing = true; }
    }
    if (out.ranges > 0) { commit_first_range_ = queue_.front().number; }
    for (size_t i = 0; i < out.ranges; ++i) {
        queued_bytes_ -= queue_.front().end - queue_.front().begin;
        out.taken.push_back(queue_.front());
        queue_.pop_front();
    }
    return true;
}

Result<void> Shard::perform(Plan& now) {
    TRY_VOID(write_segments(now, true));
    if (now.journaled) { TRY_VOID(write_commit(now)); }
    // Last, because they may write a block again that the journal has to hold first.
    return write_segments(now, false);
}

// What must be in the segments before the journal may speak of it (`direct`), or the writes of `written` topics.
Result<void> Shard::write_segments(Plan& now, bool direct) {
    std::vector<Write> writes;
    for (Run& run : now.runs) {
        Partition& partition = *run.range.partition;
        if (run.range.kind != EntryKind::batches) { continue; }
        if (direct ? !run.direct : run.level != Durability::written) { continue; }
        const uint64_t begin = run.direct ? run.direct_begin : run.range.begin;
        const uint64_t end = run.direct ? run.direct_end : run.range.end;
        Write write{run.segment, &partition, begin, end, {}, run.direct};
        for (const Bytes& piece : run.direct ? run.direct_pieces : run.pieces) {
            write.pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
        }
        writes.push_back(std::move(write));
    }
    if (writes.empty()) { return {}; }
    for (size_t begin = 0; begin < writes.size(); begin += files_at_once) {
        TRY_VOID(run_writes(std::span(writes).subspan(begin, std::min(files_at_once, writes.size() - begin))));
    }
    // Replay of a direct write takes all before it from the file: what a fill brought there must be as durable.
    for (const Run& run : now.runs) {
        if (!direct || !run.sync_first || mutated(Mutant::direct_fill_sync)) { continue; }
        TRY(const auto file, engine_.segment_file(*run.range.partition, *run.segment));
        TRY_VOID(sync(engine_.disk, *file));
    }
    // The journal is about to speak of these files: their names must be as durable as their bytes.
    for (const Write& write : writes) {
        if (direct && write.segment->names_unsynced && !mutated(Mutant::direct_names)) {
            TRY_VOID(engine_.sync_names(*write.partition, *write.segment));
        }
    }
    return {};
}

// Space ahead in growing steps, so that a large file lies in few extents. Small ones take what they need.
Result<void> Shard::reserve_space(const Write& write, File& file) {
    constexpr uint64_t worth_it = 256u << 10;
    constexpr uint64_t step_max = 64u << 20;
    OpenSegment& segment = *write.segment;
    const uint64_t end = align_up(static_cast<uint64_t>(segment.in_file(write.end).value), engine_.block_bytes);
    if (end < worth_it || end <= segment.allocated) { return {}; }
    const uint64_t full = align_up(static_cast<uint64_t>(write.partition->config().segment_bytes), engine_.block_bytes);
    const uint64_t until = std::max(end, std::min(full, end + std::min(end, step_max)));
    auto reserved = engine_.disk.allocate(file, segment.in_file(segment.begin + segment.allocated),
                                          segment.in_file(segment.begin + until), true);
    if (!reserved && reserved.error().code != Code::unsupported) { return reserved; }
    segment.allocated = reserved ? until : UINT64_MAX;  // where it is refused, files simply grow
    return {};
}

Result<void> Shard::run_writes(std::span<Write> writes) {
    struct Progress {
        std::shared_ptr<File> file;
        BytePos at{0};
        std::span<const iovec> pieces;  // that are still to be written
    };
    std::vector<Progress> under_way;
    for (Write& write : writes) {
        TRY(auto file, engine_.segment_file(*write.partition, *write.segment));
        TRY_VOID(reserve_space(write, *file));
        under_way.push_back({std::move(file), write.segment->in_file(write.begin), write.pieces});
    }
    // One request for all pieces of a write, or as many as a request takes and then the next: writes that extend a file
    // must not be two in flight (research: ext4 serialises them on the inode and hands them to workers).
    for (;;) {
        std::vector<Io> requests;
        for (size_t i = 0; i < writes.size(); ++i) {
            Progress& progress = under_way[i];
            const auto now = progress.pieces.first(std::min(progress.pieces.size(), io_pieces_max));
            if (now.empty()) { continue; }
            requests.push_back({.kind = writes[i].durable && !mutated(Mutant::direct_dsync) ? Io::Kind::write_durable
                                                                                            : Io::Kind::write,
                                .file = progress.file.get(),
                                .at = progress.at,
                                .pieces = now});
            for (const iovec& piece : now) { progress.at = progress.at + piece.iov_len; }
            progress.pieces = progress.pieces.subspan(now.size());
        }
        if (requests.empty()) { return {}; }
        engine_.disk.run(requests);
        for (const Io& request : requests) {
            if (request.os_errno != 0) { return fail_errno(request.os_errno, "segment.write", request.file->path()); }
        }
    }
}

// What the journal keeps of a direct write: its length and sum, and the bytes of the block it did not finish.
std::vector<Bytes> Shard::direct_parts(const Run& run, std::byte* payload) {
    uint64_t sum = 0;
    for (const Bytes& piece : run.pieces) { sum = direct_sum(piece, false, sum).value(); }
    store_le<uint64_t>(payload, run.direct_end - run.range.begin);
    store_le<uint64_t>(payload + 8, sum);
    std::vector<Bytes> parts{Bytes(payload, direct_payload_bytes)};
    uint64_t at = run.range.begin;
    for (const Bytes& piece : run.pieces) {
        const uint64_t end = at + piece.size();
        if (end > run.direct_end) {
            parts.push_back(piece.last(std::min<uint64_t>(piece.size(), end - run.direct_end)));
        }
        at = end;
    }
    return parts;
}

Result<void> Shard::write_commit(Plan& now) {
    if (!journal_buffer_) { journal_buffer_ = engine_.pool.take(commit_bytes_max); }
    CommitWriter writer(MutableBytes(journal_buffer_->data(), commit_bytes_max), *now.place, prior_places_);
    for (const Run& run : now.runs) {
        const Range& range = run.range;
        Partition& partition = *range.partition;
        const bool durable = run.level == Durability::durable;
        const OpenSegment& segment = *run.segment;
        EntryHead head{range.kind,
                       partition.identity().topic_id,
                       partition.identity().number,
                       range.epoch,
                       run.segment_base,
                       run.position,
                       range.base_offset,
                       range.next_offset};
        if (run.carry && !mutated(Mutant::carry)) {
            EntryHead carry = head;
            carry.kind = EntryKind::carry;
            carry.position = segment.in_file(run.carry_begin);
            carry.next_offset = range.base_offset;
            writer.add(carry, run.carry_pieces);
        }
        if (range.kind == EntryKind::batches && !durable) { continue; }
        if (range.kind == EntryKind::roll) {
            if (!durable) { continue; }
            head.position = segment.in_file(range.end);
            writer.add(head, {});
            continue;
        }
        if (range.kind == EntryKind::skip) {
            std::byte payload[skip_payload_bytes];
            store_le<int64_t>(payload, run.missing_below.value);
            const Bytes pieces[] = {payload};
            writer.add(head, pieces);
            continue;
        }
        if (run.direct) {
            std::byte payload[direct_payload_bytes];
            head.kind = EntryKind::direct;
            writer.add(head, direct_parts(run, payload));
            continue;
        }
        writer.add(head, run.pieces);
    }
    now.commit = writer.finish(engine_.block_bytes);
    now.sum = writer.sum();
    now.places = writer.take_places();
    return journal_->write(*now.place, now.commit);
}

void Shard::publish(Plan& now) {
    if (now.journaled) {
        journal_->wrote(*now.place, now.commit, now.sum);
        prior_places_ = std::move(now.places);
    }
    for (Run& run : now.runs) {
        const Range& range = run.range;
        Partition& partition = *range.partition;
        const bool durable = run.level == Durability::durable;
        switch (range.kind) {
            case EntryKind::batches:
            case EntryKind::direct:
                if (durable) {
                    partition.note_commit(run.carry ? run.carry_begin : range.begin, now.place->sequence);
                    note_journaled(partition);
                }
                if (run.carry && !durable) { note_rewritten(partition, run.carry_begin, now.place->sequence); }
                if (run.carry) { partition.carried(); }
                if (run.direct) {
                    direct_bytes_ += run.direct_end - run.direct_begin;
                    note_filled(partition, run.direct_begin, run.direct_end);
                    run.segment->unsynced = false;
                }
                if (run.level == Durability::written) {
                    run.segment->unsynced = true;
                    note_filled(partition, range.begin, range.end);
                }
                partition.set_visible({range.end, range.next_offset});
                break;
            case EntryKind::carry:
                if (durable) {
                    partition.note_carried(range.begin, now.place->sequence);
                    note_journaled(partition);
                } else {
                    note_rewritten(partition, range.begin, now.place->sequence);
                }
                partition.carried();
                partition.carry_queued = false;
                break;
            case EntryKind::roll: run.segment->rolled = true; break;
            case EntryKind::trim:
                partition.note_commit(partition.closed().at, now.place->sequence);
                note_journaled(partition);
                partition.set_log_start(range.base_offset);
                if (TailSharing* const sharing = engine_.sharing) { sharing->trimmed(partition); }
                break;
            case EntryKind::skip:
                partition.note_commit(range.begin, now.place->sequence);
                note_journaled(partition);
                break;
            case EntryKind::swap:
                partition.swap_sequence = now.place->sequence;
                note_journaled(partition);
                break;
            case EntryKind::truncate: break;  // who asked for it does the rest, while nobody appends
        }
    }
    trim_tail();
}

void Shard::note_rewritten(Partition& partition, uint64_t begin, uint64_t sequence) {
    partition.rewritten = {sequence, begin + engine_.block_bytes};
    note_journaled(partition);
}

}  // namespace flowstone
