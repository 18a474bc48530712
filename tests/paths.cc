#include "tests/paths.h"

namespace flowstone {

std::string source_path(const std::string& below) { return FLOWSTONE_SOURCE_DIR "/" + below; }
std::string tool_path() { return FLOWSTONE_TOOL; }
std::string flowstoned_path() { return FLOWSTONE_BROKER; }
std::string fintech_path() { return FLOWSTONE_FINTECH; }

}  // namespace flowstone
