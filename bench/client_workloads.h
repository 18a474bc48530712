// What client_bench runs besides its own: clients of other processes.
#pragma once

#include "bench/workload.h"

namespace flowstone::bench {

std::vector<Workload> shared_workloads();

}  // namespace flowstone::bench
