// All of a client that is not a thread: connections, what is known of the cluster, producers and consumers, in the order
// in which each turn looks at them. The simulated world drives it as the client's thread does.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "client/impl/cluster_view.h"
#include "client/impl/consumer_core.h"
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
    std::shared_ptr<ConsumerCore> add_consumer(const ConsumerOptions& options);
    void remove(const ConsumerCore& consumer);
    void stop_lingering();       // of all producers: what is there goes out
    bool all_delivered() const;  // or given up

    void turn(std::span<const NetworkEvent> events);
    int64_t quiet_ns() const;  // how long nothing need be done if no event comes; negative: for ever
    void close();

private:
    World world_;
    int64_t request_ms_;
    Requests requests_;
    ClusterView cluster_;
    std::vector<std::shared_ptr<ProducerCore>> producers_;  // owners: here and each handle
    std::vector<std::shared_ptr<ConsumerCore>> consumers_;
};

}  // namespace flowstone
