// A stage's world, made of a client: a member of its group, a producer, and the log itself where this process holds it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/stage.h>

#include "client/impl/stage_port.h"

namespace flowstone {

class ClientStagePort final : public StagePort {
public:
    // Errors: closed, invalid.
    static Result<std::unique_ptr<ClientStagePort>> open(Client& client, const StageOptions& options);

    Result<int32_t> partitions(const std::string& topic) override;
    Result<void> join(const std::vector<std::string>& topics, StageShare& share) override;
    void leave() override;
    Result<Polled> poll(int64_t timeout_ms) override;
    Result<void> seek(const TopicPartition& place, From from) override;
    std::optional<int64_t> lag(const TopicPartition& place) override;
    Result<std::optional<GroupOffset>> committed(const TopicPartition& place) override;
    Result<Ends> ends(const TopicPartition& place) override;
    Result<void> read_back(const TopicPartition& place, Offset begin, Offset end,
                           const std::function<Result<void>(const RecordView&)>& visit) override;

    bool atomic() const override { return atomic_; }
    size_t step_bytes_max() const override;
    Result<void> write_step(std::span<const StageWrite> writes, std::span<const OffsetMove> moves) override;
    Result<void> send(std::span<const StageWrite> writes) override;
    Result<void> commit(std::span<const OffsetMove> moves) override;

    int64_t wall_ms() override;
    int64_t monotonic_ns() override;
    uint64_t random() override;
    void sleep(int64_t ms) override;

private:
    ClientStagePort(Client& client, std::string group, Consumer member, Consumer reader, Producer producer);
    Result<ProducerTopic*> topic(const std::string& name);

    Client& client_;
    const std::string group_;
    Consumer member_;
    Consumer reader_;  // of tails; in no group
    Producer producer_;
    std::map<std::string, ProducerTopic> topics_;
    std::map<std::string, Topic> log_topics_;
    bool atomic_ = false;
};

}  // namespace flowstone
