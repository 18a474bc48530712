// The name that somebody meant who wrote one that does not exist. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace flowstone {

// The one of `names` that is fewest edits from `name`: a letter more, less, another one, or two swapped. The first of
// those that are equally near. Nothing when even that one is too far away to have been meant (a third of its length,
// at least two edits), or when `name` is longer than any name could be.
std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string_view> names);

}  // namespace flowstone
