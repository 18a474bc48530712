#include "client/impl/errors.h"

#include <fmt/format.h>

namespace flowstone {
namespace {

Code code_of(kafka::ErrorCode code) {
    using enum kafka::ErrorCode;
    switch (code) {
        case offset_out_of_range: return Code::out_of_range;
        case corrupt_message: return Code::corrupt;
        case unknown_topic_or_partition:
        case unknown_topic_id:
        case group_id_not_found:
        case resource_not_found: return Code::not_found;
        case non_empty_group:
        case group_subscribed_to_topic:
        case rebalance_in_progress: return Code::busy;
        case topic_already_exists: return Code::exists;
        case offset_metadata_too_large:
        case message_too_large:
        case record_list_too_large: return Code::too_large;
        case invalid_producer_epoch:
        case producer_fenced:
        case fenced_instance_id:
        case fenced_leader_epoch:
        case stale_broker_epoch:
        case illegal_generation:
        case unknown_member_id: return Code::stale_epoch;
        case out_of_order_sequence_number:
        case unknown_producer_id: return Code::out_of_order;
        case invalid_timestamp: return Code::out_of_range;
        case kafka_storage_error: return Code::offline;
        case request_timed_out: return Code::timed_out;
        case unsupported_version:
        case unsupported_compression_type:
        case unsupported_for_message_format: return Code::unsupported;
        default: return kafka::is_retriable(code) ? Code::busy : Code::invalid;
    }
}

}  // namespace

Error error_of(kafka::ErrorCode code, const char* operation, std::string_view what, std::string_view text) {
    const std::string detail = text.empty() ? fmt::format("{}: {}", what, kafka::name(code))
                                            : fmt::format("{}: {}: {}", what, kafka::name(code), text);
    return fail(code_of(code), operation, detail).error();
}

}  // namespace flowstone
