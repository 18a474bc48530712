#include "net/kafka/error_code.h"

#include <algorithm>
#include <array>
#include <string>

namespace flowstone::kafka {
namespace {

enum class Again : bool { final = false, retry = true };

struct Entry {
    ErrorCode code;
    std::string name;
    Again again;
};

std::string upper_case(std::string_view text) {
    std::string upper(text);
    for (char& letter : upper) {
        if (letter >= 'a' && letter <= 'z') { letter = static_cast<char>(letter - 'a' + 'A'); }
    }
    return upper;
}

constexpr int16_t first_code = -1;

// In the order of the codes, without holes, so that a code is its place.
const auto& table() {
    static const auto entries = std::to_array<Entry>({
#define FLOWSTONE_KAFKA_CODE(name, number, again) {ErrorCode::name, upper_case(#name), Again::again},
        FLOWSTONE_KAFKA_ERROR_CODES(FLOWSTONE_KAFKA_CODE)
#undef FLOWSTONE_KAFKA_CODE
    });
    return entries;
}

const Entry* find(ErrorCode code) {
    const int place = static_cast<int16_t>(code) - first_code;
    if (place < 0 || place >= static_cast<int>(table().size())) { return nullptr; }
    return &table()[static_cast<size_t>(place)];
}

// What find() relies on.
constexpr bool is_without_holes() {
    int next = first_code;
#define FLOWSTONE_KAFKA_CODE(name, number, again) \
    if ((number) != next++) { return false; }
    FLOWSTONE_KAFKA_ERROR_CODES(FLOWSTONE_KAFKA_CODE)
#undef FLOWSTONE_KAFKA_CODE
    return true;
}
static_assert(is_without_holes());

}  // namespace

std::string_view name(ErrorCode code) {
    const Entry* entry = find(code);
    return entry == nullptr ? std::string_view("UNKNOWN") : entry->name;
}

std::optional<ErrorCode> error_code_named(std::string_view name) {
    const auto& entries = table();
    const auto* entry = std::ranges::find(entries, name, &Entry::name);
    if (entry == entries.end()) { return std::nullopt; }
    return entry->code;
}

bool is_retriable(ErrorCode code) {
    const Entry* entry = find(code);
    return entry != nullptr && entry->again == Again::retry;
}

}  // namespace flowstone::kafka
