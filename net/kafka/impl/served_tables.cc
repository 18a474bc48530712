// The tables of every message that the broker serves or the client asks for. In its own header each is declared extern: they
// are compiled once, here, and not in each source that uses them.
#include "net/kafka/messages/alter_configs.h"
#include "net/kafka/messages/api_versions.h"
#include "net/kafka/messages/create_acls.h"
#include "net/kafka/messages/create_partitions.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_acls.h"
#include "net/kafka/messages/delete_groups.h"
#include "net/kafka/messages/delete_records.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/describe_acls.h"
#include "net/kafka/messages/describe_client_quotas.h"
#include "net/kafka/messages/describe_cluster.h"
#include "net/kafka/messages/describe_configs.h"
#include "net/kafka/messages/describe_groups.h"
#include "net/kafka/messages/describe_log_dirs.h"
#include "net/kafka/messages/describe_producers.h"
#include "net/kafka/messages/describe_quorum.h"
#include "net/kafka/messages/describe_topic_partitions.h"
#include "net/kafka/messages/elect_leaders.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/find_coordinator.h"
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
#include "net/kafka/messages/sync_group.h"

namespace flowstone::kafka {

template const FieldTable& table_of<AlterConfigsRequest>();
template const FieldTable& table_of<AlterConfigsResponse>();
template const FieldTable& table_of<ApiVersionsRequest>();
template const FieldTable& table_of<ApiVersionsResponse>();
template const FieldTable& table_of<CreateAclsRequest>();
template const FieldTable& table_of<CreateAclsResponse>();
template const FieldTable& table_of<CreatePartitionsRequest>();
template const FieldTable& table_of<CreatePartitionsResponse>();
template const FieldTable& table_of<CreateTopicsRequest>();
template const FieldTable& table_of<CreateTopicsResponse>();
template const FieldTable& table_of<DeleteAclsRequest>();
template const FieldTable& table_of<DeleteAclsResponse>();
template const FieldTable& table_of<DeleteGroupsRequest>();
template const FieldTable& table_of<DeleteGroupsResponse>();
template const FieldTable& table_of<DeleteRecordsRequest>();
template const FieldTable& table_of<DeleteRecordsResponse>();
template const FieldTable& table_of<DeleteTopicsRequest>();
template const FieldTable& table_of<DeleteTopicsResponse>();
template const FieldTable& table_of<DescribeAclsRequest>();
template const FieldTable& table_of<DescribeAclsResponse>();
template const FieldTable& table_of<DescribeClientQuotasRequest>();
template const FieldTable& table_of<DescribeClientQuotasResponse>();
template const FieldTable& table_of<DescribeClusterRequest>();
template const FieldTable& table_of<DescribeClusterResponse>();
template const FieldTable& table_of<DescribeConfigsRequest>();
template const FieldTable& table_of<DescribeConfigsResponse>();
template const FieldTable& table_of<DescribeGroupsRequest>();
template const FieldTable& table_of<DescribeGroupsResponse>();
template const FieldTable& table_of<DescribeLogDirsRequest>();
template const FieldTable& table_of<DescribeLogDirsResponse>();
template const FieldTable& table_of<DescribeProducersRequest>();
template const FieldTable& table_of<DescribeProducersResponse>();
template const FieldTable& table_of<DescribeQuorumRequest>();
template const FieldTable& table_of<DescribeQuorumResponse>();
template const FieldTable& table_of<DescribeTopicPartitionsRequest>();
template const FieldTable& table_of<DescribeTopicPartitionsResponse>();
template const FieldTable& table_of<ElectLeadersRequest>();
template const FieldTable& table_of<ElectLeadersResponse>();
template const FieldTable& table_of<FetchRequest>();
template const FieldTable& table_of<FetchResponse>();
template const FieldTable& table_of<FindCoordinatorRequest>();
template const FieldTable& table_of<FindCoordinatorResponse>();
template const FieldTable& table_of<HeartbeatRequest>();
template const FieldTable& table_of<HeartbeatResponse>();
template const FieldTable& table_of<IncrementalAlterConfigsRequest>();
template const FieldTable& table_of<IncrementalAlterConfigsResponse>();
template const FieldTable& table_of<InitProducerIdRequest>();
template const FieldTable& table_of<InitProducerIdResponse>();
template const FieldTable& table_of<JoinGroupRequest>();
template const FieldTable& table_of<JoinGroupResponse>();
template const FieldTable& table_of<LeaveGroupRequest>();
template const FieldTable& table_of<LeaveGroupResponse>();
template const FieldTable& table_of<ListConfigResourcesRequest>();
template const FieldTable& table_of<ListConfigResourcesResponse>();
template const FieldTable& table_of<ListGroupsRequest>();
template const FieldTable& table_of<ListGroupsResponse>();
template const FieldTable& table_of<ListOffsetsRequest>();
template const FieldTable& table_of<ListOffsetsResponse>();
template const FieldTable& table_of<ListPartitionReassignmentsRequest>();
template const FieldTable& table_of<ListPartitionReassignmentsResponse>();
template const FieldTable& table_of<ListTransactionsRequest>();
template const FieldTable& table_of<ListTransactionsResponse>();
template const FieldTable& table_of<MetadataRequest>();
template const FieldTable& table_of<MetadataResponse>();
template const FieldTable& table_of<OffsetCommitRequest>();
template const FieldTable& table_of<OffsetCommitResponse>();
template const FieldTable& table_of<OffsetDeleteRequest>();
template const FieldTable& table_of<OffsetDeleteResponse>();
template const FieldTable& table_of<OffsetFetchRequest>();
template const FieldTable& table_of<OffsetFetchResponse>();
template const FieldTable& table_of<OffsetForLeaderEpochRequest>();
template const FieldTable& table_of<OffsetForLeaderEpochResponse>();
template const FieldTable& table_of<ProduceRequest>();
template const FieldTable& table_of<ProduceResponse>();
template const FieldTable& table_of<SyncGroupRequest>();
template const FieldTable& table_of<SyncGroupResponse>();

}  // namespace flowstone::kafka
