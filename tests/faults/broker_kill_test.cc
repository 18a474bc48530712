// Real SIGKILL of a real broker, under load over real TCP. Producers, idempotent and plain, ask for all acknowledgements
// and keep several batches on their way; the broker is killed at any moment and started again over the same data, and
// they send again what was not acknowledged. Everything acknowledged is then at the offset it was acknowledged at, with
// the bytes that were sent, in the order of sending; of an idempotent producer nothing is there twice.
//
// FLOWSTONE_KILL_CYCLES sets how often (50). Only processes of its own are ended, by their id.
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/init_producer_id.h"
#include "net/kafka/messages/produce.h"
#include "storage/batch.h"
#include "tests/faults/kill_cycles.h"
#include "tests/net/blocking_client.h"
#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int idempotent_producers = 3;
constexpr int producers = 5;
constexpr int32_t partitions = 2;
constexpr size_t in_flight_max = 5;  // as many as a broker remembers of an idempotent producer (KIP-98)
constexpr int16_t produce_version = 12;
constexpr int16_t fetch_version = 12;

struct SentBatch {
    int32_t first = 0;  // number of its first record; an idempotent producer's sequence too
    int32_t records = 0;
    std::vector<std::byte> bytes{};
};

// What outlives the broker's processes.
struct Producer {
    int number = 0;
    int64_t id = -1;                     // plain ones have none
    int32_t next = 0;                    // of the next record
    std::deque<SentBatch> unknown{};     // sent once, not acknowledged, in order
    std::map<int32_t, int64_t> offsets;  // of acknowledged batches, by their first record
    std::string complaint{};             // an answer that no kill explains
    int32_t partition() const { return number % partitions; }
};

