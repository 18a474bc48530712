#include "log/transactions.h"

#include <utility>

#include "storage/record.h"

namespace flowstone {

std::optional<TransactionMarker> read_marker(BatchView batch) {
    // Key: i16 version, i16 type (0 abort, 1 commit). Value: i16 version, i32 coordinator epoch.
    constexpr int16_t abort_type = 0;
    constexpr int16_t commit_type = 1;
    std::vector<std::byte> scratch;
    auto cursor = RecordCursor::open(batch, scratch);
    if (!cursor) { return std::nullopt; }
    const auto record = cursor->next();
    if (!record || !*record || !(*record)->key) { return std::nullopt; }
    ByteReader key(as_bytes(*(*record)->key));
    key.skip(2);
    const auto type = key.be<int16_t>();
    if (key.failed() || (type != abort_type && type != commit_type)) { return std::nullopt; }
    TransactionMarker marker{.commit = type == commit_type, .coordinator_epoch = std::nullopt};
    ByteReader value(as_bytes((*record)->value.value_or("")));
    value.skip(2);
    const auto epoch = value.be<int32_t>();
    if (!value.failed()) { marker.coordinator_epoch = epoch; }
    return marker;
}

void TransactionWalk::applied(BatchView batch) {
    if (!batch.transactional() || batch.producer_id() < 0) { return; }
    if (!batch.control()) {
        open_.try_emplace(batch.producer_id(), batch.base_offset());
        return;
    }
    const auto marker = read_marker(batch);
    if (!marker) { return; }
    const auto began = open_.find(batch.producer_id());
    if (began == open_.end()) { return; }  // nothing of it was here, or retention has taken it
    const Offset first = began->second;
    open_.erase(began);
    if (marker->commit) { return; }
    Offset stable = batch.next_offset();
    for (const auto& [producer, offset] : open_) { stable = std::min(stable, offset); }
    aborted_.push_back({batch.producer_id(), first, batch.base_offset(), stable});
}

std::vector<AbortedTransaction> TransactionWalk::take_aborted() { return std::exchange(aborted_, {}); }

void TransactionDecisions::record(Bytes key, std::optional<Bytes> value) {
    // Key: i16 version, string transactional id. Value: i16 version, i64 producer id, i16 epoch, i32 time-out, i8 state,
    // then what is not needed here.
    constexpr int16_t version_last = 1;
    constexpr int8_t prepare_commit = 2;
    ByteReader key_reader(key);
    if (key_reader.be<int16_t>() != 0 || key_reader.failed() || !value) { return; }
    ByteReader reader(*value);
    const auto version = reader.be<int16_t>();
    const auto producer = reader.be<int64_t>();
    reader.skip(2 + 4);
    const auto state = reader.be<int8_t>();
    if (reader.failed() || version < 0 || version > version_last) { return; }
    commits_[producer] = state == prepare_commit;
}

bool TransactionDecisions::commits(int64_t producer_id) const {
    const auto found = commits_.find(producer_id);
    return found != commits_.end() && found->second;
}

}  // namespace flowstone
