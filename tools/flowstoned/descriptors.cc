#include "tools/flowstoned/descriptors.h"

#include <sys/resource.h>

namespace flowstone {

uint64_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) { return 0; }
    const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) { limit = raised; }
    return limit.rlim_cur;
}

}  // namespace flowstone
