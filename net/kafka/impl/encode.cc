// The one encoder, which is also what tells sizes: without a Gather it only counts.
#include <fmt/format.h>

#include "net/kafka/impl/walk.h"
#include "net/kafka/message.h"
#include "net/kafka/wire.h"
#include "storage/check.h"

namespace flowstone::kafka {
namespace {

// The bytes of a string that go on the wire: all, or up to the last whole character below the limit.
std::string_view within_limit(std::string_view text) {
    if (text.size() <= kafka_string_bytes_max) { return text; }
    size_t end = kafka_string_bytes_max;
    while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) { --end; }
    return text.substr(0, end == 0 ? kafka_string_bytes_max : end);
}

class Encoder {
public:
    Encoder(int16_t version, bool flexible, Gather* out) : version_(version), flexible_(flexible), out_(out) {}

    void structure(const FieldTable& table, const std::byte* object);
    size_t size() const { return size_; }

private:
    void field(const Field& field, const std::byte* at);
    void value(const Field& field, const void* value);
    void text(const Field& field, const std::string* value);
    void bytes(const Field& field, const Bytes* value);
    void records(const Field& field, const Records& value);
    void list(const Field& field, const void* value);
    void optional_structure(const Field& field, const void* value);
    void tagged_fields(const FieldTable& table, const std::byte* object);

    bool may_be_null(const Field& field) const { return field.rule.nullable.contains(version_); }
    void length(int64_t length, LengthForm form);
    template <class T>
    void number(T number) {
        size_ += sizeof number;
        if (out_ != nullptr) { out_->be(number); }
    }
    template <class T>
    void number_at(const void* at) {
        T read;
        std::memcpy(&read, at, sizeof read);
        number(read);
    }
    void unsigned_varint(uint64_t number) {
        size_ += unsigned_varint_bytes(number);
        if (out_ != nullptr) { out_->unsigned_varint(number); }
    }
    void raw(Bytes view, bool spliced) {
        size_ += view.size();
        if (out_ == nullptr) { return; }
        if (spliced) { return out_->splice(view); }
        out_->bytes(view);
    }

