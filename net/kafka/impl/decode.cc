// The one decoder: walks a table of fields along the bytes.
#include <array>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "net/kafka/message.h"
#include "net/kafka/wire.h"
#include "storage/check.h"

namespace flowstone::kafka {
namespace {

constexpr size_t depth_max = 8;           // the schemas nest 4 deep
constexpr size_t text_bytes_inside = 15;  // of std::string, without an allocation

class Decoder {
public:
    Decoder(int16_t version, bool flexible, Bytes body, uint64_t memory_max)
        : version_(version), flexible_(flexible), in_(body), memory_left_(memory_max) {}

    bool structure(const FieldTable& table, std::byte* object);
    bool ended() { return in_.remaining() == 0 || refuse("has bytes behind its end"); }
    Error error(const char* message) const;

private:
    bool field(const Field& field, std::byte* object);
    bool value(const Field& field, Kind kind, std::byte* at);
    bool text(const Field& field, void* at);
    bool bytes(const Field& field, void* at);
    bool records(const Field& field, Records& records);
    bool list(const Field& field, void* at);
    bool optional_structure(const Field& field, void* at);
    bool tagged_fields(const FieldTable& table, std::byte* object);
    bool tagged_field(const Field& field, Bytes bytes, std::byte* object);

    // False after a failure, and after a null that was dealt with: `length` is then null_length.
    bool length_of(const Field& field, LengthForm form, int64_t& length, void* at);
    bool allocate(uint64_t bytes);
    bool refuse(const char* problem, Code code = Code::corrupt);
    template <class T>
    bool number(std::byte* at) {
        const T read = in_.be<T>();
        if (in_.failed()) { return refuse("ends early"); }
        std::memcpy(at, &read, sizeof read);
        return true;
    }
    static void* present(const Field& field, void* at) {
        return field.type.optional == nullptr ? at : field.type.optional->emplace(at);
    }

