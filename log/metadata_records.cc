#include "log/metadata_records.h"

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* operation = "metadata.decode";
constexpr uint64_t frame_version = 1;
constexpr uint64_t leader_unchanged = static_cast<uint64_t>(-2);

// --- writing ---

void put_head(ByteWriter& out, uint32_t api_key, uint32_t version) {
    out.unsigned_varint(frame_version);
    out.unsigned_varint(api_key);
    out.unsigned_varint(version);
}

void put_no_tags(ByteWriter& out) { out.unsigned_varint(0); }

// Compact: the length plus one, so that 0 is null.
void put_text(ByteWriter& out, std::string_view text) {
    out.unsigned_varint(text.size() + 1);
    out.text(text);
}
void put_nullable_text(ByteWriter& out, const std::optional<std::string>& text) {
    if (!text) { return out.unsigned_varint(0); }
    put_text(out, *text);
}
void put_uuid(ByteWriter& out, const Uuid& id) { out.bytes(id.bytes); }

void put_ints(ByteWriter& out, const std::vector<int32_t>& values) {
    out.unsigned_varint(values.size() + 1);
    for (int32_t value : values) { out.be(value); }
}
void put_uuids(ByteWriter& out, const std::vector<Uuid>& values) {
    out.unsigned_varint(values.size() + 1);
    for (const Uuid& value : values) { put_uuid(out, value); }
}

// Tagged fields: count, then tag, size and bytes of each, by rising tag.
class TaggedFields {
public:
    template <class Write>
    void add(uint32_t tag, Write write) {
        ByteWriter field;
        write(field);
        body_.unsigned_varint(tag);
        body_.unsigned_varint(field.size());
        body_.bytes(field.view());
        ++count_;
    }
    void put(ByteWriter& out) const {
        out.unsigned_varint(count_);
        out.bytes(body_.view());
    }

private:
    ByteWriter body_;
    uint32_t count_ = 0;
};

void put(const TopicRecord& record, ByteWriter& out) {
    put_head(out, 2, 0);
    put_text(out, record.name);
    put_uuid(out, record.topic_id);
    put_no_tags(out);
}

void put(const PartitionRecord& record, ByteWriter& out) {
    put_head(out, 3, 1);
    out.be(record.partition);
    put_uuid(out, record.topic_id);
    put_ints(out, record.replicas);
    put_ints(out, record.isr);
    put_ints(out, record.removing);
    put_ints(out, record.adding);
    out.be(record.leader);
    out.be(record.leader_epoch);
    out.be(record.partition_epoch);
    put_uuids(out, record.directories);
    put_no_tags(out);
}

void put(const ConfigRecord& record, ByteWriter& out) {
    put_head(out, 4, 0);
    out.be(record.resource_type);
    put_text(out, record.resource);
    put_text(out, record.name);
    put_nullable_text(out, record.value);
    put_no_tags(out);
}

void put(const PartitionChangeRecord& record, ByteWriter& out) {
    put_head(out, 5, record.directories ? 1 : 0);
    out.be(record.partition);
    put_uuid(out, record.topic_id);
    TaggedFields tags;
    if (record.isr) {
        tags.add(0, [&](ByteWriter& to) { put_ints(to, *record.isr); });
    }
    if (record.leader) {
        tags.add(1, [&](ByteWriter& to) { to.be(*record.leader); });
    }
    if (record.replicas) {
        tags.add(2, [&](ByteWriter& to) { put_ints(to, *record.replicas); });
    }
    if (record.removing) {
        tags.add(3, [&](ByteWriter& to) { put_ints(to, *record.removing); });
    }
    if (record.adding) {
        tags.add(4, [&](ByteWriter& to) { put_ints(to, *record.adding); });
    }
    if (record.directories) {
        tags.add(8, [&](ByteWriter& to) { put_uuids(to, *record.directories); });
    }
    tags.put(out);
}

void put(const RemoveTopicRecord& record, ByteWriter& out) {
    put_head(out, 9, 0);
    put_uuid(out, record.topic_id);
    put_no_tags(out);
}

void put(const FeatureLevelRecord& record, ByteWriter& out) {
    put_head(out, 12, 0);
    put_text(out, record.name);
    out.be(record.level);
    put_no_tags(out);
}

void put(const ProducerIdsRecord& record, ByteWriter& out) {
    put_head(out, 15, 0);
    out.be(record.broker);
    out.be(record.broker_epoch);
    out.be(record.next_producer_id);
    put_no_tags(out);
}

