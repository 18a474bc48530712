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

void put_nullable_string(ByteWriter& out, const std::optional<std::string>& text) {
    if (text) { return put_string(out, std::string_view(*text)); }
    out.be<int16_t>(-1);
}

void put_bytes(ByteWriter& out, Bytes bytes) {
    out.be(static_cast<int32_t>(bytes.size()));
    out.bytes(bytes);
}

// Reads fields of one version. What is missing, too long or null where it must not be sets failed().
class FieldReader {
public:
    FieldReader(ByteReader& in, bool flexible) : in_(in), flexible_(flexible) {}

    bool failed() const { return failed_ || in_.failed(); }
    std::string string() {
        auto text = nullable_string();
        if (!text) { failed_ = true; }
        return std::move(text).value_or(std::string());
    }
    std::optional<std::string> nullable_string() {
        const auto size = length<int16_t>();
        if (!size) { return std::nullopt; }
        return std::string(as_text(in_.bytes(*size)));
    }
    std::vector<std::byte> bytes() {
        const Bytes view = in_.bytes(required_length());
        return {view.begin(), view.end()};
    }
    uint64_t required_length() {  // of bytes or a list
        const auto size = length<int32_t>();
        if (!size) { failed_ = true; }
        return size.value_or(0);
    }
    void skip_tags() {
        if (!flexible_) { return; }
        const uint64_t count = in_.unsigned_varint();
        for (uint64_t i = 0; i < count && !failed(); ++i) {
            in_.unsigned_varint();
            in_.skip(in_.unsigned_varint());
        }
    }

private:
    // Empty: null.
    template <class T>
    std::optional<uint64_t> length() {
        if (flexible_) {
            const uint64_t size = in_.unsigned_varint();
            return size == 0 ? std::nullopt : std::optional(size - 1);
        }
        const auto size = in_.be<T>();
        if (size < -1) { failed_ = true; }
        return size < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(size));
    }
    ByteReader& in_;
    bool flexible_;
    bool failed_ = false;
};

std::unexpected<Error> does_not_add_up(const char* what, int16_t version) {
    return fail(Code::corrupt, operation, fmt::format("{} version {}: fields do not add up", what, version));
}

