#include "storage/checkpoint.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/buffer.h"
#include "storage/limits.h"
#include "storage/mutants.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr std::string_view name_prefix = "flowstone-checkpoint-";
constexpr uint64_t magic = 0x31'54'50'4b'43'57'4c'46;  // "FLWCKPT1" as little-endian bytes
constexpr uint32_t format_version = 1;
constexpr size_t head_bytes = 32;  // magic, version, flags, body length, sum of head and body
constexpr uint32_t seal_pieces_bound = 1u << 20;

uint64_t slot_of(uint64_t number) { return mutated(Mutant::slot_alternation) ? 0 : number & 1; }

std::string slot_path(const std::string& directory, uint64_t number) {
    return join_path(directory, fmt::format("{}{}", name_prefix, slot_of(number)));
}

void put(ByteWriter& out, const Uuid& id) { out.bytes(id.bytes); }
Uuid get_id(ByteReader& in) {
    Uuid id;
    const Bytes bytes = in.bytes(id.bytes.size());
    if (!bytes.empty()) { std::memcpy(id.bytes.data(), bytes.data(), bytes.size()); }
    return id;
}

void put(ByteWriter& out, const SegmentIndex::State& state) {
    out.le<uint32_t>(state.entries);
    out.le<uint32_t>(state.time_entries);
    out.le<int64_t>(state.last_entry_at.value);
    out.le<int64_t>(state.last_entry_timestamp_ms);
    out.le<int64_t>(state.timestamp_ms_max);
    out.le<int64_t>(state.timestamp_offset_max.value);
}
SegmentIndex::State get_index(ByteReader& in) {
    SegmentIndex::State state;
    state.entries = in.le<uint32_t>();
    state.time_entries = in.le<uint32_t>();
    state.last_entry_at = {in.le<int64_t>()};
    state.last_entry_timestamp_ms = in.le<int64_t>();
    state.timestamp_ms_max = in.le<int64_t>();
    state.timestamp_offset_max = {in.le<int64_t>()};
    return state;
}

void put(ByteWriter& out, const PartitionCheckpoint& partition) {
    put(out, partition.topic_id);
    out.le<int32_t>(partition.partition);
    out.le<int64_t>(partition.segment_base.value);
    out.le<uint64_t>(partition.synced_bytes);
    out.le<int64_t>(partition.log_start.value);
    out.le<uint64_t>(partition.boundary);
    out.le<int64_t>(partition.boundary_offset.value);
    out.le<int64_t>(partition.producers_end.value);
    out.le<int64_t>(partition.compacted_end.value);
    put(out, partition.index);
    out.le<uint32_t>(static_cast<uint32_t>(partition.seal_pieces.size()));
    for (const Hash128& piece : partition.seal_pieces) { out.bytes(piece.bytes); }
    out.le<uint32_t>(static_cast<uint32_t>(partition.epochs.size()));
    for (const EpochStart& epoch : partition.epochs) {
        out.le<int32_t>(static_cast<int32_t>(epoch.epoch.value));
        out.le<int64_t>(epoch.start.value);
    }
    out.le<uint32_t>(static_cast<uint32_t>(partition.producers.size()));
    out.bytes(partition.producers);
}

// Only in slots that have any, behind everything else.
void put_lost(ByteWriter& out, const std::vector<PartitionCheckpoint>& partitions) {
    const auto count = std::ranges::count_if(partitions, [](const auto& one) { return one.lost.has_value(); });
    if (count == 0) { return; }
    out.le<uint32_t>(static_cast<uint32_t>(count));
    for (const PartitionCheckpoint& partition : partitions) {
        if (!partition.lost) { continue; }
        put(out, partition.topic_id);
        out.le<int32_t>(partition.partition);
        out.le<int64_t>(partition.lost->begin.value);
        out.le<int64_t>(partition.lost->end.value);
        out.le<uint64_t>(partition.lost->commit);
        out.le<uint32_t>(partition.lost->shard);
        out.le<int64_t>(partition.lost->segment_base.value);
        out.le<int64_t>(partition.lost->position.value);
        out.le<uint32_t>(partition.lost->inside ? 1 : 0);
    }
}

