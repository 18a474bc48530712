// Reads a partition from one place to its end of now.
#pragma once

#include <functional>

#include <flowstone/client.h>

namespace flowstone::fintech {

// Every record from `begin` (or the log start, if that is behind it) up to the high watermark at the time of the call, in
// order. Returns that high watermark. Errors: the client's; timed_out (nothing came for a long time); those of `visit`.
Result<Offset> read_partition(Client& client, const TopicPartition& place, Offset begin,
                              const std::function<Result<void>(const RecordView&)>& visit);

}  // namespace flowstone::fintech
