#include "net/broker/find_coordinator.h"

#include "log/consumer_offsets.h"

namespace flowstone {
namespace {

FoundCoordinator find(CoordinatorType type, const std::string& key, std::span<const int32_t> leaders) {
    const auto refuse = [&](kafka::ErrorCode error, std::string_view why) {
        return FoundCoordinator{.key = key, .error = error, .error_message = std::string(why)};
    };
    switch (type) {
        case CoordinatorType::group: break;
        case CoordinatorType::transaction:
            return refuse(kafka::ErrorCode::transactional_id_authorization_failed, "Transactions are not served.");
        default: return refuse(kafka::ErrorCode::invalid_request, "There is no coordinator of this type.");
    }
    if (leaders.empty()) {
        return refuse(kafka::ErrorCode::coordinator_not_available, "The topic of consumer offsets is being made.");
    }
    const auto partition = static_cast<size_t>(partition_for_group(key, static_cast<int32_t>(leaders.size())));
    if (leaders[partition] < 0) {
        return refuse(kafka::ErrorCode::coordinator_not_available, "No broker leads the group's partition now.");
    }
    return {.key = key, .error = kafka::ErrorCode::none, .error_message = {}, .broker = leaders[partition]};
}

}  // namespace

std::vector<FoundCoordinator> find_coordinators(CoordinatorType type, std::span<const std::string> keys,
                                                std::span<const int32_t> leaders) {
    std::vector<FoundCoordinator> found;
    for (const std::string& key : keys) { found.push_back(find(type, key, leaders)); }
    return found;
}

}  // namespace flowstone
