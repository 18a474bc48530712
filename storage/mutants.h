// Faults that a build of its own has in it, to see that a test notices each: `./dev sim --mutants` builds with
// FLOWSTONE_MUTANTS and runs tests with the environment variable FLOWSTONE_MUTANT set to one name after another. Which test
// is to notice which: docs/DURABILITY.md. Every other build knows no mutant: mutated() is the constant false.
#pragma once

#include <cstdint>

namespace flowstone {

#define FLOWSTONE_MUTANT(name) name,
enum class Mutant : uint8_t {
#include "storage/mutants.inc"
};
#undef FLOWSTONE_MUTANT

#ifdef FLOWSTONE_MUTANTS
bool mutated(Mutant mutant);  // any thread; CHECKs that FLOWSTONE_MUTANT is unset, empty or a name of the list
#else
constexpr bool mutated(Mutant) { return false; }
#endif

}  // namespace flowstone
