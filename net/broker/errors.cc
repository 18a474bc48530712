#include "net/broker/errors.h"

namespace flowstone {

using kafka::ErrorCode;

kafka::ErrorCode append_error(const Error& error) {
    switch (error.code) {
        case Code::corrupt: return ErrorCode::corrupt_message;
        case Code::not_found: return ErrorCode::unknown_topic_or_partition;
        case Code::out_of_range: return ErrorCode::invalid_timestamp;
        case Code::stale_epoch: return ErrorCode::invalid_producer_epoch;
        case Code::invalid: return ErrorCode::invalid_record;
        case Code::too_large: return ErrorCode::message_too_large;
        case Code::out_of_order: return ErrorCode::out_of_order_sequence_number;
        case Code::unsupported: return ErrorCode::unsupported_compression_type;
        case Code::busy: return ErrorCode::not_enough_replicas;  // retriable, and does not make clients look elsewhere
        case Code::timed_out: return ErrorCode::request_timed_out;
        case Code::io:
        case Code::closed:
        case Code::exists:
        case Code::locked:
        case Code::read_only:
        case Code::offline:
        case Code::no_space: return ErrorCode::kafka_storage_error;
    }
    return ErrorCode::unknown_server_error;
}

kafka::ErrorCode read_error(const Error& error) {
    switch (error.code) {
        case Code::out_of_range: return ErrorCode::offset_out_of_range;
        case Code::not_found: return ErrorCode::unknown_topic_or_partition;
        case Code::corrupt: return ErrorCode::corrupt_message;
        case Code::timed_out: return ErrorCode::request_timed_out;
        case Code::io:
        case Code::stale_epoch:
        case Code::busy:
        case Code::closed:
        case Code::invalid:
        case Code::exists:
        case Code::locked:
        case Code::read_only:
        case Code::offline:
        case Code::too_large:
        case Code::out_of_order:
        case Code::no_space:
        case Code::unsupported: return ErrorCode::kafka_storage_error;
    }
    return ErrorCode::unknown_server_error;
}

kafka::ErrorCode partition_error(const Error& error) {
    return error.code == Code::offline ? ErrorCode::kafka_storage_error : ErrorCode::unknown_topic_or_partition;
}

kafka::ErrorCode topic_error(const Error& error) {
    switch (error.code) {
        case Code::not_found: return ErrorCode::unknown_topic_or_partition;
        case Code::exists: return ErrorCode::topic_already_exists;
        case Code::out_of_range: return ErrorCode::invalid_partitions;
        case Code::invalid: return ErrorCode::invalid_config;
        case Code::too_large: return ErrorCode::policy_violation;
        case Code::timed_out: return ErrorCode::request_timed_out;
        case Code::io:
        case Code::corrupt:
        case Code::stale_epoch:
        case Code::busy:
        case Code::closed:
        case Code::locked:
        case Code::read_only:
        case Code::offline:
        case Code::out_of_order:
        case Code::no_space:
        case Code::unsupported: return ErrorCode::kafka_storage_error;
    }
    return ErrorCode::unknown_server_error;
}

}  // namespace flowstone
