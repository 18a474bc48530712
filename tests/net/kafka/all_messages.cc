// A source of its own: the code of all messages takes a minute to compile, and several programs want it.
#include "tests/net/kafka/all_messages.h"

#include <array>

#include "net/kafka/message.h"
#include "net/kafka/messages/add_offsets_to_txn.h"
#include "net/kafka/messages/add_partitions_to_txn.h"
#include "net/kafka/messages/add_raft_voter.h"
#include "net/kafka/messages/alter_client_quotas.h"
#include "net/kafka/messages/alter_configs.h"
#include "net/kafka/messages/alter_partition_reassignments.h"
#include "net/kafka/messages/alter_replica_log_dirs.h"
#include "net/kafka/messages/alter_share_group_offsets.h"
#include "net/kafka/messages/alter_user_scram_credentials.h"
#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/consumer_group_describe.h"
#include "net/kafka/messages/consumer_group_heartbeat.h"
#include "net/kafka/messages/create_acls.h"
#include "net/kafka/messages/create_delegation_token.h"
#include "net/kafka/messages/create_partitions.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_acls.h"
#include "net/kafka/messages/delete_groups.h"
#include "net/kafka/messages/delete_records.h"
#include "net/kafka/messages/delete_share_group_offsets.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/describe_acls.h"
#include "net/kafka/messages/describe_client_quotas.h"
#include "net/kafka/messages/describe_cluster.h"
#include "net/kafka/messages/describe_configs.h"
#include "net/kafka/messages/describe_delegation_token.h"
#include "net/kafka/messages/describe_groups.h"
#include "net/kafka/messages/describe_log_dirs.h"
#include "net/kafka/messages/describe_producers.h"
#include "net/kafka/messages/describe_quorum.h"
#include "net/kafka/messages/describe_share_group_offsets.h"
#include "net/kafka/messages/describe_topic_partitions.h"
#include "net/kafka/messages/describe_transactions.h"
#include "net/kafka/messages/describe_user_scram_credentials.h"
#include "net/kafka/messages/elect_leaders.h"
#include "net/kafka/messages/end_txn.h"
#include "net/kafka/messages/expire_delegation_token.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/find_coordinator.h"
#include "net/kafka/messages/get_telemetry_subscriptions.h"
#include "net/kafka/messages/heartbeat.h"
#include "net/kafka/messages/incremental_alter_configs.h"
#include "net/kafka/messages/init_producer_id.h"
#include "net/kafka/messages/join_group.h"
#include "net/kafka/messages/leave_group.h"
#include "net/kafka/messages/list_config_resources.h"
#include "net/kafka/messages/list_groups.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/list_partition_reassignments.h"
#include "net/kafka/messages/list_transactions.h"
#include "net/kafka/messages/metadata.h"
#include "net/kafka/messages/offset_commit.h"
#include "net/kafka/messages/offset_delete.h"
#include "net/kafka/messages/offset_fetch.h"
#include "net/kafka/messages/offset_for_leader_epoch.h"
#include "net/kafka/messages/produce.h"
#include "net/kafka/messages/push_telemetry.h"
#include "net/kafka/messages/remove_raft_voter.h"
#include "net/kafka/messages/renew_delegation_token.h"
#include "net/kafka/messages/sasl_authenticate.h"
#include "net/kafka/messages/sasl_handshake.h"
#include "net/kafka/messages/share_acknowledge.h"
#include "net/kafka/messages/share_fetch.h"
#include "net/kafka/messages/share_group_describe.h"
#include "net/kafka/messages/share_group_heartbeat.h"
#include "net/kafka/messages/streams_group_describe.h"
#include "net/kafka/messages/streams_group_heartbeat.h"
#include "net/kafka/messages/sync_group.h"
#include "net/kafka/messages/txn_offset_commit.h"
#include "net/kafka/messages/unregister_broker.h"
#include "net/kafka/messages/update_features.h"
#include "net/kafka/messages/write_txn_markers.h"