    int16_t version_;
    bool flexible_;
    Gather* out_;
    size_t size_ = 0;
};

void Encoder::structure(const FieldTable& table, const std::byte* object) {
    for (const Field& one : table.fields) {
        if (one.rule.versions.contains(version_)) { field(one, object + one.offset); }
    }
    if (flexible_) { tagged_fields(table, object); }
}

void Encoder::field(const Field& field, const std::byte* at) {
    const void* there = value_of(field, at);
    if (field.type.list != nullptr) { return list(field, there); }
    switch (field.type.kind) {
        case Kind::text: return text(field, static_cast<const std::string*>(there));
        case Kind::bytes: return bytes(field, static_cast<const Bytes*>(there));
        case Kind::structure:
            if (field.type.optional != nullptr) { return optional_structure(field, there); }
            return value(field, there);
        default: return value(field, there);
    }
}

void Encoder::value(const Field& field, const void* value) {
    switch (field.type.kind) {
        case Kind::boolean: return number(static_cast<int8_t>(*static_cast<const bool*>(value) ? 1 : 0));
        case Kind::int8: return number_at<int8_t>(value);
        case Kind::int16: return number_at<int16_t>(value);
        case Kind::uint16: return number_at<uint16_t>(value);
        case Kind::int32: return number_at<int32_t>(value);
        case Kind::uint32: return number_at<uint32_t>(value);
        case Kind::int64: return number_at<int64_t>(value);
        case Kind::float64: return number_at<uint64_t>(value);
        case Kind::uuid: return raw(static_cast<const Uuid*>(value)->bytes, false);
        case Kind::text: return text(field, static_cast<const std::string*>(value));
        case Kind::bytes: return bytes(field, static_cast<const Bytes*>(value));
        case Kind::records: return records(field, *static_cast<const Records*>(value));
        case Kind::structure: return structure(*field.structure, static_cast<const std::byte*>(value));
    }
}

void Encoder::length(int64_t length, LengthForm form) {
    CHECK(length <= std::numeric_limits<int32_t>::max());
    if (flexible_) { return unsigned_varint(static_cast<uint64_t>(length + 1)); }
    if (form == LengthForm::text) { return number(static_cast<int16_t>(length)); }
    number(static_cast<int32_t>(length));
}

void Encoder::text(const Field& field, const std::string* value) {
    if (value == nullptr && may_be_null(field)) { return length(null_length, LengthForm::text); }
    const std::string_view whole = value == nullptr ? std::string_view() : within_limit(*value);
    length(static_cast<int64_t>(whole.size()), LengthForm::text);
    raw(as_bytes(whole), false);
}

void Encoder::bytes(const Field& field, const Bytes* value) {
    if (value == nullptr && may_be_null(field)) { return length(null_length, LengthForm::counted); }
    const Bytes whole = value == nullptr ? Bytes() : *value;
    length(static_cast<int64_t>(whole.size()), LengthForm::counted);
    raw(whole, field.rule.spliced);
}

void Encoder::records(const Field& field, const Records& value) {
    if (value.is_null && may_be_null(field)) { return length(null_length, LengthForm::counted); }
    size_t total = 0;
    for (const Bytes piece : value.pieces) { total += piece.size(); }
    length(static_cast<int64_t>(total), LengthForm::counted);
    for (const Bytes piece : value.pieces) { raw(piece, true); }
}

void Encoder::list(const Field& field, const void* list) {
    if (list == nullptr && may_be_null(field)) { return length(null_length, LengthForm::counted); }
    const size_t size = list == nullptr ? 0 : field.type.list->size(list);
    length(static_cast<int64_t>(size), LengthForm::counted);
    const auto* element = list == nullptr ? nullptr : static_cast<const std::byte*>(field.type.list->data(list));
    for (size_t i = 0; i < size; ++i, element += field.type.list->element_bytes) { value(field, element); }
}

void Encoder::optional_structure(const Field& field, const void* value) {
    if (value == nullptr && may_be_null(field)) { return number(int8_t{-1}); }
    number(int8_t{1});
    structure(*field.structure, static_cast<const std::byte*>(value == nullptr ? field.structure->defaults : value));
}

void Encoder::tagged_fields(const FieldTable& table, const std::byte* object) {
    const auto is_written = [&](const Field& one) {
        return one.rule.versions.contains(version_) && !has_default(table, one, object);
    };
    uint64_t count = 0;
    for (const Field& one : table.tagged) { count += is_written(one) ? 1 : 0; }
    unsigned_varint(count);
    if (count == 0) { return; }
    for (const Field& one : table.tagged) {
        if (!is_written(one)) { continue; }
        Encoder counter(version_, flexible_, nullptr);
        counter.field(one, object + one.offset);
        unsigned_varint(static_cast<uint64_t>(one.rule.tag));
        unsigned_varint(counter.size());
        field(one, object + one.offset);
    }
}

Encoder encoder_for(const MessageType& type, int16_t version, Gather* out) {
    const Api* api = find_api(type.api_key);
    CHECK(api != nullptr);
    CHECK(api->versions.contains(version));
    return {version, api->is_flexible(version), out};
}

// --- what would be lost --------------------------------------------------------------------------------------------

// The first field that `version` cannot say, or null.
const Field* first_lost(const FieldTable& table, int16_t version, const std::byte* object);

bool is_lost(const Field& field, int16_t version, const void* value) {
    if (field.type.kind == Kind::text) {
        return static_cast<const std::string*>(value)->size() > kafka_string_bytes_max;
    }
    return field.structure != nullptr && first_lost(*field.structure, version, static_cast<const std::byte*>(value));
}

bool is_lost(const FieldTable& table, const Field& field, int16_t version, const std::byte* object) {
    if (!field.rule.versions.contains(version)) { return !field.rule.ignorable && !has_default(table, field, object); }
    const void* value = value_of(field, object + field.offset);
    if (value == nullptr) { return !field.rule.nullable.contains(version); }
    if (field.type.kind == Kind::records) {
        return static_cast<const Records*>(value)->is_null && !field.rule.nullable.contains(version);
    }
    if (field.type.list == nullptr) { return is_lost(field, version, value); }
    const auto* element = static_cast<const std::byte*>(field.type.list->data(value));
    for (size_t i = field.type.list->size(value); i > 0; --i, element += field.type.list->element_bytes) {
        if (is_lost(field, version, element)) { return true; }
    }
    return false;
}

const Field* first_lost(const FieldTable& table, int16_t version, const std::byte* object) {
    for (const auto* list : {&table.fields, &table.tagged}) {
        for (const Field& field : *list) {
            if (is_lost(table, field, version, object)) { return &field; }
        }
    }
    return nullptr;
}

}  // namespace

void encode_message(const MessageType& type, int16_t version, const void* message, Gather& out) {
    encoder_for(type, version, &out).structure(type.table, static_cast<const std::byte*>(message));
}

size_t message_size(const MessageType& type, int16_t version, const void* message) {
    Encoder counter = encoder_for(type, version, nullptr);
    counter.structure(type.table, static_cast<const std::byte*>(message));
    return counter.size();
}

Result<void> check_message_encodable(const MessageType& type, int16_t version, const void* message) {
    const Api* api = find_api(type.api_key);
    CHECK(api != nullptr);
    if (!api->versions.contains(version)) {
        return fail(Code::unsupported, "message.encode", fmt::format("{} version {}", type.name, version));
    }
    const Field* lost = first_lost(type.table, version, static_cast<const std::byte*>(message));
    if (lost == nullptr) { return {}; }
    return fail(Code::invalid, "message.encode",
                fmt::format("{} version {} cannot carry {} as it is", type.name, version, lost->name));
}

}  // namespace flowstone::kafka