Result<int16_t> read_value_version(ByteReader& in) {
    const auto version = in.be<int16_t>();
    if (in.failed() || version < 0) { return fail(Code::corrupt, operation, "a value without a version"); }
    if (version > 4) {
        return fail(Code::unsupported, operation, fmt::format("value version {}, known up to 4", version));
    }
    return version;
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

size_t java_string_length(std::string_view utf8) {
    size_t length = 0;
    while (!utf8.empty()) { length += take_code_point(utf8) < 0x10000 ? 1 : 2; }
    return length;
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

Result<std::vector<std::byte>> encode(const GroupMetadataKey& key) {
    TRY_VOID(check_size("a group's name", key.group, group_name_bytes_max));
    ByteWriter out;
    out.be<int16_t>(2);
    put_string(out, key.group);
    return out.take();
}

Result<std::vector<std::byte>> encode(const OffsetCommit& commit) {
    TRY_VOID(check_size("offset metadata", commit.metadata, kafka_string_bytes_max));
    const bool expires = commit.expire_timestamp_ms >= 0;
    ByteWriter out;
    out.be<int16_t>(expires ? 1 : 3);
    out.be(commit.offset.value);
    if (!expires) { out.be(commit.leader_epoch); }
    put_string(out, commit.metadata);
    out.be(commit.commit_timestamp_ms);
    if (expires) { out.be(commit.expire_timestamp_ms); }
    return out.take();
}

Result<std::vector<std::byte>> encode(const GroupMetadata& group) {
    TRY_VOID(check_size("a protocol type", group.protocol_type, kafka_string_bytes_max));
    TRY_VOID(check_size("a protocol's name", group.protocol.value_or(""), kafka_string_bytes_max));
    TRY_VOID(check_size("a leader's id", group.leader.value_or(""), kafka_string_bytes_max));
    ByteWriter out;
    out.be<int16_t>(3);
    put_string(out, group.protocol_type);
    out.be(group.generation);
    put_nullable_string(out, group.protocol);
    put_nullable_string(out, group.leader);
    out.be(group.state_timestamp_ms);
    out.be(static_cast<int32_t>(group.members.size()));
    for (const GroupMetadata::Member& member : group.members) {
        for (const std::string* text : {&member.id, &member.client_id, &member.client_host}) {
            TRY_VOID(check_size("a member's id, client id or host", *text, kafka_string_bytes_max));
        }
        TRY_VOID(check_size("an instance id", member.instance_id.value_or(""), kafka_string_bytes_max));
        put_string(out, member.id);
        put_nullable_string(out, member.instance_id);
        put_string(out, member.client_id);
        put_string(out, member.client_host);
        out.be(member.rebalance_timeout_ms);
        out.be(member.session_timeout_ms);
        put_bytes(out, member.subscription);
        put_bytes(out, member.assignment);
    }
    return out.take();
}

Result<GroupKey> decode_group_key(Bytes key) {
    ByteReader in(key);
    const auto version = in.be<int16_t>();
    if (in.failed() || version < 0) { return fail(Code::corrupt, operation, "a key without a version"); }
    if (version > 2) { return OtherGroupKey{version}; }
    FieldReader fields(in, false);
    std::string group = fields.string();
    if (version == 2) {
        if (fields.failed() || in.remaining() != 0) { return does_not_add_up("key", version); }
        return GroupMetadataKey{std::move(group)};
    }
    std::string topic = fields.string();
    const auto partition = in.be<int32_t>();
    if (fields.failed() || in.remaining() != 0 || partition < 0) { return does_not_add_up("key", version); }
    return OffsetCommitKey{std::move(group), std::move(topic), partition};
}

Result<OffsetCommit> decode_offset_commit(Bytes value) {
    ByteReader in(value);
    TRY(const int16_t version, read_value_version(in));
    FieldReader fields(in, version >= 4);
    OffsetCommit commit;
    commit.offset = {in.be<int64_t>()};
    if (version >= 3) { commit.leader_epoch = in.be<int32_t>(); }
    commit.metadata = fields.string();
    commit.commit_timestamp_ms = in.be<int64_t>();
    if (version == 1) { commit.expire_timestamp_ms = in.be<int64_t>(); }
    fields.skip_tags();
    if (fields.failed() || in.remaining() != 0) { return does_not_add_up("value", version); }
    return commit;
}

Result<GroupMetadata> decode_group_metadata(Bytes value) {
    ByteReader in(value);
    TRY(const int16_t version, read_value_version(in));
    FieldReader fields(in, version >= 4);
    GroupMetadata group;
    group.protocol_type = fields.string();
    group.generation = in.be<int32_t>();
    group.protocol = fields.nullable_string();
    group.leader = fields.nullable_string();
    if (version >= 2) { group.state_timestamp_ms = in.be<int64_t>(); }
    const uint64_t count = fields.required_length();
    for (uint64_t i = 0; i < count && !fields.failed(); ++i) {  // grows with the bytes that are there
        GroupMetadata::Member& member = group.members.emplace_back();
        member.id = fields.string();
        if (version >= 3) { member.instance_id = fields.nullable_string(); }
        member.client_id = fields.string();
        member.client_host = fields.string();
        if (version >= 1) { member.rebalance_timeout_ms = in.be<int32_t>(); }
        member.session_timeout_ms = in.be<int32_t>();
        member.subscription = fields.bytes();
        member.assignment = fields.bytes();
        fields.skip_tags();
    }
    fields.skip_tags();
    if (fields.failed() || in.remaining() != 0) { return does_not_add_up("group metadata", version); }
    return group;
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
        set(commit_key->group, at, std::move(commit));
    } else {
        erase(commit_key->group, at);
    }
    return {};
}

void OffsetTable::set(std::string_view group, const TopicPartition& at, OffsetCommit commit) {
    auto found = groups_.find(group);
    if (found == groups_.end()) { found = groups_.emplace(group, TopicOffsets{}).first; }
    size_ += found->second.insert_or_assign(at, std::move(commit)).second ? 1 : 0;
}

void OffsetTable::erase(std::string_view group, const TopicPartition& at) {
    const auto found = groups_.find(group);
    if (found == groups_.end()) { return; }
    size_ -= found->second.erase(at);
    if (found->second.empty()) { groups_.erase(found); }
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

std::vector<std::pair<std::string, std::vector<std::byte>>> OffsetTable::take_group_metadata() {
    std::vector<std::pair<std::string, std::vector<std::byte>>> taken;
    for (auto& [group, metadata] : group_metadata_) { taken.emplace_back(group, std::move(metadata)); }
    group_metadata_.clear();
    return taken;
}

}  // namespace flowstone
