// How a message says what it is made of: a table of fields, built once for each struct from its fields(visitor).
//
//     struct Broker {
//         int32_t node_id = 0;
//         std::optional<std::string> rack;
//         template <class Visitor>
//         static void fields(Visitor& visitor) {
//             visitor.field("node_id", &Broker::node_id);
//             visitor.field("rack", &Broker::rack, {.versions = since(1), .nullable = since(1)});
//         }
//     };
//
// Fields stand in the order of the wire; a field's default is its member initialiser. Everything else (decoding,
// encoding, sizes, printing, comparing) is one plain function each that walks such a table, so a message costs data and
// no code. Kafka's words mean what they mean in its schemas: versions, nullable, tag, ignorable.
//
// Tables are immutable once built, and built at first use, from any thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <flowstone/ids.h>

#include "storage/bytes.h"

namespace flowstone::kafka {

// Versions of a message, both ends included.
struct Versions {
    int16_t min = 0;
    int16_t max = std::numeric_limits<int16_t>::max();
    constexpr bool contains(int16_t version) const { return version >= min && version <= max; }
};
constexpr Versions since(int16_t version) { return {.min = version}; }
constexpr Versions until(int16_t version) { return {.max = version}; }
constexpr Versions between(int16_t min, int16_t max) { return {min, max}; }
constexpr Versions every_version = {};
constexpr Versions no_version = {.min = 1, .max = 0};

// Fetched batches, one behind the other on the wire, to be spliced in without a copy. Decoding gives at most one piece.
struct Records {
    std::vector<Bytes> pieces;
    bool is_null = false;
};

struct FieldRule {
    Versions versions = {};          // that have the field
    Versions nullable = no_version;  // in which it may be null
    int32_t tag = -1;                // from 0: a tagged field, left out when it has its default
    bool ignorable = false;          // whether it may be lost to a version without it: check_encodable()
    bool spliced = false;            // bytes that outlive the encoding: referred to, not copied
};

enum class Kind : uint8_t {
    boolean,
    int8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    float64,
    uuid,
    text,
    bytes,
    records,
    structure
};

// A std::vector<T> and a std::optional<T> without their T.
struct ListAccess {
    size_t element_bytes;
    size_t (*size)(const void* list);
    const void* (*data)(const void* list);
    void* (*resize)(void* list, size_t size);  // returns the first element; new ones have their defaults
};
struct OptionalAccess {
    const void* (*get)(const void* optional);  // null when there is no value
    void* (*emplace)(void* optional);
    void (*reset)(void* optional);
};

struct FieldTable;

// What follows from a member's type alone.
struct MemberType {
    Kind kind = Kind::boolean;                 // of the value, or of a list's elements
    const ListAccess* list = nullptr;          // for a list
    const OptionalAccess* optional = nullptr;  // for what can be null
    const FieldTable& (*structure)() = nullptr;
};

struct Field {
    const char* name = "";
    size_t offset = 0;  // in the struct
    MemberType type;
    FieldRule rule;
    const FieldTable* structure = nullptr;  // of the value, or of a list's elements

    bool is_tagged() const { return rule.tag >= 0; }
};

struct FieldTable {
    std::vector<Field> fields;  // in the order of the wire
    std::vector<Field> tagged;  // in the order of their tags
    const void* defaults = nullptr;

    void add(const Field& field);
};

// --- from types to tables ------------------------------------------------------------------------------------------

template <class T>
const FieldTable& table_of();

template <class T>
inline constexpr ListAccess list_access = {
    .element_bytes = sizeof(T),
    .size = [](const void* list) { return static_cast<const std::vector<T>*>(list)->size(); },
    .data = [](const void* list) -> const void* { return static_cast<const std::vector<T>*>(list)->data(); },
    .resize = [](void* list, size_t size) -> void* {
        auto& elements = *static_cast<std::vector<T>*>(list);
        elements.resize(size);
        return elements.data();
    },
};
template <class T>
inline constexpr OptionalAccess optional_access = {
    .get = [](const void* optional) -> const void* {
        const auto& value = *static_cast<const std::optional<T>*>(optional);
        return value ? &*value : nullptr;
    },
    // With a value, since a struct nested in the one that is being defined was once seen as having no default.
    .emplace = [](void* optional) -> void* { return &static_cast<std::optional<T>*>(optional)->emplace(T{}); },
    .reset = [](void* optional) { static_cast<std::optional<T>*>(optional)->reset(); },
};

template <class T>
struct MemberTypeOf {
    static constexpr MemberType value = {.kind = Kind::structure, .structure = &table_of<T>};
};
template <class T>
    requires std::is_enum_v<T>
struct MemberTypeOf<T> : MemberTypeOf<std::underlying_type_t<T>> {};
template <>
struct MemberTypeOf<bool> {
    static constexpr MemberType value = {.kind = Kind::boolean};
};
template <>
struct MemberTypeOf<int8_t> {
    static constexpr MemberType value = {.kind = Kind::int8};
};
template <>
struct MemberTypeOf<int16_t> {
    static constexpr MemberType value = {.kind = Kind::int16};
};
template <>
struct MemberTypeOf<uint16_t> {
    static constexpr MemberType value = {.kind = Kind::uint16};
};
template <>
struct MemberTypeOf<int32_t> {
    static constexpr MemberType value = {.kind = Kind::int32};
};
template <>
struct MemberTypeOf<uint32_t> {
    static constexpr MemberType value = {.kind = Kind::uint32};
};
template <>
struct MemberTypeOf<int64_t> {
    static constexpr MemberType value = {.kind = Kind::int64};
};
template <>
struct MemberTypeOf<double> {
    static constexpr MemberType value = {.kind = Kind::float64};
};
template <>
struct MemberTypeOf<Uuid> {
    static constexpr MemberType value = {.kind = Kind::uuid};
};
template <>
struct MemberTypeOf<std::string> {
    static constexpr MemberType value = {.kind = Kind::text};
};
template <>
struct MemberTypeOf<Bytes> {
    static constexpr MemberType value = {.kind = Kind::bytes};
};
template <>
struct MemberTypeOf<Records> {
    static constexpr MemberType value = {.kind = Kind::records};
};
template <class T>
struct MemberTypeOf<std::vector<T>> {
    static constexpr MemberType value = {
        .kind = MemberTypeOf<T>::value.kind, .list = &list_access<T>, .structure = MemberTypeOf<T>::value.structure};
};
template <class T>
struct MemberTypeOf<std::optional<T>> {
    static constexpr MemberType value = {.kind = MemberTypeOf<T>::value.kind,
                                         .list = MemberTypeOf<T>::value.list,
                                         .optional = &optional_access<T>,
                                         .structure = MemberTypeOf<T>::value.structure};
};

// The visitor that fields() is given.
template <class T>
class TableBuilder {
public:
    TableBuilder(FieldTable& table, const T& sample) : table_(table), sample_(sample) {}

    template <class M>
    void field(const char* name, M T::* member, const FieldRule& rule = {}) {
        const auto offset =
            reinterpret_cast<const std::byte*>(&(sample_.*member)) - reinterpret_cast<const std::byte*>(&sample_);
        table_.add({name, static_cast<size_t>(offset), MemberTypeOf<M>::value, rule});
    }

private:
    FieldTable& table_;
    const T& sample_;
};

template <class T>
const FieldTable& table_of() {
    static const T defaults{};
    static const FieldTable table = [] {
        FieldTable built;
        built.defaults = &defaults;
        TableBuilder<T> builder(built, defaults);
        T::fields(builder);
        return built;
    }();
    return table;
}

}  // namespace flowstone::kafka
