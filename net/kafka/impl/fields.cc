#include "net/kafka/fields.h"

#include <algorithm>

#include "storage/check.h"

namespace flowstone::kafka {

void FieldTable::add(const Field& field) {
    Field whole = field;
    if (field.type.structure != nullptr) { whole.structure = &field.type.structure(); }
    if (!whole.is_tagged()) {
        fields.push_back(whole);
        return;
    }
    const auto place =
        std::ranges::lower_bound(tagged, whole.rule.tag, {}, [](const Field& one) { return one.rule.tag; });
    CHECK(place == tagged.end() || place->rule.tag != whole.rule.tag);
    tagged.insert(place, whole);
}

}  // namespace flowstone::kafka
