// What members of a consumer group say to their leader, and it to them: the opaque bytes within JoinGroup and SyncGroup.
//
//   subscription = version:i16  topics:[string]  userdata:bytes?  owned:[topic:string [partition:i32]]  (from 1)
//                  generation:i32 (from 2)  rack:string? (from 3)
//   assignment   = version:i16  assigned:[topic:string [partition:i32]]  userdata:bytes?
//   userdata of "sticky" = owned as above, generation:i32; of "cooperative-sticky" = generation:i32
//
// All big endian; lists have a 32-bit count, strings 16 bits of length, bytes 32, -1 for null. Of a newer version what
// comes behind is passed over. Source: ConsumerProtocolSubscription.json and ConsumerProtocolAssignment.json of Kafka 4.3;
// StickyAssignor and CooperativeStickyAssignor for their userdata. Pure, any thread.
#pragma once

#include <vector>

#include <flowstone/result.h>

#include "client/impl/assignors.h"
#include "storage/bytes.h"

namespace flowstone {

// Of `member` topics, owned and generation are said.
std::vector<std::byte> encode_subscription(Assignor assignor, const Subscriber& member);
// `out` keeps its member and instance, which are said elsewhere. Errors: corrupt.
Result<void> decode_subscription(Assignor assignor, Bytes bytes, Subscriber& out);

std::vector<std::byte> encode_assignment(const std::vector<TopicPartition>& places);
Result<std::vector<TopicPartition>> decode_assignment(Bytes bytes);  // Errors: corrupt. Nothing at all: nothing.

}  // namespace flowstone
