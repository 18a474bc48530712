// Finds out which rows of a CSV are already in a topic, so that a load that was cut off goes on without a gap and
// without a duplicate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <flowstone/log.h>

namespace flowstone::tool {

// The row number of each partition's last record, 0 where there is none. Rows of one file go into a partition in their
// order, so what a partition lacks is exactly its rows above that number; the log itself is the record of progress, and
// no second one can disagree with it. Requires that only this file was loaded into the topic, numbered by `row_field`.
// Errors: invalid (the last record has no row number); the log's.
Result<std::vector<uint64_t>> last_rows(const Topic& topic, const std::string& row_field);

}  // namespace flowstone::tool