    int16_t version_;
    bool flexible_;
    ByteReader in_;
    uint64_t memory_left_;
    std::array<const Field*, depth_max> path_{};
    size_t depth_ = 0;
    const char* problem_ = nullptr;
    Code code_ = Code::corrupt;
};

bool Decoder::refuse(const char* problem, Code code) {
    problem_ = problem;
    code_ = code;
    return false;
}

Error Decoder::error(const char* message) const {
    fmt::memory_buffer detail;  // without an allocation: what may be allocated may all be gone
    const auto out = std::back_inserter(detail);
    fmt::format_to(out, "{} version {}: ", message, version_);
    for (size_t i = 0; i < depth_; ++i) { fmt::format_to(out, "{}{}", i == 0 ? "" : ".", path_[i]->name); }
    fmt::format_to(out, "{}{}", depth_ > 0 ? ": " : "", problem_);
    return Error{.code = code_, .operation = "message.decode"}.with_detail({detail.data(), detail.size()});
}

bool Decoder::allocate(uint64_t bytes) {
    if (bytes > memory_left_) { return refuse("would take more memory than its size allows", Code::too_large); }
    memory_left_ -= bytes;
    return true;
}

bool Decoder::structure(const FieldTable& table, std::byte* object) {
    for (const Field& one : table.fields) {
        if (one.rule.versions.contains(version_) && !field(one, object)) { return false; }
    }
    return !flexible_ || tagged_fields(table, object);
}

// The path is left as it is after a failure: error() tells it.
bool Decoder::field(const Field& field, std::byte* object) {
    CHECK(depth_ < depth_max);
    path_[depth_++] = &field;
    std::byte* const at = object + field.offset;
    const bool good = field.type.list != nullptr ? list(field, at) : value(field, field.type.kind, at);
    if (good) { --depth_; }
    return good;
}

bool Decoder::value(const Field& field, Kind kind, std::byte* at) {
    switch (kind) {
        case Kind::boolean: {
            const bool is = in_.be<int8_t>() != 0;  // as Kafka reads it
            if (in_.failed()) { return refuse("ends early"); }
            std::memcpy(at, &is, sizeof is);
            return true;
        }
        case Kind::int8: return number<int8_t>(at);
        case Kind::int16: return number<int16_t>(at);
        case Kind::uint16: return number<uint16_t>(at);
        case Kind::int32: return number<int32_t>(at);
        case Kind::uint32: return number<uint32_t>(at);
        case Kind::int64: return number<int64_t>(at);
        case Kind::float64: return number<uint64_t>(at);
        case Kind::uuid: {
            const Bytes read = in_.bytes(sizeof(Uuid));
            if (in_.failed()) { return refuse("ends early"); }
            std::memcpy(at, read.data(), read.size());
            return true;
        }
        case Kind::text: return text(field, at);
        case Kind::bytes: return bytes(field, at);
        case Kind::records: return records(field, *reinterpret_cast<Records*>(at));
        case Kind::structure:
            if (field.type.optional != nullptr && field.type.list == nullptr) { return optional_structure(field, at); }
            return structure(*field.structure, at);
    }
    return refuse("is of no known kind");
}

bool Decoder::length_of(const Field& field, LengthForm form, int64_t& length, void* at) {
    length = read_length(in_, flexible_, form);
    if (length < null_length) { return refuse("has no length, or ends early"); }
    if (length >= 0) { return true; }
    if (!field.rule.nullable.contains(version_)) { return refuse("is null, which this version does not allow"); }
    if (field.type.optional != nullptr) { field.type.optional->reset(at); }
    return false;
}

bool Decoder::text(const Field& field, void* at) {
    // Elements of a list are never null, and are no optionals even when the list is one.
    const bool is_element = field.type.list != nullptr;
    int64_t length = read_length(in_, flexible_, LengthForm::text);
    if (length < null_length) { return refuse("has no length, or ends early"); }
    if (length == null_length) {
        if (is_element || !field.rule.nullable.contains(version_)) { return refuse("is null, which is not allowed"); }
        field.type.optional->reset(at);
        return true;
    }
    if (static_cast<uint64_t>(length) > kafka_string_bytes_max) { return refuse("is too long", Code::too_large); }
    const Bytes read = in_.bytes(static_cast<uint64_t>(length));
    if (in_.failed()) { return refuse("ends early"); }
    if (read.size() > text_bytes_inside && !allocate(read.size() + 1)) { return false; }
    auto& target = *static_cast<std::string*>(is_element ? at : present(field, at));
    target = std::string(as_text(read));  // of exactly that size: assign() would take more
    return true;
}

bool Decoder::bytes(const Field& field, void* at) {
    int64_t length = 0;
    if (!length_of(field, LengthForm::counted, length, at)) { return problem_ == nullptr; }
    const Bytes read = in_.bytes(static_cast<uint64_t>(length));
    if (in_.failed()) { return refuse("ends early"); }
    *static_cast<Bytes*>(present(field, at)) = read;
    return true;
}

bool Decoder::records(const Field& field, Records& records) {
    int64_t length = 0;
    records = {};
    if (!length_of(field, LengthForm::counted, length, &records)) {
        records.is_null = true;
        return problem_ == nullptr;
    }
    const Bytes read = in_.bytes(static_cast<uint64_t>(length));
    if (in_.failed()) { return refuse("ends early"); }
    if (read.empty()) { return true; }
    if (!allocate(sizeof(Bytes))) { return false; }
    records.pieces.push_back(read);
    return true;
}

// A claimed number of elements is believed only as far as the bytes left could hold them, a byte each, and as memory
// allows: room is then taken once, of exactly that size.
bool Decoder::list(const Field& field, void* at) {
    int64_t length = 0;
    if (!length_of(field, LengthForm::counted, length, at)) { return problem_ == nullptr; }
    const auto size = static_cast<uint64_t>(length);
    if (size > array_elements_max) { return refuse("has too many elements", Code::too_large); }
    if (size > in_.remaining()) { return refuse("claims more elements than there are bytes"); }
    const ListAccess& access = *field.type.list;
    if (!allocate(size * access.element_bytes)) { return false; }
    auto* element = static_cast<std::byte*>(access.resize(present(field, at), size));
    for (uint64_t i = 0; i < size; ++i, element += access.element_bytes) {
        if (!value(field, field.type.kind, element)) { return false; }
    }
    return true;
}

// A struct that may be null has a byte in front: -1 for null, else 1.
bool Decoder::optional_structure(const Field& field, void* at) {
    const auto mark = in_.be<int8_t>();
    if (in_.failed()) { return refuse("ends early"); }
    if (mark >= 0) { return structure(*field.structure, static_cast<std::byte*>(field.type.optional->emplace(at))); }
    if (!field.rule.nullable.contains(version_)) { return refuse("is null, which this version does not allow"); }
    field.type.optional->reset(at);
    return true;
}

bool Decoder::tagged_fields(const FieldTable& table, std::byte* object) {
    const Varint32 count = read_unsigned_varint32(in_);
    if (!count.ok) { return refuse("has no number of tagged fields"); }
    if (count.value > tagged_fields_max) { return refuse("has too many tagged fields", Code::too_large); }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < count.value; ++i) {
        const Varint32 tag = read_unsigned_varint32(in_);
        const Varint32 size = read_unsigned_varint32(in_);
        const Bytes bytes = in_.bytes(size.value);
        if (!tag.ok || !size.ok || in_.failed()) { return refuse("has a broken tagged field"); }
        for (size_t known = 0; known < table.tagged.size(); ++known) {
            const Field& field = table.tagged[known];
            if (static_cast<uint32_t>(field.rule.tag) != tag.value || !field.rule.versions.contains(version_)) {
                continue;
            }
            if ((seen >> known & 1) != 0) { return refuse("has a tagged field twice"); }
            seen |= uint64_t{1} << known;
            if (!tagged_field(field, bytes, object)) { return false; }
        }
    }
    return true;
}

bool Decoder::tagged_field(const Field& one, Bytes bytes, std::byte* object) {
    const ByteReader behind = in_;
    in_ = ByteReader(bytes);
    if (!field(one, object)) { return false; }
    if (in_.remaining() > 0) { return refuse("has a tagged field with bytes behind its end"); }
    in_ = behind;
    return true;
}

}  // namespace

Result<void> decode_message(const MessageType& type, int16_t version, Bytes body, uint64_t memory_max, void* message) {
    const Api* api = find_api(type.api_key);
    CHECK(api != nullptr);
    if (!api->versions.contains(version)) {
        return fail(Code::unsupported, "message.decode", fmt::format("{} version {}", type.name, version));
    }
    Decoder decoder(version, api->is_flexible(version), body, memory_max);
    if (!decoder.structure(type.table, static_cast<std::byte*>(message)) || !decoder.ended()) {
        return std::unexpected(decoder.error(type.name));
    }
    return {};
}

}  // namespace flowstone::kafka
