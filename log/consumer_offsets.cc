#include "log/consumer_offsets.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* operation = "consumer_offsets.decode";
constexpr char32_t replacement = 0xfffd;

// The next code point of `text`, which is shortened by it, as Java's String(bytes, UTF_8) reads it: of a malformed
// sequence the longest part that could have begun a good one counts as one U+FFFD, and so does a whole surrogate.
char32_t take_code_point(std::string_view& text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    size_t tail = 0;
    char32_t value = lead;
    unsigned char second_min = 0x80;
    unsigned char second_max = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        tail = 1;
        value = lead & 0x1fu;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        tail = 2;
        value = lead & 0x0fu;
        if (lead == 0xe0) { second_min = 0xa0; }  // shorter forms exist
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        tail = 3;
        value = lead & 0x07u;
        if (lead == 0xf0) { second_min = 0x90; }
        if (lead == 0xf4) { second_max = 0x8f; }  // above U+10FFFF
    } else if (lead >= 0x80) {
        value = replacement;
    }
    size_t used = 1;
    for (; used <= tail; ++used) {
        const unsigned char min = used == 1 ? second_min : 0x80;
        const unsigned char max = used == 1 ? second_max : 0xbf;
        if (used >= text.size() || byte(used) < min || byte(used) > max) {
            value = replacement;
            break;
        }
        value = (value << 6) | (byte(used) & 0x3fu);
    }
    text.remove_prefix(used);
    return value >= 0xd800 && value <= 0xdfff ? replacement : value;
}

// i16 length and bytes.
void put_string(ByteWriter& out, std::string_view text) {
    CHECK(text.size() <= INT16_MAX);
    out.be(static_cast<int16_t>(text.size()));
    out.text(text);
}

Result<void> check_size(const char* what, std::string_view text, size_t bytes_max) {
    if (text.size() <= bytes_max) { return {}; }
    return fail(Code::too_large, "consumer_offsets.encode",
                fmt::format("{} of {} bytes, at most {}", what, text.size(), bytes_max));
}

// Empty when the length is negative or too large.
std::optional<std::string> read_string(ByteReader& in) {
    const auto size = in.be<int16_t>();
    if (in.failed() || size < 0) { return std::nullopt; }
    const Bytes bytes = in.bytes(static_cast<uint64_t>(size));
    if (in.failed()) { return std::nullopt; }
    return std::string(as_text(bytes));
}

std::optional<std::string> read_compact_string(ByteReader& in) {
    const uint64_t size = in.unsigned_varint();
    if (in.failed() || size == 0) { return std::nullopt; }
    const Bytes bytes = in.bytes(size - 1);
    if (in.failed()) { return std::nullopt; }
    return std::string(as_text(bytes));
}

void skip_tags(ByteReader& in) {
    const uint64_t count = in.unsigned_varint();
    for (uint64_t i = 0; i < count && !in.failed(); ++i) {
        in.unsigned_varint();
        in.skip(in.unsigned_varint());
    }
}

}  // namespace

int32_t java_string_hash(std::string_view utf8) {
    uint32_t hash = 0;
    while (!utf8.empty()) {
        const char32_t point = take_code_point(utf8);
        if (point < 0x10000) {
            hash = 31 * hash + point;
        } else {  // two UTF-16 units
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            hash = 31 * hash + (0xdc00 + ((point - 0x10000) & 0x3ff));
        }
    }
    return static_cast<int32_t>(hash);
}

int32_t partition_for_group(std::string_view group, int32_t partitions) {
    CHECK(partitions > 0);
    const int32_t hash = java_string_hash(group);
    return (hash == INT32_MIN ? 0 : std::abs(hash)) % partitions;
}

Result<std::vector<std::byte>> encode(const OffsetCommitKey& key) {
    TRY_VOID(check_size("a group's name", key.group, group_name_bytes_max));
    TRY_VOID(check_size("a topic's name", key.topic, topic_name_bytes_max));
    if (key.partition < 0) {
        return fail(Code::invalid, "consumer_offsets.encode",
                    fmt::format("partition {} of {}", key.partition, key.topic));
    }
    ByteWriter out;
    out.be<int16_t>(1);
    put_string(out, key.group);
    put_string(out, key.topic);
    out.be(key.partition);
    return out.take();
}

Result<std::vector<std::byte>> encode(const OffsetCommit& commit) {
    TRY_VOID(check_size("offset metadata", commit.metadata, offset_metadata_bytes_max));
    ByteWriter out;
    out.be<int16_t>(3);
    out.be(commit.offset.value);
    out.be(commit.leader_epoch);
    put_string(out, commit.metadata);
    out.be(commit.commit_timestamp_ms);
    return out.take();
}

