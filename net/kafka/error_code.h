// Kafka's error codes: the numbers that answers carry, their names, and which are worth another try.
//
// Source: kafka.apache.org/protocol, "Error Codes", release 4.3. Retriable is what Kafka's own clients do: the same
// request may succeed later, perhaps after asking for metadata again. Numbers are never reused, so a later release's
// code arrives as an ErrorCode without a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace flowstone::kafka {

// One line a code: name, number, `retry` or `final`.
#define FLOWSTONE_KAFKA_ERROR_CODES(CODE)                  \
    CODE(unknown_server_error, -1, final)                  \
    CODE(none, 0, final)                                   \
    CODE(offset_out_of_range, 1, final)                    \
    CODE(corrupt_message, 2, retry)                        \
    CODE(unknown_topic_or_partition, 3, retry)             \
    CODE(invalid_fetch_size, 4, final)                     \
    CODE(leader_not_available, 5, retry)                   \
    CODE(not_leader_or_follower, 6, retry)                 \
    CODE(request_timed_out, 7, retry)                      \
    CODE(broker_not_available, 8, final)                   \
    CODE(replica_not_available, 9, retry)                  \
    CODE(message_too_large, 10, final)                     \
    CODE(stale_controller_epoch, 11, final)                \
    CODE(offset_metadata_too_large, 12, final)             \
    CODE(network_exception, 13, retry)                     \
    CODE(coordinator_load_in_progress, 14, retry)          \
    CODE(coordinator_not_available, 15, retry)             \
    CODE(not_coordinator, 16, retry)                       \
    CODE(invalid_topic_exception, 17, final)               \
    CODE(record_list_too_large, 18, final)                 \
    CODE(not_enough_replicas, 19, retry)                   \
    CODE(not_enough_replicas_after_append, 20, retry)      \
    CODE(invalid_required_acks, 21, final)                 \
    CODE(illegal_generation, 22, final)                    \
    CODE(inconsistent_group_protocol, 23, final)           \
    CODE(invalid_group_id, 24, final)                      \
    CODE(unknown_member_id, 25, final)                     \
    CODE(invalid_session_timeout, 26, final)               \
    CODE(rebalance_in_progress, 27, final)                 \
    CODE(invalid_commit_offset_size, 28, final)            \
    CODE(topic_authorization_failed, 29, final)            \
    CODE(group_authorization_failed, 30, final)            \
    CODE(cluster_authorization_failed, 31, final)          \
    CODE(invalid_timestamp, 32, final)                     \
    CODE(unsupported_sasl_mechanism, 33, final)            \
    CODE(illegal_sasl_state, 34, final)                    \
    CODE(unsupported_version, 35, final)                   \
    CODE(topic_already_exists, 36, final)                  \
    CODE(invalid_partitions, 37, final)                    \
    CODE(invalid_replication_factor, 38, final)            \
    CODE(invalid_replica_assignment, 39, final)            \
    CODE(invalid_config, 40, final)                        \
    CODE(not_controller, 41, retry)                        \
    CODE(invalid_request, 42, final)                       \
    CODE(unsupported_for_message_format, 43, final)        \
    CODE(policy_violation, 44, final)                      \
    CODE(out_of_order_sequence_number, 45, final)          \
    CODE(duplicate_sequence_number, 46, final)             \
    CODE(invalid_producer_epoch, 47, final)                \
    CODE(invalid_txn_state, 48, final)                     \
    CODE(invalid_producer_id_mapping, 49, final)           \
    CODE(invalid_transaction_timeout, 50, final)           \
    CODE(concurrent_transactions, 51, retry)               \
    CODE(transaction_coordinator_fenced, 52, final)        \
    CODE(transactional_id_authorization_failed, 53, final) \
    CODE(security_disabled, 54, final)                     \
    CODE(operation_not_attempted, 55, final)               \
    CODE(kafka_storage_error, 56, retry)                   \
    CODE(log_dir_not_found, 57, final)                     \
    CODE(sasl_authentication_failed, 58, final)            \
    CODE(unknown_producer_id, 59, final)                   \
    CODE(reassignment_in_progress, 60, final)              \
    CODE(delegation_token_auth_disabled, 61, final)        \
    CODE(delegation_token_not_found, 62, final)            \
    CODE(delegation_token_owner_mismatch, 63, final)       \
    CODE(delegation_token_request_not_allowed, 64, final)  \
    CODE(delegation_token_authorization_failed, 65, final) \
    CODE(delegation_token_expired, 66, final)              \
    CODE(invalid_principal_type, 67, final)                \
    CODE(non_empty_group, 68, final)                       \
    CODE(group_id_not_found, 69, final)                    \
    CODE(fetch_session_id_not_found, 70, retry)            \
    CODE(invalid_fetch_session_epoch, 71, retry)           \
    CODE(listener_not_found, 72, retry)                    \
    CODE(topic_deletion_disabled, 73, final)               \
    CODE(fenced_leader_epoch, 74, retry)                   \
    CODE(unknown_leader_epoch, 75, retry)                  \
    CODE(unsupported_compression_type, 76, final)          \
    CODE(stale_broker_epoch, 77, final)                    \
    CODE(offset_not_available, 78, retry)                  \
    CODE(member_id_required, 79, final)                    \
    CODE(preferred_leader_not_available, 80, retry)        \
    CODE(group_max_size_reached, 81, final)                \
    CODE(fenced_instance_id, 82, final)                    \
    CODE(eligible_leaders_not_available, 83, retry)        \
    CODE(election_not_needed, 84, retry)                   \
    CODE(no_reassignment_in_progress, 85, final)           \
    CODE(group_subscribed_to_topic, 86, final)             \
    CODE(invalid_record, 87, final)                        \
    CODE(unstable_offset_commit, 88, retry)                \
    CODE(throttling_quota_exceeded, 89, retry)             \
    CODE(producer_fenced, 90, final)                       \
    CODE(resource_not_found, 91, final)                    \
    CODE(duplicate_resource, 92, final)                    \
    CODE(unacceptable_credential, 93, final)               \
    CODE(inconsistent_voter_set, 94, final)                \
    CODE(invalid_update_version, 95, final)                \
    CODE(feature_update_failed, 96, final)                 \
    CODE(principal_deserialization_failure, 97, final)     \
    CODE(snapshot_not_found, 98, final)                    \
    CODE(position_out_of_range, 99, final)                 \
    CODE(unknown_topic_id, 100, retry)                     \
    CODE(duplicate_broker_registration, 101, final)        \
    CODE(broker_id_not_registered, 102, final)             \
    CODE(inconsistent_topic_id, 103, retry)                \
    CODE(inconsistent_cluster_id, 104, final)              \
    CODE(transactional_id_not_found, 105, final)           \
    CODE(fetch_session_topic_id_error, 106, retry)         \
    CODE(ineligible_replica, 107, final)                   \
    CODE(new_leader_elected, 108, final)                   \
    CODE(offset_moved_to_tiered_storage, 109, final)       \
    CODE(fenced_member_epoch, 110, final)                  \
    CODE(unreleased_instance_id, 111, final)               \
    CODE(unsupported_assignor, 112, final)                 \
    CODE(stale_member_epoch, 113, final)                   \
    CODE(mismatched_endpoint_type, 114, final)             \
    CODE(unsupported_endpoint_type, 115, final)            \
    CODE(unknown_controller_id, 116, final)                \
    CODE(unknown_subscription_id, 117, final)              \
    CODE(telemetry_too_large, 118, final)                  \
    CODE(invalid_registration, 119, final)                 \
    CODE(transaction_abortable, 120, final)                \
    CODE(invalid_record_state, 121, final)                 \
    CODE(share_session_not_found, 122, retry)              \
    CODE(invalid_share_session_epoch, 123, retry)          \
    CODE(fenced_state_epoch, 124, final)                   \
    CODE(invalid_voter_key, 125, final)                    \
    CODE(duplicate_voter, 126, final)                      \
    CODE(voter_not_found, 127, final)                      \
    CODE(invalid_regular_expression, 128, final)           \
    CODE(rebootstrap_required, 129, final)                 \
    CODE(streams_invalid_topology, 130, final)             \
    CODE(streams_invalid_topology_epoch, 131, final)       \
    CODE(streams_topology_fenced, 132, final)              \
    CODE(share_session_limit_reached, 133, retry)

// As answers carry it. Zero, `none`, is success.
enum class ErrorCode : int16_t {
#define FLOWSTONE_KAFKA_CODE(name, number, again) name = number,
    FLOWSTONE_KAFKA_ERROR_CODES(FLOWSTONE_KAFKA_CODE)
#undef FLOWSTONE_KAFKA_CODE
};

// As Kafka's documentation and tools spell it: "OFFSET_OUT_OF_RANGE". "UNKNOWN" for a number without a name.
std::string_view name(ErrorCode code);
// The code of a name as spelled by name(); nothing for other text.
std::optional<ErrorCode> error_code_named(std::string_view name);
// False for success and for a number without a name.
bool is_retriable(ErrorCode code);

}  // namespace flowstone::kafka
