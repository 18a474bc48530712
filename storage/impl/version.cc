#include <flowstone/version.h>

namespace flowstone {

const char* version() noexcept { return FLOWSTONE_VERSION; }

}  // namespace flowstone
