// Kafka's error codes as errors of the client.
#pragma once

#include <string_view>

#include <flowstone/result.h>

#include "net/kafka/error_code.h"

namespace flowstone {

// `what` names the topic, partition or group. Requires a code that is not `none`.
Error error_of(kafka::ErrorCode code, const char* operation, std::string_view what, std::string_view text = {});

}  // namespace flowstone
