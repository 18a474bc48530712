// Our errors as Kafka's, for each kind of request the one that its clients expect.
#pragma once

#include <flowstone/result.h>

#include "net/kafka/error_code.h"

namespace flowstone {

kafka::ErrorCode append_error(const Error& error);     // of ServedLog::append
kafka::ErrorCode read_error(const Error& error);       // of reading, and of looking up offsets
kafka::ErrorCode partition_error(const Error& error);  // of finding it
kafka::ErrorCode topic_error(const Error& error);      // of making, changing and deleting topics

}  // namespace flowstone
