// Load for a broker: producers and consumers over real TCP, with the codec of net/kafka.
//
// A load is one thread with non-blocking connections. Producers send batches that were encoded beforehand, either as
// fast as answers come (so many in flight) or at a rate, and then each is timed from when it should have been sent,
// however late that was. Consumers ask for all partitions at once, as Kafka's consumer does by default: 1 MiB of each,
// 50 MiB in all, 500 ms.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <flowstone/result.h>

#include "bench/workload.h"
#include "net/kafka/gather.h"
#include "storage/bytes.h"

namespace flowstone::bench {

// Connections to one broker, driven by one thread.
class Wire {
public:
    // Errors: io.
    static Result<std::unique_ptr<Wire>> connect(uint16_t port, size_t connections);
    ~Wire();

    void send(size_t connection, kafka::Gather frame);  // what is spliced into it must live until turn() has sent it
    // Sends what it can, waits until something can be done or the time has come, and hands over every whole frame,
    // without its length. Errors: io, also when the broker closed a connection.
    using OnFrame = std::function<Result<void>(size_t connection, Bytes frame)>;
    Result<void> turn(int64_t until_ns, const OnFrame& on_frame);

private:
    struct Connection;
    Wire() = default;
    Result<void> flush(size_t index);
    Result<void> receive(size_t index, const OnFrame& on_frame);

    int epoll_ = -1;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<size_t> unsent_;
    std::vector<std::byte> buffer_;
};

struct BatchShape {
    uint32_t record_bytes = 1024;
    uint32_t records = 1;
};
// As many records as fit into batches of so many bytes.
BatchShape batch_of(uint32_t record_bytes, uint32_t batch_bytes);

struct ProduceLoad {
    std::string topic{};
    int32_t partitions = 1;
    size_t connections = 4;
    size_t in_flight = 5;  // of one connection, when there is no rate
    BatchShape batch{};
    uint64_t batches = 0;
    uint64_t batches_per_s = 0;  // 0: as fast as answers come
    bool stamped = false;        // each batch's first record begins with the time it should have been sent
    int64_t late_s_max = 20;     // at a rate: what is not answered so long after the last was due counts as this late
};
// Errors: io; timed_out, when nothing comes for a minute; invalid, when the broker refused a batch.
Result<Outcome> produce(uint16_t port, const ProduceLoad& load);

struct ConsumeLoad {
    std::string topic{};
    int32_t partitions = 1;
    uint64_t records = 0;   // until so many have come
    bool stamped = false;   // latencies of batches from their stamps
    int64_t wait_ms = 500;  // a broker's patience with each fetch
};
// From the beginning. Errors: as produce().
Result<Outcome> consume(uint16_t port, const ConsumeLoad& load);

// Each connection asks for metadata of no topic once, and gets it. Errors: as produce().
Result<void> ask_each(Wire& wire, size_t connections);

}  // namespace flowstone::bench