namespace flowstone::kafka {
namespace {

template <class T>
constexpr AnyMessage any_message() {
    return {&message_type<T>, []() -> std::shared_ptr<void> { return std::make_shared<T>(); }};
}

constexpr auto messages = std::to_array<AnyMessage>({
    any_message<AddOffsetsToTxnRequest>(),
    any_message<AddOffsetsToTxnResponse>(),
    any_message<AddPartitionsToTxnRequest>(),
    any_message<AddPartitionsToTxnResponse>(),
    any_message<AddRaftVoterRequest>(),
    any_message<AddRaftVoterResponse>(),
    any_message<AlterClientQuotasRequest>(),
    any_message<AlterClientQuotasResponse>(),
    any_message<AlterConfigsRequest>(),
    any_message<AlterConfigsResponse>(),
    any_message<AlterPartitionReassignmentsRequest>(),
    any_message<AlterPartitionReassignmentsResponse>(),
    any_message<AlterReplicaLogDirsRequest>(),
    any_message<AlterReplicaLogDirsResponse>(),
    any_message<AlterShareGroupOffsetsRequest>(),
    any_message<AlterShareGroupOffsetsResponse>(),
    any_message<AlterUserScramCredentialsRequest>(),
    any_message<AlterUserScramCredentialsResponse>(),
    any_message<ApiVersionsRequest>(),
    any_message<ApiVersionsResponse>(),
    any_message<ConsumerGroupDescribeRequest>(),
    any_message<ConsumerGroupDescribeResponse>(),
    any_message<ConsumerGroupHeartbeatRequest>(),
    any_message<ConsumerGroupHeartbeatResponse>(),
    any_message<CreateAclsRequest>(),
    any_message<CreateAclsResponse>(),
    any_message<CreateDelegationTokenRequest>(),
    any_message<CreateDelegationTokenResponse>(),
    any_message<CreatePartitionsRequest>(),
    any_message<CreatePartitionsResponse>(),
    any_message<CreateTopicsRequest>(),
    any_message<CreateTopicsResponse>(),
    any_message<DeleteAclsRequest>(),
    any_message<DeleteAclsResponse>(),
    any_message<DeleteGroupsRequest>(),
    any_message<DeleteGroupsResponse>(),
    any_message<DeleteRecordsRequest>(),
    any_message<DeleteRecordsResponse>(),
    any_message<DeleteShareGroupOffsetsRequest>(),
    any_message<DeleteShareGroupOffsetsResponse>(),
    any_message<DeleteTopicsRequest>(),
    any_message<DeleteTopicsResponse>(),
    any_message<DescribeAclsRequest>(),
    any_message<DescribeAclsResponse>(),
    any_message<DescribeClientQuotasRequest>(),
    any_message<DescribeClientQuotasResponse>(),
    any_message<DescribeClusterRequest>(),
    any_message<DescribeClusterResponse>(),
    any_message<DescribeConfigsRequest>(),
    any_message<DescribeConfigsResponse>(),
    any_message<DescribeDelegationTokenRequest>(),
    any_message<DescribeDelegationTokenResponse>(),
    any_message<DescribeGroupsRequest>(),
    any_message<DescribeGroupsResponse>(),
    any_message<DescribeLogDirsRequest>(),
    any_message<DescribeLogDirsResponse>(),
    any_message<DescribeProducersRequest>(),
    any_message<DescribeProducersResponse>(),
    any_message<DescribeQuorumRequest>(),
    any_message<DescribeQuorumResponse>(),
    any_message<DescribeShareGroupOffsetsRequest>(),
    any_message<DescribeShareGroupOffsetsResponse>(),
    any_message<DescribeTopicPartitionsRequest>(),
    any_message<DescribeTopicPartitionsResponse>(),
    any_message<DescribeTransactionsRequest>(),
    any_message<DescribeTransactionsResponse>(),
    any_message<DescribeUserScramCredentialsRequest>(),
    any_message<DescribeUserScramCredentialsResponse>(),
    any_message<ElectLeadersRequest>(),
    any_message<ElectLeadersResponse>(),
    any_message<EndTxnRequest>(),
    any_message<EndTxnResponse>(),
    any_message<ExpireDelegationTokenRequest>(),
    any_message<ExpireDelegationTokenResponse>(),
    any_message<FetchRequest>(),
    any_message<FetchResponse>(),
    any_message<FindCoordinatorRequest>(),
    any_message<FindCoordinatorResponse>(),
    any_message<GetTelemetrySubscriptionsRequest>(),
    any_message<GetTelemetrySubscriptionsResponse>(),
    any_message<HeartbeatRequest>(),
    any_message<HeartbeatResponse>(),
    any_message<IncrementalAlterConfigsRequest>(),
    any_message<IncrementalAlterConfigsResponse>(),
    any_message<InitProducerIdRequest>(),
    any_message<InitProducerIdResponse>(),
    any_message<JoinGroupRequest>(),
    any_message<JoinGroupResponse>(),
    any_message<LeaveGroupRequest>(),
    any_message<LeaveGroupResponse>(),
    any_message<ListConfigResourcesRequest>(),
    any_message<ListConfigResourcesResponse>(),
    any_message<ListGroupsRequest>(),
    any_message<ListGroupsResponse>(),
    any_message<ListOffsetsRequest>(),
    any_message<ListOffsetsResponse>(),
    any_message<ListPartitionReassignmentsRequest>(),
    any_message<ListPartitionReassignmentsResponse>(),
    any_message<ListTransactionsRequest>(),
    any_message<ListTransactionsResponse>(),
    any_message<MetadataRequest>(),
    any_message<MetadataResponse>(),
    any_message<OffsetCommitRequest>(),
    any_message<OffsetCommitResponse>(),
    any_message<OffsetDeleteRequest>(),
    any_message<OffsetDeleteResponse>(),
    any_message<OffsetFetchRequest>(),
    any_message<OffsetFetchResponse>(),
    any_message<OffsetForLeaderEpochRequest>(),
    any_message<OffsetForLeaderEpochResponse>(),
    any_message<ProduceRequest>(),
    any_message<ProduceResponse>(),
    any_message<PushTelemetryRequest>(),
    any_message<PushTelemetryResponse>(),
    any_message<RemoveRaftVoterRequest>(),
    any_message<RemoveRaftVoterResponse>(),
    any_message<RenewDelegationTokenRequest>(),
    any_message<RenewDelegationTokenResponse>(),
    any_message<SaslAuthenticateRequest>(),
    any_message<SaslAuthenticateResponse>(),
    any_message<SaslHandshakeRequest>(),
    any_message<SaslHandshakeResponse>(),
    any_message<ShareAcknowledgeRequest>(),
    any_message<ShareAcknowledgeResponse>(),
    any_message<ShareFetchRequest>(),
    any_message<ShareFetchResponse>(),
    any_message<ShareGroupDescribeRequest>(),
    any_message<ShareGroupDescribeResponse>(),
    any_message<ShareGroupHeartbeatRequest>(),
    any_message<ShareGroupHeartbeatResponse>(),
    any_message<StreamsGroupDescribeRequest>(),
    any_message<StreamsGroupDescribeResponse>(),
    any_message<StreamsGroupHeartbeatRequest>(),
    any_message<StreamsGroupHeartbeatResponse>(),
    any_message<SyncGroupRequest>(),
    any_message<SyncGroupResponse>(),
    any_message<TxnOffsetCommitRequest>(),
    any_message<TxnOffsetCommitResponse>(),
    any_message<UnregisterBrokerRequest>(),
    any_message<UnregisterBrokerResponse>(),
    any_message<UpdateFeaturesRequest>(),
    any_message<UpdateFeaturesResponse>(),
    any_message<WriteTxnMarkersRequest>(),
    any_message<WriteTxnMarkersResponse>(),
});

}  // namespace

constinit const std::span<const AnyMessage> all_messages = messages;

const AnyMessage* find_message(std::string_view name) {
    for (const AnyMessage& message : all_messages) {
        if (message.type().name == name) { return &message; }
    }
    return nullptr;
}

}  // namespace flowstone::kafka
