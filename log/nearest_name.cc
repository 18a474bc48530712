#include "log/nearest_name.h"

#include <algorithm>
#include <array>

namespace flowstone {
namespace {

constexpr size_t name_bytes_max = 80;

// Optimal string alignment, in three rows of the usual table.
size_t edits_between(std::string_view a, std::string_view b) {
    std::array<std::array<size_t, name_bytes_max + 1>, 3> rows{};
    for (size_t j = 0; j <= b.size(); ++j) { rows[0][j] = j; }
    for (size_t i = 1; i <= a.size(); ++i) {
        auto& row = rows[i % 3];
        const auto& above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a.size() % 3][b.size()];
}

}  // namespace

std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string_view> names) {
    if (name.empty() || name.size() > name_bytes_max) { return std::nullopt; }
    std::optional<std::string_view> nearest;
    size_t fewest = 0;
    for (const std::string_view candidate : names) {
        if (candidate.size() > name_bytes_max) { continue; }
        const size_t edits = edits_between(name, candidate);
        if (edits > std::max<size_t>(2, candidate.size() / 3)) { continue; }
        if (!nearest || edits < fewest) {
            nearest = candidate;
            fewest = edits;
        }
    }
    return nearest;
}

}  // namespace flowstone
