// What the batches of a partition tell of Kafka's transactions: which of them were aborted, which are still open.
//
// A transaction of a producer begins with its first transactional batch and ends with a control batch of one record, the
// marker. Only read here: nothing of ours begins or ends a transaction. A pure machine.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include <flowstone/ids.h>

#include "storage/batch.h"
#include "storage/transaction_index.h"

namespace flowstone {

struct TransactionMarker {
    bool commit = false;
    std::optional<int32_t> coordinator_epoch;
};
// Empty for other control batches (leader change, snapshot ends), and for one that compaction emptied.
std::optional<TransactionMarker> read_marker(BatchView control_batch);

class TransactionWalk {
public:
    void began(int64_t producer, Offset first) { open_[producer] = first; }  // before what is walked
    void applied(BatchView batch);                                           // in their order
    std::vector<AbortedTransaction> take_aborted();                          // since the last call, by their end
    const std::map<int64_t, Offset>& open() const { return open_; }

private:
    std::map<int64_t, Offset> open_;  // producer: its first offset
    std::vector<AbortedTransaction> aborted_;
};

// What the transaction coordinator had decided when it stopped: the last word of `__transaction_state` on each
// producer's transaction. Kafka's TransactionLogKey and TransactionLogValue, version 0 and 1.
class TransactionDecisions {
public:
    // Records of `__transaction_state`, in their order in each partition. What cannot be read is passed over.
    void record(Bytes key, std::optional<Bytes> value);
    // A commit was decided, so the transaction is one, though not every partition had its marker yet.
    bool commits(int64_t producer_id) const;

private:
    std::map<int64_t, bool> commits_;
};

}  // namespace flowstone
