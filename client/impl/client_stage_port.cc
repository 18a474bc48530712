#include "client/impl/client_stage_port.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include <flowstone/admin.h>

#include "client/impl/stage_rounds.h"
#include "storage/clock.h"
#include "storage/lock.h"
#include "storage/random.h"
#include "storage/try.h"

namespace flowstone {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 30'000ms;          // with brokers
constexpr auto goodbye = 5'000ms;            // to the group
constexpr size_t sent_bytes_max = 4u << 20;  // of one step
constexpr size_t journal_entry_bytes_max =
    384u << 10;  // of outputs in one, beside offsets: Log::append_atomic takes 512 KiB

}  // namespace

Result<std::unique_ptr<ClientStagePort>> ClientStagePort::open(Client& client, const StageOptions& options) {
    TRY(auto member, client.consumer({.group = options.name, .instance = options.instance}));
    TRY(auto reader, client.consumer({.fetch_wait = 5ms}));  // it reads what is there, and then something else
    TRY(auto producer, client.producer(stage_producer_options()));
    return std::unique_ptr<ClientStagePort>(
        new ClientStagePort(client, options.name, std::move(member), std::move(reader), std::move(producer)));
}

ClientStagePort::ClientStagePort(Client& client, std::string group, Consumer member, Consumer reader, Producer producer)
    : client_(client),
      group_(std::move(group)),
      member_(std::move(member)),
      reader_(std::move(reader)),
      producer_(std::move(producer)),
      atomic_(client.log() != nullptr && client.log()->shards() == 1) {}

// --- reading -----------------------------------------------------------------------------------------------------------

Result<ProducerTopic*> ClientStagePort::topic(const std::string& name) {
    const auto found = topics_.find(name);
    if (found != topics_.end()) { return &found->second; }
    TRY(auto opened, producer_.topic(name, patience));
    return &topics_.emplace(name, std::move(opened)).first->second;
}

Result<int32_t> ClientStagePort::partitions(const std::string& name) {
    TRY(const ProducerTopic* const opened, topic(name));
    return opened->partitions();
}

Result<void> ClientStagePort::join(const std::vector<std::string>& topics, StageShare& share) {
    RebalanceListener listener;
    listener.assigned = [&share](Consumer&, const std::vector<TopicPartition>& places) { share.assigned(places); };
    listener.revoked = [&share](Consumer&, const std::vector<TopicPartition>& places) { share.revoked(places); };
    listener.lost = [&share](Consumer&, const std::vector<TopicPartition>& places) { share.lost(places); };
    return member_.subscribe(topics, std::move(listener));
}

void ClientStagePort::leave() { (void)member_.close(goodbye); }

Result<StagePort::Polled> ClientStagePort::poll(int64_t timeout_ms) {
    TRY(const auto batch, member_.poll(std::chrono::milliseconds(timeout_ms)));
    Polled polled;
    if (batch.empty()) { return polled; }
    polled.place = {batch.topic(), batch.partition()};
    for (const RecordView& record : batch) {
        polled.records.push_back(record);
        polled.next_offset = record.offset + 1;  // and no further: the next poll says so when there should be more
    }
    return polled;
}

Result<void> ClientStagePort::seek(const TopicPartition& place, From from) { return member_.seek(place, from); }
std::optional<int64_t> ClientStagePort::lag(const TopicPartition& place) { return member_.lag(place); }

Result<std::optional<GroupOffset>> ClientStagePort::committed(const TopicPartition& place) {
    if (!atomic_) {
        TRY(const auto found, member_.committed({place}, patience));
        return found.at(0);
    }
    TRY(const auto offsets, client_.log()->fetch_offsets(group_));
    const auto found = std::ranges::find_if(offsets, [&](const GroupOffset& offset) {
        return offset.topic == place.topic && offset.partition == place.partition;
    });
    return found == offsets.end() ? std::optional<GroupOffset>() : std::optional(*found);
}

Result<StagePort::Ends> ClientStagePort::ends(const TopicPartition& place) {
    TRY(const auto ends, client_.admin().ends(place, patience));
    return Ends{ends.log_start, ends.high_watermark};
}

Result<void> ClientStagePort::read_back(const TopicPartition& place, Offset begin, Offset end,
                                        const std::function<Result<void>(const RecordView&)>& visit) {
    if (begin >= end) { return {}; }
    TRY_VOID(reader_.assign({}));  // so that it begins there, wherever it stood
    TRY_VOID(reader_.assign({place}, begin));
    while (reader_.position(place).value_or(begin) < end) {
        TRY(const auto batch, reader_.poll(patience));
        if (batch.empty()) {
            return fail(Code::timed_out, "stage.read_back",
                        fmt::format("nothing of {}-{} comes", place.topic, place.partition));
        }
        for (const RecordView& record : batch) {
            if (record.offset < end) { TRY_VOID(visit(record)); }
        }
    }
    return reader_.assign({});
}

// --- writing -----------------------------------------------------------------------------------------------------------

size_t ClientStagePort::step_bytes_max() const { return atomic_ ? journal_entry_bytes_max : sent_bytes_max; }

Result<void> ClientStagePort::write_step(std::span<const StageWrite> writes, std::span<const OffsetMove> moves) {
    Log& log = *client_.log();
    std::map<TopicPartition, std::vector<Record>> by_place;
    for (const StageWrite& write : writes) { by_place[write.place].push_back(write.record); }
    std::vector<AtomicPart> parts;
    for (const auto& [place, records] : by_place) {
        auto known = log_topics_.find(place.topic);
        if (known == log_topics_.end()) {
            TRY(auto opened, log.topic(place.topic));
            known = log_topics_.emplace(place.topic, std::move(opened)).first;
        }
        parts.push_back({.topic = known->second, .partition = place.partition, .records = records});
    }
    TRY(const Pending pending, log.append_step(group_, moves, parts));
    return log.wait(pending);
}

Result<void> ClientStagePort::send(std::span<const StageWrite> writes) {
    for (const std::span<const StageWrite> round : rounds_of(writes, round_batch_bytes)) {
        std::vector<Delivery> deliveries;
        for (const StageWrite& write : round) {
            TRY(ProducerTopic* const to, topic(write.place.topic));
            TRY(auto delivery, to->send(write.record, write.place.partition));
            deliveries.push_back(std::move(delivery));
        }
        TRY_VOID(producer_.flush());
        for (const Delivery& delivery : deliveries) {
            if (const auto at = delivery.wait(patience); !at) { return std::unexpected(at.error()); }
        }
    }
    return {};
}

Result<void> ClientStagePort::commit(std::span<const OffsetMove> moves) {
    std::vector<GroupOffset> offsets;
    for (const OffsetMove& move : moves) { offsets.push_back({move.topic, move.partition, move.to, move.metadata}); }
    return member_.commit(offsets, patience);
}

// --- time --------------------------------------------------------------------------------------------------------------

int64_t ClientStagePort::wall_ms() { return system_clock().wall_ms(); }
int64_t ClientStagePort::monotonic_ns() { return system_clock().monotonic_ns(); }
uint64_t ClientStagePort::random() { return system_random().next(); }
void ClientStagePort::sleep(int64_t ms) {
    const std::atomic<uint32_t> never = 0;
    sleep_while(never, 0, ms * 1'000'000);
}

}  // namespace flowstone
