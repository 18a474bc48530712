// Where this build lies. In a source of its own, so that nothing else depends on the place and objects are shared
// between clones.
#pragma once

#include <string>

namespace flowstone {

std::string source_path(const std::string& below);  // of a file in the source tree
std::string tool_path();                            // of the built `flowstone`
std::string flowstoned_path();                      // of the built `flowstoned`
std::string fintech_path();                         // of the built `flowstone-fintech`

}  // namespace flowstone
