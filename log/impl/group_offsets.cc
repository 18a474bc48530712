#include "log/impl/group_offsets.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/put.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {

Result<Partition*> GroupOffsets::partition_for(std::string_view group) {
    if (group.empty() || group.size() > group_name_bytes_max) {
        return fail(Code::invalid, "group.commit", fmt::format("a group name of {} bytes", group.size()));
    }
    auto table = store_.find_topic(consumer_offsets_topic);
    if (!table) {
        TopicOptions options{.partitions = consumer_offsets_partitions_default,
                             .configs = {{"cleanup.policy", "compact"}, {"segment.bytes", "104857600"}},
                             .exists_ok = true};
        TRY(table, store_.create_topic(consumer_offsets_topic, {.options = options, .internal = true}));
    }
    return ready_partition(store_, *table, partition_for_group(group, table->count));
}

Result<std::vector<GroupRecord>> GroupOffsets::encode_commit(std::string_view group,
                                                             std::span<const GroupOffset> offsets) {
    std::vector<GroupRecord> out;
    for (const GroupOffset& offset : offsets) {
        const auto table = store_.find_topic(offset.topic);
        if (!table) { return fail(Code::not_found, "group.commit", fmt::format("topic {}", offset.topic)); }
        if (offset.partition < 0 || offset.partition >= table->count) {
            return fail(Code::out_of_range, "group.commit",
                        fmt::format("partition {} of topic {}", offset.partition, offset.topic));
        }
        if (offset.offset.value < 0) {
            return fail(Code::invalid, "group.commit",
                        fmt::format("offset {} of {}-{}", offset.offset.value, offset.topic, offset.partition));
        }
        const size_t length = java_string_length(offset.metadata);
        if (length > offset_metadata_length_max_default) {
            return fail(
                Code::too_large, "group.commit",
                fmt::format("metadata of {} characters, {} are allowed", length, offset_metadata_length_max_default));
        }
        OffsetCommit commit;
        commit.offset = offset.offset;
        commit.metadata = offset.metadata;
        commit.commit_timestamp_ms = store_.now_ms();
        GroupRecord& record = out.emplace_back();
        TRY(record.key, encode(OffsetCommitKey{std::string(group), offset.topic, offset.partition}));
        TRY(record.value, encode(commit));
    }
    return out;
}

Result<void> GroupOffsets::append(std::string_view group, const std::vector<GroupRecord>& records) {
    if (records.empty()) { return {}; }
    TRY(Partition* const partition, partition_for(group));
    std::vector<Record> views;
    for (const GroupRecord& record : records) {
        views.push_back(
            {.key = as_text(record.key), .value = record.value ? std::optional(as_text(*record.value)) : std::nullopt});
    }
    Guard guard(partition->shard().lock());
    TRY_VOID(partition->shard().admit(guard, partition));
    partition->close_batch(store_.engine().pool);
    put_records(store_, *partition, views, {}, 0, store_.now_ms());
    const Offset next = partition->closed().offset;
    return partition->shard().wait_visible(guard, *partition, next);
}

Result<void> GroupOffsets::commit(std::string_view group, std::span<const GroupOffset> offsets) {
    TRY(const auto records, encode_commit(group, offsets));
    return append(group, records);
}

// The table is a reader of its partition: it knows what is durable, and nothing before that.
Result<GroupOffsets::Part*> GroupOffsets::caught_up(int32_t number) {
    const auto topic = store_.find_topic(consumer_offsets_topic);
    if (!topic || number >= topic->count) { return nullptr; }
    Part& part = parts_[number];
    if (!part.cursor) {
        TRY(Partition* const partition, store_.partition(*topic, number));
        part.cursor.emplace(store_, *partition);
        TRY_VOID(part.cursor->seek(partition->log_start()));
    }
    std::vector<std::byte> scratch;
    for (;;) {
        TRY(const auto batch, part.cursor->next());
        if (!batch) { return &part; }
        if (batch->control()) { continue; }
        TRY(auto records, RecordCursor::open(*batch, scratch));
        for (;;) {
            TRY(const auto record, records.next());
            if (!record) { break; }
            if (auto applied = part.table.apply(*record); !applied && applied.error().code != Code::unsupported) {
                return std::unexpected(applied.error());
            }
        }
    }
}

