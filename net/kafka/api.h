// Kafka's api keys, and for each the versions that we can read and write.
//
// Source: Kafka 4.3's message schemas. These are Kafka 4.3's valid versions, except InitProducerId, whose version 6 is
// unstable there. What a broker advertises is its own, narrower matter. Keys without a header in net/kafka/messages/
// are those that no client sends. Keys 4 to 7 were removed in 4.0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "net/kafka/fields.h"

namespace flowstone::kafka {

constexpr int16_t never_flexible = std::numeric_limits<int16_t>::max();

// One line an api: name, Kafka's name, key, first version, last version, first flexible version.
#define FLOWSTONE_KAFKA_APIS(API)                                                     \
    API(produce, "Produce", 0, 3, 13, 9)                                              \
    API(fetch, "Fetch", 1, 4, 18, 12)                                                 \
    API(list_offsets, "ListOffsets", 2, 1, 11, 6)                                     \
    API(metadata, "Metadata", 3, 0, 13, 9)                                            \
    API(offset_commit, "OffsetCommit", 8, 2, 10, 8)                                   \
    API(offset_fetch, "OffsetFetch", 9, 1, 10, 6)                                     \
    API(find_coordinator, "FindCoordinator", 10, 0, 6, 3)                             \
    API(join_group, "JoinGroup", 11, 0, 9, 6)                                         \
    API(heartbeat, "Heartbeat", 12, 0, 4, 4)                                          \
    API(leave_group, "LeaveGroup", 13, 0, 5, 4)                                       \
    API(sync_group, "SyncGroup", 14, 0, 5, 4)                                         \
    API(describe_groups, "DescribeGroups", 15, 0, 6, 5)                               \
    API(list_groups, "ListGroups", 16, 0, 5, 3)                                       \
    API(sasl_handshake, "SaslHandshake", 17, 0, 1, never_flexible)                    \
    API(api_versions, "ApiVersions", 18, 0, 4, 3)                                     \
    API(create_topics, "CreateTopics", 19, 2, 7, 5)                                   \
    API(delete_topics, "DeleteTopics", 20, 1, 6, 4)                                   \
    API(delete_records, "DeleteRecords", 21, 0, 2, 2)                                 \
    API(init_producer_id, "InitProducerId", 22, 0, 5, 2)                              \
    API(offset_for_leader_epoch, "OffsetForLeaderEpoch", 23, 2, 4, 4)                 \
    API(add_partitions_to_txn, "AddPartitionsToTxn", 24, 0, 5, 3)                     \
    API(add_offsets_to_txn, "AddOffsetsToTxn", 25, 0, 4, 3)                           \
    API(end_txn, "EndTxn", 26, 0, 5, 3)                                               \
    API(write_txn_markers, "WriteTxnMarkers", 27, 1, 2, 1)                            \
    API(txn_offset_commit, "TxnOffsetCommit", 28, 0, 5, 3)                            \
    API(describe_acls, "DescribeAcls", 29, 1, 3, 2)                                   \
    API(create_acls, "CreateAcls", 30, 1, 3, 2)                                       \
    API(delete_acls, "DeleteAcls", 31, 1, 3, 2)                                       \
    API(describe_configs, "DescribeConfigs", 32, 1, 4, 4)                             \
    API(alter_configs, "AlterConfigs", 33, 0, 2, 2)                                   \
    API(alter_replica_log_dirs, "AlterReplicaLogDirs", 34, 1, 2, 2)                   \
    API(describe_log_dirs, "DescribeLogDirs", 35, 1, 5, 2)                            \
    API(sasl_authenticate, "SaslAuthenticate", 36, 0, 2, 2)                           \
    API(create_partitions, "CreatePartitions", 37, 0, 3, 2)                           \
    API(create_delegation_token, "CreateDelegationToken", 38, 1, 3, 2)                \
    API(renew_delegation_token, "RenewDelegationToken", 39, 1, 2, 2)                  \
    API(expire_delegation_token, "ExpireDelegationToken", 40, 1, 2, 2)                \
    API(describe_delegation_token, "DescribeDelegationToken", 41, 1, 3, 2)            \
    API(delete_groups, "DeleteGroups", 42, 0, 2, 2)                                   \
    API(elect_leaders, "ElectLeaders", 43, 0, 2, 2)                                   \
    API(incremental_alter_configs, "IncrementalAlterConfigs", 44, 0, 1, 1)            \
    API(alter_partition_reassignments, "AlterPartitionReassignments", 45, 0, 1, 0)    \
    API(list_partition_reassignments, "ListPartitionReassignments", 46, 0, 0, 0)      \
    API(offset_delete, "OffsetDelete", 47, 0, 0, never_flexible)                      \
    API(describe_client_quotas, "DescribeClientQuotas", 48, 0, 1, 1)                  \
    API(alter_client_quotas, "AlterClientQuotas", 49, 0, 1, 1)                        \
    API(describe_user_scram_credentials, "DescribeUserScramCredentials", 50, 0, 0, 0) \
    API(alter_user_scram_credentials, "AlterUserScramCredentials", 51, 0, 0, 0)       \
    API(vote, "Vote", 52, 0, 2, 0)                                                    \
    API(begin_quorum_epoch, "BeginQuorumEpoch", 53, 0, 1, 1)                          \
    API(end_quorum_epoch, "EndQuorumEpoch", 54, 0, 1, 1)                              \
    API(describe_quorum, "DescribeQuorum", 55, 0, 2, 0)                               \
    API(alter_partition, "AlterPartition", 56, 2, 3, 0)                               \
    API(update_features, "UpdateFeatures", 57, 0, 2, 0)                               \
    API(envelope, "Envelope", 58, 0, 0, 0)                                            \
    API(fetch_snapshot, "FetchSnapshot", 59, 0, 1, 0)                                 \
    API(describe_cluster, "DescribeCluster", 60, 0, 2, 0)                             \
    API(describe_producers, "DescribeProducers", 61, 0, 0, 0)                         \
    API(broker_registration, "BrokerRegistration", 62, 0, 4, 0)                       \
    API(broker_heartbeat, "BrokerHeartbeat", 63, 0, 2, 0)                             \
    API(unregister_broker, "UnregisterBroker", 64, 0, 0, 0)                           \
    API(describe_transactions, "DescribeTransactions", 65, 0, 0, 0)                   \
    API(list_transactions, "ListTransactions", 66, 0, 2, 0)                           \
    API(allocate_producer_ids, "AllocateProducerIds", 67, 0, 0, 0)                    \
    API(consumer_group_heartbeat, "ConsumerGroupHeartbeat", 68, 0, 1, 0)              \
    API(consumer_group_describe, "ConsumerGroupDescribe", 69, 0, 1, 0)                \
    API(controller_registration, "ControllerRegistration", 70, 0, 0, 0)               \
    API(get_telemetry_subscriptions, "GetTelemetrySubscriptions", 71, 0, 0, 0)        \
    API(push_telemetry, "PushTelemetry", 72, 0, 0, 0)                                 \
    API(assign_replicas_to_dirs, "AssignReplicasToDirs", 73, 0, 0, 0)                 \
    API(list_config_resources, "ListConfigResources", 74, 0, 1, 0)                    \
    API(describe_topic_partitions, "DescribeTopicPartitions", 75, 0, 0, 0)            \
    API(share_group_heartbeat, "ShareGroupHeartbeat", 76, 1, 1, 0)                    \
    API(share_group_describe, "ShareGroupDescribe", 77, 1, 1, 0)                      \
    API(share_fetch, "ShareFetch", 78, 1, 2, 0)                                       \
    API(share_acknowledge, "ShareAcknowledge", 79, 1, 2, 0)                           \
    API(add_raft_voter, "AddRaftVoter", 80, 0, 1, 0)                                  \
    API(remove_raft_voter, "RemoveRaftVoter", 81, 0, 0, 0)                            \
    API(update_raft_voter, "UpdateRaftVoter", 82, 0, 0, 0)                            \
    API(initialize_share_group_state, "InitializeShareGroupState", 83, 0, 0, 0)       \
    API(read_share_group_state, "ReadShareGroupState", 84, 0, 0, 0)                   \
    API(write_share_group_state, "WriteShareGroupState", 85, 0, 1, 0)                 \
    API(delete_share_group_state, "DeleteShareGroupState", 86, 0, 0, 0)               \
    API(read_share_group_state_summary, "ReadShareGroupStateSummary", 87, 0, 1, 0)    \
    API(streams_group_heartbeat, "StreamsGroupHeartbeat", 88, 0, 0, 0)                \
    API(streams_group_describe, "StreamsGroupDescribe", 89, 0, 0, 0)                  \
    API(describe_share_group_offsets, "DescribeShareGroupOffsets", 90, 0, 1, 0)       \
    API(alter_share_group_offsets, "AlterShareGroupOffsets", 91, 0, 0, 0)             \
    API(delete_share_group_offsets, "DeleteShareGroupOffsets", 92, 0, 0, 0)

enum class ApiKey : int16_t {
#define FLOWSTONE_KAFKA_API(name, text, key, min, max, flexible) name = key,
    FLOWSTONE_KAFKA_APIS(FLOWSTONE_KAFKA_API)
#undef FLOWSTONE_KAFKA_API
};

struct Api {
    ApiKey key;
    const char* name;        // "ListOffsets"
    Versions versions;       // that we can read and write
    int16_t flexible_since;  // compact forms and tagged fields from this version on
    constexpr bool is_flexible(int16_t version) const { return version >= flexible_since; }
};

inline constexpr auto apis = std::to_array<Api>({
#define FLOWSTONE_KAFKA_API(name, text, key, min, max, flexible) {ApiKey::name, text, {min, max}, flexible},
    FLOWSTONE_KAFKA_APIS(FLOWSTONE_KAFKA_API)
#undef FLOWSTONE_KAFKA_API
});

// Null for a number that is no live key.
constexpr const Api* find_api(ApiKey key) {
    // In order, and nearly without holes: the place is the number, or at most four before it.
    const auto number = static_cast<int16_t>(key);
    if (number < 0) { return nullptr; }
    for (size_t place = number < 4 ? 0 : static_cast<size_t>(number) - 4; place < apis.size(); ++place) {
        if (apis[place].key == key) { return &apis[place]; }
        if (apis[place].key > key) { break; }
    }
    return nullptr;
}

// Kafka's name, "ListOffsets"; "unknown" for a number that is no live key.
constexpr std::string_view name(ApiKey key) {
    const Api* api = find_api(key);
    return api == nullptr ? "unknown" : api->name;
}

// Of the header in front of a request: 1, or 2 with tagged fields. 1 for an unknown key.
constexpr int16_t request_header_version(ApiKey key, int16_t version) {
    const Api* api = find_api(key);
    return api != nullptr && api->is_flexible(version) ? 2 : 1;
}
// Of the header in front of a response: 0, or 1 with tagged fields. ApiVersions has always 0, since whoever asks does
// not yet know what the broker speaks (KIP-511).
constexpr int16_t response_header_version(ApiKey key, int16_t version) {
    const Api* api = find_api(key);
    return api != nullptr && key != ApiKey::api_versions && api->is_flexible(version) ? 1 : 0;
}

}  // namespace flowstone::kafka
