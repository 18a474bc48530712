// Which broker coordinates a group, or that none can (FindCoordinator, rule 35 of SERVE.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/kafka/error_code.h"

namespace flowstone {

// As the request has it.
enum class CoordinatorType : int8_t { group = 0, transaction = 1, share = 2 };

struct FoundCoordinator {
    std::string key{};
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::string error_message{};
    int32_t broker = -1;
};

// Every key has one place, the leader of its partition of __consumer_offsets, for as long as that leads.
// `leaders` has the broker that leads each partition, -1 where none does; empty: the topic is not there yet, and the
// client should ask again. Transactions and share groups are not served, and say so finally: clients do not retry
// these errors.
std::vector<FoundCoordinator> find_coordinators(CoordinatorType type, std::span<const std::string> keys,
                                                std::span<const int32_t> leaders);

}  // namespace flowstone
