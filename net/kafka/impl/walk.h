// What every walk over a table of fields needs: a field's value, and whether two are alike.
#pragma once

#include <cstddef>

#include "net/kafka/fields.h"

namespace flowstone::kafka {

// The value at a member's address; null for an optional without one.
inline const void* value_of(const Field& field, const std::byte* at) {
    return field.type.optional == nullptr ? at : field.type.optional->get(at);
}

bool same_structure(const FieldTable& table, const std::byte* a, const std::byte* b);
bool same_field(const Field& field, const std::byte* a_object, const std::byte* b_object);

inline bool has_default(const FieldTable& table, const Field& field, const std::byte* object) {
    return same_field(field, object, static_cast<const std::byte*>(table.defaults));
}

}  // namespace flowstone::kafka