void put(const NoOpRecord&, ByteWriter& out) {
    put_head(out, 20, 0);
    put_no_tags(out);
}

void put(const TransactionRecord& record, ByteWriter& out) {
    put_head(out, static_cast<uint32_t>(record.kind), 0);
    put_no_tags(out);
}

void put(const OtherRecord&, ByteWriter&) { CHECK(!"a record whose fields were not kept cannot be written"); }

// --- reading ---

// ByteReader with Kafka's compact types. Whatever cannot be sets failed() of the reader, checked once at the end.
class FieldReader {
public:
    explicit FieldReader(Bytes bytes) : in_(bytes) {}

    bool failed() const { return failed_ || in_.failed(); }
    bool at_end() const { return in_.remaining() == 0; }
    uint64_t unsigned_varint() { return in_.unsigned_varint(); }
    template <class T>
    T be() {
        return in_.be<T>();
    }
    Uuid uuid() {
        Uuid id;
        const Bytes from = in_.bytes(id.bytes.size());
        if (from.size() == id.bytes.size()) { std::memcpy(id.bytes.data(), from.data(), from.size()); }
        return id;
    }
    std::optional<std::string> nullable_text() {
        const uint64_t size = unsigned_varint();
        if (size == 0) { return std::nullopt; }
        return std::string(as_text(in_.bytes(size - 1)));
    }
    std::string text() { return not_null(nullable_text()); }
    std::optional<std::vector<int32_t>> nullable_ints() {
        return array<int32_t>(4, [this] { return be<int32_t>(); });
    }
    std::vector<int32_t> ints() { return not_null(nullable_ints()); }
    std::optional<std::vector<Uuid>> nullable_uuids() {
        return array<Uuid>(16, [this] { return uuid(); });
    }
    std::vector<Uuid> uuids() { return not_null(nullable_uuids()); }

    // Calls `field(tag, reader)` for each tagged field, which must read it whole or not touch it.
    template <class Field>
    void tags(Field field) {
        const uint64_t count = unsigned_varint();
        int64_t last = -1;
        for (uint64_t i = 0; i < count && !failed(); ++i) {
            const uint64_t tag = unsigned_varint();
            const Bytes bytes = in_.bytes(unsigned_varint());
            if (tag > INT32_MAX || static_cast<int64_t>(tag) <= last) { failed_ = true; }  // they rise (KIP-482)
            last = static_cast<int64_t>(tag);
            FieldReader inner(bytes);
            const bool known = field(tag, inner);
            if (known && (inner.failed() || !inner.at_end())) { failed_ = true; }
        }
    }
    void skip_tags() {
        tags([](uint64_t, FieldReader&) { return false; });
    }

private:
    template <class T>
    T not_null(std::optional<T> value) {
        if (!value) { failed_ = true; }
        return std::move(value).value_or(T{});
    }
    template <class T, class Read>
    std::optional<std::vector<T>> array(size_t element_bytes, Read read) {
        const uint64_t size = unsigned_varint();
        if (size == 0) { return std::nullopt; }
        std::vector<T> values;
        if (size - 1 > in_.remaining() / element_bytes) {  // before the memory is taken
            failed_ = true;
            return values;
        }
        values.reserve(size - 1);
        for (uint64_t i = 0; i + 1 < size; ++i) { values.push_back(read()); }
        return values;
    }

    ByteReader in_;
    bool failed_ = false;
};

TopicRecord read_topic(FieldReader& in) {
    TopicRecord record;
    record.name = in.text();
    record.topic_id = in.uuid();
    in.skip_tags();
    return record;
}

// Tagged fields of version 0 to 2 (recovery state, eligible leaders) are passed over: nothing here elects by them yet.
PartitionRecord read_partition(FieldReader& in, uint64_t version) {
    PartitionRecord record;
    record.partition = in.be<int32_t>();
    record.topic_id = in.uuid();
    record.replicas = in.ints();
    record.isr = in.ints();
    record.removing = in.ints();
    record.adding = in.ints();
    record.leader = in.be<int32_t>();
    record.leader_epoch = in.be<int32_t>();
    record.partition_epoch = in.be<int32_t>();
    if (version >= 1) { record.directories = in.uuids(); }
    in.skip_tags();
    return record;
}

