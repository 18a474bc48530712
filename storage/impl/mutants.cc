#include "storage/mutants.h"

#ifdef FLOWSTONE_MUTANTS

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>

#include "storage/check.h"

namespace flowstone {
namespace {

#define FLOWSTONE_MUTANT(name) #name,
constexpr std::string_view names[] = {
#include "storage/mutants.inc"
};
#undef FLOWSTONE_MUTANT

std::optional<Mutant> chosen() {
    const char* name = std::getenv("FLOWSTONE_MUTANT");
    if (name == nullptr || *name == '\0') { return std::nullopt; }
    const auto* found = std::ranges::find(names, std::string_view(name));
    CHECK(found != std::end(names));
    return static_cast<Mutant>(found - std::begin(names));
}

}  // namespace

bool mutated(Mutant mutant) {
    static const std::optional<Mutant> one = chosen();
    return mutant == one;
}

}  // namespace flowstone

#endif