bool get_lost(ByteReader& in, std::vector<PartitionCheckpoint>& partitions) {
    const auto count = in.le<uint32_t>();
    for (uint32_t i = 0; i < count && !in.failed(); ++i) {
        const Uuid topic = get_id(in);
        const auto number = in.le<int32_t>();
        LostRange lost;
        lost.begin = {in.le<int64_t>()};
        lost.end = {in.le<int64_t>()};
        lost.commit = in.le<uint64_t>();
        lost.shard = in.le<uint32_t>();
        lost.segment_base = {in.le<int64_t>()};
        lost.position = {in.le<int64_t>()};
        lost.inside = in.le<uint32_t>() != 0;
        const auto partition = std::ranges::find_if(partitions, [&](const PartitionCheckpoint& one) {
            return one.topic_id == topic && one.partition == number;
        });
        const bool in_range =
            lost.begin.value >= 0 && lost.end >= lost.begin && lost.segment_base.value >= 0 && lost.position.value >= 0;
        if (partition == partitions.end() || !in_range) { return false; }
        partition->lost = lost;
    }
    return count > 0 && !in.failed();
}

// A sum only says that nothing changed since it was taken.
bool in_range(const PartitionCheckpoint& partition) {
    const auto from_zero = [](Offset offset) { return offset.value >= 0; };
    return partition.partition >= 0 && from_zero(partition.segment_base) &&
           partition.boundary_offset >= partition.segment_base && from_zero(partition.log_start) &&
           from_zero(partition.producers_end) && from_zero(partition.compacted_end) &&
           partition.boundary <= partition.synced_bytes && partition.synced_bytes <= segment_bytes_limit &&
           std::ranges::all_of(partition.epochs, from_zero, &EpochStart::start);
}

bool get(ByteReader& in, PartitionCheckpoint& partition) {
    partition.topic_id = get_id(in);
    partition.partition = in.le<int32_t>();
    partition.segment_base = {in.le<int64_t>()};
    partition.synced_bytes = in.le<uint64_t>();
    partition.log_start = {in.le<int64_t>()};
    partition.boundary = in.le<uint64_t>();
    partition.boundary_offset = {in.le<int64_t>()};
    partition.producers_end = {in.le<int64_t>()};
    partition.compacted_end = {in.le<int64_t>()};
    partition.index = get_index(in);
    const auto pieces = in.le<uint32_t>();
    if (pieces > seal_pieces_bound || size_t{pieces} * sizeof(Hash128) > in.remaining()) { return false; }
    for (uint32_t i = 0; i < pieces; ++i) {
        const Bytes hash = in.bytes(sizeof(Hash128));
        std::memcpy(partition.seal_pieces.emplace_back().bytes.data(), hash.data(), hash.size());
    }
    const auto epochs = in.le<uint32_t>();
    if (epochs > leader_epochs_max || size_t{epochs} * 12 > in.remaining()) { return false; }
    for (uint32_t i = 0; i < epochs; ++i) {
        const Epoch epoch{in.le<int32_t>()};
        partition.epochs.push_back({epoch, {in.le<int64_t>()}});
    }
    const Bytes producers = in.bytes(in.le<uint32_t>());
    partition.producers.assign(producers.begin(), producers.end());
    return !in.failed() && in_range(partition);
}

}  // namespace

bool is_checkpoint_file(const std::string& name) { return name.starts_with(name_prefix); }

std::vector<std::byte> encode_checkpoint(const Checkpoint& checkpoint) {
    ByteWriter out;
    std::byte head[head_bytes] = {};
    out.bytes(head);
    out.le<uint64_t>(checkpoint.number);
    put(out, checkpoint.cluster);
    out.le<uint32_t>(checkpoint.generation);
    out.le<uint32_t>(checkpoint.clean ? 1 : 0);
    out.le<int64_t>(checkpoint.wall_ms);
    out.le<uint32_t>(static_cast<uint32_t>(checkpoint.rings.size()));
    for (const RingCheckpoint& ring : checkpoint.rings) {
        put(out, ring.ring);
        out.le<uint32_t>(ring.shard);
        out.le<uint32_t>(ring.prior_known ? 1 : 0);
        out.le<uint64_t>(ring.first_sequence);
        out.le<uint64_t>(ring.prior_sum);
    }
    out.le<uint32_t>(static_cast<uint32_t>(checkpoint.partitions.size()));
    for (const PartitionCheckpoint& partition : checkpoint.partitions) { put(out, partition); }
    put_lost(out, checkpoint.partitions);

    std::byte* to = out.data();
    store_le<uint64_t>(to, magic);
    store_le<uint32_t>(to + 8, format_version);
    store_le<uint64_t>(to + 16, out.size());
    store_le<uint64_t>(to + 24, xxh3_64(out.view().subspan(head_bytes), out.size()));
    return out.take();
}

