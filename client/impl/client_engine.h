// All of a client that is not a thread: connections, what is known of the cluster, producers and consumers, in the order
// in which each turn looks at them. The simulated world drives it as the client's thread does.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "client/impl/broker_call.h"
#include "client/impl/cluster_view.h"
#include "client/impl/consumer_core.h"
#include "client/impl/consumer_member.h"
#include "client/impl/producer_core.h"
#include "client/impl/requests.h"

namespace flowstone {

class ClientEngine {
public:
    struct World {
        Network& network;
        Clock& clock;
        Random& random;
    };
    ClientEngine(const World& world, std::vector<HostPort> bootstrap, const ClientOptions& options);

    Requests& requests() { return requests_; }
    ClusterView& cluster() { return cluster_; }
    std::shared_ptr<ProducerCore> add_producer(const ProducerOptions& options);
    std::shared_ptr<ConsumerCore> add_consumer(const ConsumerOptions& options, std::unique_ptr<NearLog> near = nullptr);
    // Of the group that the options name.
    std::shared_ptr<ConsumerMember> add_member(const std::shared_ptr<ConsumerCore>& consumer,
                                               const ConsumerOptions& options);
    // It says farewell to its group, if it is in one, behind this call's back.
    void remove(const ConsumerCore& consumer);
    BrokerCall::World call_world() { return {requests_, cluster_, world_.clock, world_.random, request_ms_}; }
    void add(std::shared_ptr<BrokerCall> call);  // until it is done
    int64_t request_ms() const { return request_ms_; }
    void finish();               // producers send what they have, members leave their groups
    bool all_delivered() const;  // or given up; and members have left

    void turn(std::span<const NetworkEvent> events);
    int64_t quiet_ns() const;  // how long nothing need be done if no event comes; negative: for ever
    void close();

private:
    void forget_members();

    World world_;
    int64_t request_ms_;
    bool more_to_do_ = false;  // the last turn ended before everything was done
    Requests requests_;
    ClusterView cluster_;
    std::vector<std::shared_ptr<ProducerCore>> producers_;  // owners: here and each handle
    std::vector<std::shared_ptr<ConsumerCore>> consumers_;
    struct Member {
        const ConsumerCore* consumer = nullptr;  // null: it was removed
        int32_t node = 0;
        std::shared_ptr<ConsumerMember> member;  // owners: here, and its handle
    };
    std::vector<Member> members_;
    std::vector<std::shared_ptr<BrokerCall>> calls_;  // owners: here, whoever waits for it, its requests under way
};

}  // namespace flowstone
