#include "client/fintech/read_partition.h"

#include <algorithm>
#include <chrono>

#include <flowstone/admin.h>
#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr std::chrono::seconds patience{30};

}  // namespace

Result<Offset> read_partition(Client& client, const TopicPartition& place, Offset begin,
                              const std::function<Result<void>(const RecordView&)>& visit) {
    TRY(const PartitionOffsets ends, client.admin().ends(place));
    begin = std::max(begin, ends.log_start);
    if (begin >= ends.high_watermark) { return ends.high_watermark; }
    TRY(Consumer consumer, client.consumer());
    TRY_VOID(consumer.assign({place}, From(begin)));
    while (consumer.position(place).value_or(begin) < ends.high_watermark) {
        TRY(const ConsumedBatch batch, consumer.poll(patience));
        if (batch.empty()) {
            return fail(Code::timed_out, "fintech.read", fmt::format("{}-{}", place.topic, place.partition));
        }
        for (const RecordView& record : batch) {
            if (record.offset < ends.high_watermark) { TRY_VOID(visit(record)); }
        }
    }
    return ends.high_watermark;
}

}  // namespace flowstone::fintech