Result<GroupOffsets::Known> GroupOffsets::known(std::string_view group, std::span<const OffsetMove> moves) {
    TRY(Partition* const partition, partition_for(group));
    Known known;
    {
        const Guard guard(partition->shard().lock());
        known.end = partition->visible().offset;
    }
    std::lock_guard guard(lock_);
    TRY(const Part* const part, caught_up(partition->identity().number));
    for (const OffsetMove& move : moves) {
        const OffsetCommit* const found =
            part == nullptr ? nullptr : part->table.find(group, move.topic, move.partition);
        known.offsets.push_back(found == nullptr ? std::nullopt : std::optional(found->offset));
    }
    // What was compacted away at the end counts as read.
    if (part != nullptr) { known.end = std::max(known.end, part->cursor->next_offset()); }
    return known;
}

Result<bool> GroupOffsets::compare(const Partition& partition, std::string_view group,
                                   std::span<const OffsetMove> moves, const Known& known, Offset end) {
    std::vector<std::optional<Offset>> offsets = known.offsets;
    Offset seen = known.end;
    {
        const std::lock_guard guard(moved_lock_);
        for (const Moved& moved : moved_[&partition]) {
            if (moved.end <= known.end) { continue; }
            if (moved.base != seen) { return false; }
            seen = moved.end;
            if (moved.group != group) { continue; }
            for (const OffsetMove& other : moved.moves) {
                for (size_t i = 0; i < moves.size(); ++i) {
                    const bool same = moves[i].topic == other.topic && moves[i].partition == other.partition;
                    if (same) { offsets[i] = other.to; }
                }
            }
        }
    }
    if (seen != end) { return false; }
    const auto text = [](const std::optional<Offset>& offset) {
        return offset ? fmt::format("at offset {}", offset->value) : std::string("nowhere");
    };
    for (size_t i = 0; i < moves.size(); ++i) {
        if (offsets[i] == moves[i].from) { continue; }
        return fail(Code::stale_epoch, "log.append_step",
                    fmt::format("group {} is {} in {}-{}, not {}", group, text(offsets[i]), moves[i].topic,
                                moves[i].partition, text(moves[i].from)));
    }
    return true;
}

void GroupOffsets::moved(const Partition& partition, std::string_view group, std::span<const OffsetMove> moves,
                         const Known& known, Offset base, Offset end) {
    const std::lock_guard guard(moved_lock_);
    std::deque<Moved>& all = moved_[&partition];
    while (!all.empty() && all.front().end <= known.end) { all.pop_front(); }
    all.push_back({base, end, std::string(group), {moves.begin(), moves.end()}});
}

Result<std::vector<GroupOffset>> GroupOffsets::fetch(std::string_view group) {
    std::lock_guard guard(lock_);
    const auto topic = store_.find_topic(consumer_offsets_topic);
    if (!topic) { return std::vector<GroupOffset>{}; }
    TRY(Part* const part, caught_up(partition_for_group(group, topic->count)));
    std::vector<GroupOffset> out;
    if (part == nullptr) { return out; }
    for (const auto& [partition, commit] : part->table.offsets(group)) {
        out.push_back({partition.topic, partition.partition, commit.offset, commit.metadata});
    }
    return out;
}

std::vector<std::string> GroupOffsets::groups() {
    std::lock_guard guard(lock_);
    std::vector<std::string> out;
    const auto topic = store_.find_topic(consumer_offsets_topic);
    for (int32_t i = 0; topic && i < topic->count; ++i) {
        const auto part = caught_up(i);
        if (!part || *part == nullptr) { continue; }
        for (std::string& group : (*part)->table.groups()) { out.push_back(std::move(group)); }
    }
    std::ranges::sort(out);
    return out;
}

// Its state goes with its offsets, as in Kafka's DeleteGroups.
Result<void> GroupOffsets::remove(std::string_view group) {
    std::vector<GroupRecord> records;
    {
        std::lock_guard guard(lock_);
        const auto topic = store_.find_topic(consumer_offsets_topic);
        Part* part = nullptr;
        if (topic) { TRY(part, caught_up(partition_for_group(group, topic->count))); }
        if (part != nullptr) {
            for (const auto& [at, commit] : part->table.offsets(group)) {
                TRY(records.emplace_back().key, encode(OffsetCommitKey{std::string(group), at.topic, at.partition}));
            }
            if (part->table.group_metadata(group) != nullptr) {
                TRY(records.emplace_back().key, encode(GroupMetadataKey{std::string(group)}));
            }
        }
    }
    if (records.empty()) { return fail(Code::not_found, "group.delete", fmt::format("group {}", group)); }
    return append(group, records);
}

}  // namespace flowstone
