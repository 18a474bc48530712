#include "net/kafka/impl/walk.h"

#include <algorithm>

#include "net/kafka/message.h"

namespace flowstone::kafka {
namespace {

std::vector<std::byte> joined(const Records& records) {
    std::vector<std::byte> all;
    for (const Bytes piece : records.pieces) { all.insert(all.end(), piece.begin(), piece.end()); }
    return all;
}

bool same_value(const Field& field, const void* a, const void* b) {
    const auto same_bytes = [&](size_t size) { return std::memcmp(a, b, size) == 0; };
    switch (field.type.kind) {
        case Kind::boolean:
        case Kind::int8: return same_bytes(1);
        case Kind::int16:
        case Kind::uint16: return same_bytes(2);
        case Kind::int32:
        case Kind::uint32: return same_bytes(4);
        case Kind::int64:
        case Kind::float64: return same_bytes(8);  // a number that is none is like itself
        case Kind::uuid: return same_bytes(sizeof(Uuid));
        case Kind::text: return *static_cast<const std::string*>(a) == *static_cast<const std::string*>(b);
        case Kind::bytes: return std::ranges::equal(*static_cast<const Bytes*>(a), *static_cast<const Bytes*>(b));
        case Kind::records: {
            const auto& first = *static_cast<const Records*>(a);
            const auto& second = *static_cast<const Records*>(b);
            return first.is_null == second.is_null && joined(first) == joined(second);
        }
        case Kind::structure:
            return same_structure(*field.structure, static_cast<const std::byte*>(a), static_cast<const std::byte*>(b));
    }
    return false;
}

bool same_list(const Field& field, const void* a, const void* b) {
    const ListAccess& access = *field.type.list;
    const size_t size = access.size(a);
    if (size != access.size(b)) { return false; }
    const auto* first = static_cast<const std::byte*>(access.data(a));
    const auto* second = static_cast<const std::byte*>(access.data(b));
    for (size_t i = 0; i < size; ++i, first += access.element_bytes, second += access.element_bytes) {
        if (!same_value(field, first, second)) { return false; }
    }
    return true;
}

}  // namespace

bool same_field(const Field& field, const std::byte* a_object, const std::byte* b_object) {
    const void* a = value_of(field, a_object + field.offset);
    const void* b = value_of(field, b_object + field.offset);
    if (a == nullptr || b == nullptr) { return a == b; }
    return field.type.list != nullptr ? same_list(field, a, b) : same_value(field, a, b);
}

bool same_structure(const FieldTable& table, const std::byte* a, const std::byte* b) {
    const auto is_same = [&](const Field& field) { return same_field(field, a, b); };
    return std::ranges::all_of(table.fields, is_same) && std::ranges::all_of(table.tagged, is_same);
}

bool same_message(const MessageType& type, const void* a, const void* b) {
    return same_structure(type.table, static_cast<const std::byte*>(a), static_cast<const std::byte*>(b));
}

}  // namespace flowstone::kafka
