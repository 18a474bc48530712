// Metadata, and making, growing and deleting topics. SERVE.md rules 19, 20, 44.
//
// Threads: the broker's one. What changes the metadata log waits for its disk write within the call.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/broker/request.h"
#include "net/kafka/messages/create_partitions.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/describe_cluster.h"
#include "net/kafka/messages/describe_topic_partitions.h"
#include "net/kafka/messages/metadata.h"

namespace flowstone {

class TopicsHandler {
public:
    // `topic_deleted` is told of every topic that is gone.
    TopicsHandler(BrokerContext& context, std::function<void(const std::string&)> topic_deleted)
        : context_(context), topic_deleted_(std::move(topic_deleted)) {}

    void on(const Request& request, const kafka::MetadataRequest& metadata);
    void on(const Request& request, const kafka::DescribeTopicPartitionsRequest& describe);
    void on(const Request& request, const kafka::DescribeClusterRequest& describe);
    void on(const Request& request, const kafka::CreateTopicsRequest& create);
    void on(const Request& request, const kafka::CreatePartitionsRequest& create);
    void on(const Request& request, const kafka::DeleteTopicsRequest& remove);

    // __consumer_offsets, made when it is first asked for.
    Result<ServedTopic> offsets_topic();

private:
    struct Refusal {
        kafka::ErrorCode error;
        std::string message;
    };
    template <class Partition>
    void describe(const ServedTopic& topic, int32_t number, Partition& out) const;
    kafka::MetadataResponse::MetadataResponseTopic describe(const ServedTopic& topic, bool with_operations) const;
    kafka::MetadataResponse::MetadataResponseTopic find_or_create(std::string_view name, bool may_create,
                                                                  bool with_operations);
    std::optional<Refusal> create(const kafka::CreateTopicsRequest::CreatableTopic& asked, bool validate_only,
                                  kafka::CreateTopicsResponse::CreatableTopicResult& made);
    std::optional<Refusal> grow(const kafka::CreatePartitionsRequest::CreatePartitionsTopic& asked, bool validate_only);

    BrokerContext& context_;
    std::function<void(const std::string&)> topic_deleted_;
};

}  // namespace flowstone
