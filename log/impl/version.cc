#include <flowstone/log.h>

namespace flowstone {

const char* version() { return FLOWSTONE_VERSION; }

}  // namespace flowstone
