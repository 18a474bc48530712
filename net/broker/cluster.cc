#include "net/broker/cluster.h"

namespace flowstone {

int32_t Cluster::leader_of(const std::string& /*topic*/, int32_t /*partition*/) const { return node_id_; }
std::vector<int32_t> Cluster::replicas_of(const std::string& /*topic*/, int32_t /*partition*/) const {
    return {node_id_};
}
std::vector<int32_t> Cluster::in_sync_of(const std::string& topic, int32_t partition) const {
    return replicas_of(topic, partition);
}

std::vector<BrokerEndpoint> Cluster::brokers(ListenerId listener, const HostPort& reached_at) const {
    const auto told = advertised_.find(listener);
    return {{node_id_, told == advertised_.end() ? reached_at : told->second}};
}

}  // namespace flowstone