ConfigRecord read_config(FieldReader& in) {
    ConfigRecord record;
    record.resource_type = in.be<int8_t>();
    record.resource = in.text();
    record.name = in.text();
    record.value = in.nullable_text();
    in.skip_tags();
    return record;
}

PartitionChangeRecord read_partition_change(FieldReader& in) {
    PartitionChangeRecord record;
    record.partition = in.be<int32_t>();
    record.topic_id = in.uuid();
    in.tags([&record](uint64_t tag, FieldReader& field) {
        switch (tag) {
            case 0: record.isr = field.nullable_ints(); return true;
            case 1: {
                const auto leader = field.be<int32_t>();
                if (static_cast<uint64_t>(int64_t{leader}) != leader_unchanged) { record.leader = leader; }
                return true;
            }
            case 2: record.replicas = field.nullable_ints(); return true;
            case 3: record.removing = field.nullable_ints(); return true;
            case 4: record.adding = field.nullable_ints(); return true;
            case 8: record.directories = field.nullable_uuids(); return true;
            default: return false;  // 5: recovery state; 6, 7: eligible leaders
        }
    });
    return record;
}

RemoveTopicRecord read_remove_topic(FieldReader& in) {
    RemoveTopicRecord record{in.uuid()};
    in.skip_tags();
    return record;
}

FeatureLevelRecord read_feature(FieldReader& in) {
    FeatureLevelRecord record;
    record.name = in.text();
    record.level = in.be<int16_t>();
    in.skip_tags();
    return record;
}

ProducerIdsRecord read_producer_ids(FieldReader& in) {
    ProducerIdsRecord record;
    record.broker = in.be<int32_t>();
    record.broker_epoch = in.be<int64_t>();
    record.next_producer_id = in.be<int64_t>();
    in.skip_tags();
    return record;
}

template <class Record>
Record read_empty(FieldReader& in, Record record) {
    in.skip_tags();
    return record;
}

// The highest version that is read, of the records that are kept; empty for all others.
std::optional<uint64_t> version_max(uint64_t api_key) {
    switch (api_key) {
        case 3:
        case 5: return 2;
        case 2:
        case 4:
        case 9:
        case 12:
        case 15:
        case 20:
        case 23:
        case 24:
        case 25: return 0;
        default: return std::nullopt;
    }
}

MetadataRecord read_fields(FieldReader& in, uint64_t api_key, uint64_t version) {
    switch (api_key) {
        case 2: return read_topic(in);
        case 3: return read_partition(in, version);
        case 4: return read_config(in);
        case 5: return read_partition_change(in);
        case 9: return read_remove_topic(in);
        case 12: return read_feature(in);
        case 15: return read_producer_ids(in);
        case 20: return read_empty(in, NoOpRecord{});
        default: return read_empty(in, TransactionRecord{static_cast<TransactionRecord::Kind>(api_key)});
    }
}

}  // namespace

void encode(const MetadataRecord& record, ByteWriter& out) {
    std::visit([&out](const auto& kind) { put(kind, out); }, record);
}

std::vector<std::byte> encode(const MetadataRecord& record) {
    ByteWriter out;
    encode(record, out);
    return out.take();
}

Result<MetadataRecord> decode_metadata_record(Bytes value) {
    FieldReader in(value);
    const uint64_t frame = in.unsigned_varint();
    const uint64_t api_key = in.unsigned_varint();
    const uint64_t version = in.unsigned_varint();
    if (in.failed()) { return fail(Code::corrupt, operation, "a record too short for its frame"); }
    if (frame != frame_version) { return fail(Code::unsupported, operation, fmt::format("frame version {}", frame)); }
    if (api_key > INT16_MAX || version > INT16_MAX) {
        return fail(Code::corrupt, operation, fmt::format("record type {} version {}", api_key, version));
    }
    const auto newest = version_max(api_key);
    if (!newest) { return OtherRecord{static_cast<uint32_t>(api_key), static_cast<uint32_t>(version)}; }
    if (version > *newest) {
        return fail(Code::unsupported, operation,
                    fmt::format("record type {} version {}, known up to {}", api_key, version, *newest));
    }
    MetadataRecord record = read_fields(in, api_key, version);
    if (in.failed() || !in.at_end()) {
        return fail(Code::corrupt, operation, fmt::format("fields of record type {} do not add up", api_key));
    }
    return record;
}

}  // namespace flowstone