// "producer:number", padded; now and then long enough to go straight to the segment.
std::string value(int producer, int32_t number) {
    return std::to_string(producer) + ":" + std::to_string(number) + std::string(number % 97 == 7 ? 90'000 : 100, ' ');
}

SentBatch make_batch(Producer& producer, std::mt19937& random) {
    SentBatch batch{.first = producer.next, .records = 1 + static_cast<int32_t>(random() % 12)};
    std::vector<std::string> values;
    size_t bytes = batch_header_bytes;
    for (int32_t i = 0; i < batch.records; ++i) {
        values.push_back(value(producer.number, batch.first + i));
        bytes += values.back().size() + 64;
    }
    std::vector<std::byte> space(bytes);
    const bool idempotent = producer.id >= 0;
    BatchBuilder builder(space, {.producer_id = producer.id,
                                 .producer_epoch = static_cast<int16_t>(idempotent ? 0 : -1),
                                 .base_sequence = idempotent ? batch.first : -1});
    for (const std::string& text : values) { builder.append({.key = std::nullopt, .value = text}, 1'400'000'000'000); }
    const BatchView plain = builder.close();
    std::vector<std::byte> packed;
    const Codec codec = random() % 4 == 0 ? Codec::lz4 : Codec::none;
    const auto sent = recompress(plain, codec, packed);
    const Bytes as_sent = sent ? sent->bytes() : plain.bytes();
    batch.bytes.assign(as_sent.begin(), as_sent.end());
    producer.next += batch.records;
    return batch;
}

bool send(BlockingClient& client, const Producer& producer, const SentBatch& batch) {
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    auto& data = request.topic_data.emplace_back();
    data.name = "events";
    data.partition_data.push_back({producer.partition(), Bytes(batch.bytes)});
    return client.send(request, produce_version);
}

// False when the connection ended. Any other answer than success is a fault: nobody refuses what is sent here.
bool take_answer(BlockingClient& client, Producer& producer) {
    const auto response = client.receive<kafka::ProduceResponse>(produce_version);
    if (client.misunderstood()) { producer.complaint = "an answer that is none"; }
    if (!response) { return false; }
    const auto& answered = response->responses.at(0).partition_responses.at(0);
    if (answered.error_code != ErrorCode::none) {
        producer.complaint = "error " + std::to_string(static_cast<int>(answered.error_code)) + " for record " +
                             std::to_string(producer.unknown.front().first) + ": " +
                             answered.error_message.value_or("");
        return false;
    }
    producer.offsets.emplace(producer.unknown.front().first, answered.base_offset);
    producer.unknown.pop_front();
    return true;
}

// Until the broker is gone.
void produce(uint16_t port, Producer& producer, uint32_t seed) {
    std::mt19937 random(seed);
    BlockingClient client(port);
    for (const SentBatch& batch : producer.unknown) {
        if (!send(client, producer, batch)) { return; }
    }
    while (client.connected()) {
        while (producer.unknown.size() < in_flight_max) {
            producer.unknown.push_back(make_batch(producer, random));
            if (!send(client, producer, producer.unknown.back())) { return; }
        }
        if (!take_answer(client, producer)) { return; }
    }
}

class BrokerKillTest : public testing::Test {
protected:
    BrokerKillTest() {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-broker-kill-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~BrokerKillTest() override {
        broker_.reset();
        std::filesystem::remove_all(path_);
    }

    void spawn() {
        broker_ = std::make_unique<tool::Process>(
            flowstoned_path(), std::vector<std::string>{"--data", path_, "--listen", "127.0.0.1:0", "-X", "http=off",
                                                        "-X", "journal_bytes_max=16777216", "-X",
                                                        "dirty_bytes_max=2097152", "-X", "reserve_bytes=0"});
    }
    // Waits until it listens; its port is in the line that says how to try it.
    void await() {
        for (;;) {
            const std::string line = broker_->read_line();
            if (line.empty()) {
                kill();
                FAIL() << "the broker did not start: " << complaint_;
            }
            const size_t colon = line.find("127.0.0.1:");
            if (!line.starts_with("try:") || colon == std::string::npos) { continue; }
            std::from_chars(line.data() + colon + 10, line.data() + line.size(), port_);
            return;
        }
    }
    void kill() {
        broker_->signal(SIGKILL);
        ended_ = broker_->wait();
        complaint_ = broker_->complaint();
        broker_.reset();
    }

    void begin() {
        ASSERT_NO_FATAL_FAILURE(spawn());
        ASSERT_NO_FATAL_FAILURE(await());
        BlockingClient client(port_);
        kafka::CreateTopicsRequest create;
        auto& topic = create.topics.emplace_back();
        topic.name = "events";
        topic.num_partitions = partitions;
        topic.replication_factor = -1;
        topic.configs.push_back({"segment.bytes", "4194304"});
        const auto made = client.ask<kafka::CreateTopicsResponse>(create, 7);
        ASSERT_TRUE(made);
        ASSERT_EQ(made->topics.at(0).error_code, ErrorCode::none);
        for (int i = 0; i < producers; ++i) {
            all_[static_cast<size_t>(i)].number = i;
            if (i >= idempotent_producers) { continue; }
            const auto id = client.ask<kafka::InitProducerIdResponse>(
                kafka::InitProducerIdRequest{.transactional_id = std::nullopt}, 4);
            ASSERT_TRUE(id);
            all_[static_cast<size_t>(i)].id = id->producer_id;
        }
        kill();
    }

    // One life of the broker: killed `life` after it listens, or after its start, at whatever it is then.
    void live(std::chrono::microseconds life, bool await_start) {
        ASSERT_NO_FATAL_FAILURE(spawn());
        if (!await_start) {
            std::this_thread::sleep_for(life);
            kill();
            ASSERT_EQ(ended_, -SIGKILL) << complaint_;
            return;
        }
        ASSERT_NO_FATAL_FAILURE(await());
        {
            std::vector<std::jthread> threads;
            for (Producer& producer : all_) {
                threads.emplace_back([this, &producer, seed = random_()] { produce(port_, producer, seed); });
            }
            std::this_thread::sleep_for(life);
            kill();
        }
        ASSERT_EQ(ended_, -SIGKILL) << "the broker ended by itself: " << complaint_;
        for (const Producer& producer : all_) {
            ASSERT_EQ(producer.complaint, "") << "of producer " << producer.number;
        }
    }

    // Fetches everything from a broker of its own and compares it with what was acknowledged.
    void check() {
        ASSERT_NO_FATAL_FAILURE(spawn());
        ASSERT_NO_FATAL_FAILURE(await());
        BlockingClient client(port_);
        std::array<int32_t, producers> next{};  // the first record of each that was not found yet
        std::array<size_t, producers> acknowledged{};
        for (int32_t partition = 0; partition < partitions; ++partition) {
            for (int64_t offset = 0;;) {
                kafka::FetchRequest request;
                request.min_bytes = 1;
                auto& topic = request.topics.emplace_back();
                topic.topic = "events";
                topic.partitions.push_back(
                    {.partition = partition, .fetch_offset = offset, .partition_max_bytes = 4 << 20});
                const auto response = client.ask<kafka::FetchResponse>(request, fetch_version);
                if (!response) {
                    kill();
                    FAIL() << "no answer to a fetch of " << partition << " from " << offset << "; the broker "
                           << (ended_ == -SIGKILL ? "lived" : "had ended: " + complaint_)
                           << (client.misunderstood() ? ", the answer is none" : "");
                }
                const auto& fetched = response->responses.at(0).partitions.at(0);
                ASSERT_EQ(fetched.error_code, ErrorCode::none) << "at " << offset;
                const int64_t before = offset;
                for (Bytes rest : fetched.records.pieces) {
                    while (!rest.empty()) {
                        const auto batch = BatchView::parse(rest);
                        ASSERT_TRUE(batch);
                        ASSERT_TRUE(batch->crc_matches());
                        ASSERT_NO_FATAL_FAILURE(check_batch(*batch, partition, offset, next, acknowledged));
                        rest = rest.subspan(batch->size());
                    }
                }
                if (offset == before) {
                    ASSERT_EQ(offset, fetched.high_watermark);
                    break;
                }
            }
        }
        for (size_t i = 0; i < all_.size(); ++i) {
            EXPECT_EQ(acknowledged[i], all_[i].offsets.size())
                << "acknowledged batches of producer " << i << " are lost";
        }
        kill();
    }

    void check_batch(const BatchView& batch, int32_t partition, int64_t& offset, std::array<int32_t, producers>& next,
                     std::array<size_t, producers>& acknowledged) {
        std::vector<std::byte> scratch;
        auto cursor = RecordCursor::open(batch, scratch);
        ASSERT_TRUE(cursor);
        ASSERT_EQ(batch.base_offset().value, offset);
        int32_t first = -1;
        int producer = -1;
        for (;;) {
            const auto record = cursor->next();
            ASSERT_TRUE(record);
            if (!*record) { break; }
            ASSERT_EQ((*record)->offset.value, offset++);
            const std::string_view text = (*record)->value.value_or("");
            const size_t colon = text.find(':');
            ASSERT_NE(colon, text.npos);
            int32_t number = -1;
            std::from_chars(text.data(), text.data() + colon, producer);
            std::from_chars(text.data() + colon + 1, text.data() + text.size(), number);
            ASSERT_TRUE(producer >= 0 && producer < producers);
            ASSERT_EQ(producer % partitions, partition);
            ASSERT_EQ(text, value(producer, number));
            if (first < 0) { first = number; }
            int32_t& expected = next[static_cast<size_t>(producer)];
            if (producer < idempotent_producers) {
                ASSERT_EQ(number, expected) << "of producer " << producer << ": lost, twice, or out of order";
            } else {
                ASSERT_LE(number, expected) << "of producer " << producer << ": lost, or out of order";
            }
            expected = std::max(expected, number + 1);
        }
        const auto& offsets = all_[static_cast<size_t>(producer)].offsets;
        const auto told = offsets.find(first);
        if (told != offsets.end() && told->second == batch.base_offset().value) {
            ++acknowledged[static_cast<size_t>(producer)];
        }
    }

    std::string path_;
    std::unique_ptr<tool::Process> broker_;
    int ended_ = 0;
    std::string complaint_;
    uint16_t port_ = 0;
    std::array<Producer, producers> all_;
    std::mt19937 random_{7};
};

TEST_F(BrokerKillTest, NothingAcknowledgedIsLostOrReorderedAndIdempotentProducersRepeatNothing) {
    ASSERT_NO_FATAL_FAILURE(begin());
    for (int cycle = 0; cycle < kill_cycles(); ++cycle) {
        SCOPED_TRACE("cycle " + std::to_string(cycle));
        // Every fifth dies while it starts; the others from before the first answer to some checkpoints later.
        const bool at_start = cycle % 5 == 4;
        const auto life = std::chrono::microseconds(random_() % (at_start ? 20'000 : 400'000));
        ASSERT_NO_FATAL_FAILURE(live(life, !at_start));
        if (cycle % 10 == 9) { ASSERT_NO_FATAL_FAILURE(check()); }
        // A directory of its own again before reading everything takes long.
        if (cycle % 50 == 49 && cycle + 1 < kill_cycles()) {
            std::filesystem::remove_all(path_);
            all_ = {};
            ASSERT_NO_FATAL_FAILURE(begin());
        }
    }
    ASSERT_NO_FATAL_FAILURE(check());
    size_t acknowledged = 0;
    for (const Producer& producer : all_) { acknowledged += producer.offsets.size(); }
    EXPECT_GT(acknowledged, 100u) << "without load this proves nothing";
    RecordProperty("acknowledged_batches", std::to_string(acknowledged));
}

}  // namespace
}  // namespace flowstone