Result<Checkpoint> decode_checkpoint(Bytes bytes) {
    const auto damaged = [] { return fail(Code::corrupt, "checkpoint.read"); };
    if (bytes.size() < head_bytes || load_le<uint64_t>(bytes.data()) != magic) { return damaged(); }
    const uint64_t size = load_le<uint64_t>(bytes.data() + 16);
    if (load_le<uint32_t>(bytes.data() + 12) != 0 || size < head_bytes || size > bytes.size()) { return damaged(); }
    if (load_le<uint64_t>(bytes.data() + 24) != xxh3_64(bytes.subspan(head_bytes, size - head_bytes), size) &&
        !mutated(Mutant::slot_sum)) {
        return damaged();
    }
    if (load_le<uint32_t>(bytes.data() + 8) != format_version) {
        return fail(Code::unsupported, "checkpoint.read",
                    fmt::format("format version {}, this release knows {}", load_le<uint32_t>(bytes.data() + 8),
                                format_version));
    }
    ByteReader in(bytes.subspan(head_bytes, size - head_bytes));
    Checkpoint out;
    out.number = in.le<uint64_t>();
    out.cluster = get_id(in);
    out.generation = in.le<uint32_t>();
    out.clean = in.le<uint32_t>() != 0;
    out.wall_ms = in.le<int64_t>();
    const auto rings = in.le<uint32_t>();
    for (uint32_t i = 0; i < rings && !in.failed(); ++i) {
        RingCheckpoint& ring = out.rings.emplace_back();
        ring.ring = get_id(in);
        ring.shard = in.le<uint32_t>();
        ring.prior_known = in.le<uint32_t>() != 0;
        ring.first_sequence = in.le<uint64_t>();
        ring.prior_sum = in.le<uint64_t>();
    }
    const auto partitions = in.le<uint32_t>();
    for (uint32_t i = 0; i < partitions; ++i) {
        if (!get(in, out.partitions.emplace_back())) { return damaged(); }
    }
    if (!in.failed() && in.remaining() > 0 && !get_lost(in, out.partitions)) { return damaged(); }
    if (in.failed() || in.remaining() != 0) { return damaged(); }
    return out;
}

Result<CheckpointRead> read_checkpoint(Disk& disk, const std::string& directory) {
    CheckpointRead out;
    for (uint64_t slot = 0; slot < 2; ++slot) {
        auto bytes = read_file(disk, slot_path(directory, slot), checkpoint_bytes_max);
        if (!bytes) {
            if (bytes.error().code == Code::not_found) { continue; }
            return std::unexpected(bytes.error());
        }
        if (bytes->empty()) { continue; }  // made, and the power went before its first write
        out.any_slot = true;
        auto decoded = decode_checkpoint(*bytes);
        if (!decoded || slot_of(decoded->number) != slot_of(slot)) {
            if (!decoded && decoded.error().code == Code::unsupported) {
                return std::unexpected(decoded.error().with_detail(
                    fmt::format("{} has {}", slot_path(directory, slot), decoded.error().detail)));
            }
            out.slot_damaged = true;
            continue;
        }
        if (!out.newest || decoded->number > out.newest->number) {
            out.older_number = out.newest ? out.newest->number : 0;
            out.newest = std::move(*decoded);
        } else {
            out.older_number = decoded->number;
        }
    }
    return out;
}

Result<uint64_t> claimed_checkpoint_number(Disk& disk, const std::string& directory) {
    uint64_t number = 0;
    for (uint64_t slot = 0; slot < 2; ++slot) {
        auto file = disk.open(slot_path(directory, slot), {});
        if (!file) {
            if (file.error().code == Code::not_found) { continue; }
            return std::unexpected(file.error());
        }
        std::byte head[head_bytes + sizeof(uint64_t)] = {};
        TRY(const uint64_t got, read_at(disk, **file, BytePos{0}, head));
        if (got == sizeof(head) && load_le<uint64_t>(head) == magic) {
            number = std::max(number, load_le<uint64_t>(head + head_bytes));
        }
    }
    return number;
}

Result<void> write_checkpoint(Disk& disk, const std::string& directory, const Checkpoint& checkpoint) {
    const std::string path = slot_path(directory, checkpoint.number);
    auto opened = disk.open(path, {.write = true});
    bool created = false;
    if (!opened && opened.error().code == Code::not_found) {
        opened = disk.open(path, {.write = true, .create = true});
        created = true;
    }
    TRY(auto file, std::move(opened));
    const std::vector<std::byte> bytes = encode_checkpoint(checkpoint);
    TRY_VOID(write_at(disk, *file, BytePos{0}, bytes));
    if (!mutated(Mutant::slot_sync)) { TRY_VOID(sync(disk, *file)); }
    if (created && !mutated(Mutant::slot_directory)) { TRY_VOID(disk.sync_directory(directory)); }
    return {};
}

}  // namespace flowstone
