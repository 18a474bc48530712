// Who of a group reads which partitions: what its leader decides, as the assignors of Kafka's Java client do.
//
// Source: org.apache.kafka.clients.consumer.{RangeAssignor, RoundRobinAssignor, StickyAssignor,
// CooperativeStickyAssignor}, release 4.3, for what each promises; KIP-54, KIP-429. Pure, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>

namespace flowstone {

// "range", "roundrobin", "sticky", "cooperative-sticky", as members say it in JoinGroup.
const char* name(Assignor assignor);

struct Subscriber {
    std::string member;
    std::optional<std::string> instance{};  // of a static member
    std::vector<std::string> topics{};
    std::vector<TopicPartition> owned{};  // that it reads now
    int32_t generation = -1;              // in which it was given these
};

using PartitionCounts = std::map<std::string, int32_t, std::less<>>;  // by topic; only those that exist
using GroupAssignment = std::map<std::string, std::vector<TopicPartition>, std::less<>>;  // by member, each sorted

// Every member has an entry. A partition has one reader at most, and one if anybody subscribes to its topic; with
// `cooperative_sticky` none while another still has it. The same members and counts in any order give the same result.
GroupAssignment assign(Assignor assignor, std::span<const Subscriber> members, const PartitionCounts& partitions);

}  // namespace flowstone
