// Who the brokers are, and who leads what: what Metadata and everything that names a broker answers from.
//
// One node so far: it leads every partition, and is the controller and the coordinator of every group. Handlers ask here
// all the same, so that more nodes change this room alone.
//
// Threads: the broker's one.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/transport/network.h"

namespace flowstone {

struct BrokerEndpoint {
    int32_t id = 0;
    HostPort address;
};

class Cluster {
public:
    Cluster(int32_t node_id, std::string cluster_id) : node_id_(node_id), cluster_id_(std::move(cluster_id)) {}

    // Connections of that listener are told this address; of others, the one that they reached us at.
    void advertise(ListenerId listener, HostPort address) { advertised_[listener] = std::move(address); }

    const std::string& cluster_id() const { return cluster_id_; }
    int32_t node_id() const { return node_id_; }
    int32_t controller() const { return node_id_; }
    int32_t leader_of(const std::string& topic, int32_t partition) const;
    std::vector<int32_t> replicas_of(const std::string& topic, int32_t partition) const;
    std::vector<int32_t> in_sync_of(const std::string& topic, int32_t partition) const;
    std::vector<BrokerEndpoint> brokers(ListenerId listener, const HostPort& reached_at) const;

private:
    int32_t node_id_;
    std::string cluster_id_;
    std::unordered_map<ListenerId, HostPort> advertised_;
};

}  // namespace flowstone
