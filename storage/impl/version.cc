#include <flowstone/version.h>

namespace flowstone {

const char* version() { return FLOWSTONE_VERSION; }

}  // namespace flowstone