Result<GroupKey> decode_group_key(Bytes key) {
    ByteReader in(key);
    const auto version = in.be<int16_t>();
    if (in.failed() || version < 0) { return fail(Code::corrupt, operation, "a key without a version"); }
    if (version > 2) { return OtherGroupKey{version}; }
    auto group = read_string(in);
    if (!group) { return fail(Code::corrupt, operation, fmt::format("key version {}: the group is cut", version)); }
    if (version == 2) {
        if (in.remaining() != 0) { return fail(Code::corrupt, operation, "key version 2: bytes are left over"); }
        return GroupMetadataKey{std::move(*group)};
    }
    auto topic = read_string(in);
    const auto partition = in.be<int32_t>();
    if (!topic || in.failed() || in.remaining() != 0 || partition < 0) {
        return fail(Code::corrupt, operation, fmt::format("key version {}: fields do not add up", version));
    }
    return OffsetCommitKey{std::move(*group), std::move(*topic), partition};
}

Result<OffsetCommit> decode_offset_commit(Bytes value) {
    ByteReader in(value);
    const auto version = in.be<int16_t>();
    if (in.failed() || version < 0) { return fail(Code::corrupt, operation, "a value without a version"); }
    if (version > 4) {
        return fail(Code::unsupported, operation, fmt::format("value version {}, known up to 4", version));
    }
    OffsetCommit commit;
    commit.offset = {in.be<int64_t>()};
    if (version >= 3) { commit.leader_epoch = in.be<int32_t>(); }
    auto metadata = version >= 4 ? read_compact_string(in) : read_string(in);
    commit.commit_timestamp_ms = in.be<int64_t>();
    if (version == 1) { commit.expire_timestamp_ms = in.be<int64_t>(); }
    if (version >= 4) { skip_tags(in); }
    if (!metadata || in.failed() || in.remaining() != 0) {
        return fail(Code::corrupt, operation, fmt::format("value version {}: fields do not add up", version));
    }
    commit.metadata = std::move(*metadata);
    return commit;
}

Result<void> OffsetTable::apply(const RecordView& record) {
    if (!record.key) { return fail(Code::invalid, operation, "a record without a key"); }
    return apply(as_bytes(*record.key), record.value ? std::optional(as_bytes(*record.value)) : std::nullopt);
}

Result<void> OffsetTable::apply(Bytes key_bytes, std::optional<Bytes> value) {
    TRY(const GroupKey key, decode_group_key(key_bytes));
    if (const auto* metadata = std::get_if<GroupMetadataKey>(&key)) {
        if (value) {
            group_metadata_[metadata->group].assign(value->begin(), value->end());
        } else {
            group_metadata_.erase(metadata->group);
        }
        return {};
    }
    const auto* commit_key = std::get_if<OffsetCommitKey>(&key);
    if (commit_key == nullptr) {
        ++records_skipped_;
        return {};
    }
    const TopicPartition at{commit_key->topic, commit_key->partition};
    if (value) {
        TRY(OffsetCommit commit, decode_offset_commit(*value));
        size_ += groups_[commit_key->group].insert_or_assign(at, std::move(commit)).second ? 1 : 0;
        return {};
    }
    const auto group = groups_.find(commit_key->group);
    if (group == groups_.end()) { return {}; }
    size_ -= group->second.erase(at);
    if (group->second.empty()) { groups_.erase(group); }
    return {};
}

const OffsetCommit* OffsetTable::find(std::string_view group, std::string_view topic, int32_t partition) const {
    const TopicOffsets& all = offsets(group);
    const auto found = all.find(TopicPartition{std::string(topic), partition});
    return found == all.end() ? nullptr : &found->second;
}

const OffsetTable::TopicOffsets& OffsetTable::offsets(std::string_view group) const {
    static const TopicOffsets none;
    const auto found = groups_.find(group);
    return found == groups_.end() ? none : found->second;
}

std::vector<std::string> OffsetTable::groups() const {
    std::vector<std::string> names;
    for (const auto& [name, offsets] : groups_) { names.push_back(name); }
    for (const auto& [name, metadata] : group_metadata_) { names.push_back(name); }
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
    return names;
}

const std::vector<std::byte>* OffsetTable::group_metadata(std::string_view group) const {
    const auto found = group_metadata_.find(group);
    return found == group_metadata_.end() ? nullptr : &found->second;
}

}  // namespace flowstone
