// Producer ids, and what operators ask of a broker that has one node and neither transactions nor security: each answer
// is what such a node truthfully says. SERVE.md; Kafka's tools print these.
//
// Threads: the broker's one.
#pragma once

#include "net/broker/request.h"
#include "net/kafka/messages/create_acls.h"
#include "net/kafka/messages/delete_acls.h"
#include "net/kafka/messages/describe_acls.h"
#include "net/kafka/messages/describe_client_quotas.h"
#include "net/kafka/messages/describe_log_dirs.h"
#include "net/kafka/messages/describe_producers.h"
#include "net/kafka/messages/describe_quorum.h"
#include "net/kafka/messages/elect_leaders.h"
#include "net/kafka/messages/init_producer_id.h"
#include "net/kafka/messages/list_partition_reassignments.h"
#include "net/kafka/messages/list_transactions.h"

namespace flowstone {

class AdminHandler {
public:
    explicit AdminHandler(BrokerContext& context) : context_(context) {}

    void on(const Request& request, const kafka::InitProducerIdRequest& asked);
    void on(const Request& request, const kafka::DescribeProducersRequest& asked);
    void on(Request request, const kafka::DescribeLogDirsRequest& asked);
    void on(const Request& request, const kafka::ElectLeadersRequest& asked);
    void on(const Request& request, const kafka::ListPartitionReassignmentsRequest& asked);
    void on(const Request& request, const kafka::DescribeAclsRequest& asked);
    void on(const Request& request, const kafka::CreateAclsRequest& asked);
    void on(const Request& request, const kafka::DeleteAclsRequest& asked);
    void on(const Request& request, const kafka::DescribeClientQuotasRequest& asked);
    void on(const Request& request, const kafka::ListTransactionsRequest& asked);
    void on(const Request& request, const kafka::DescribeQuorumRequest& asked);

private:
    BrokerContext& context_;
};

}  // namespace flowstone
