// What strangers send to a broker: each ends in an answer that Kafka's protocol has, or in a connection that is closed
// and counted; and nothing of it stays in memory.
#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/checksum.h"
#include "storage/compression.h"
#include "tests/bytes_allocated.h"
#include "tests/net/broker/broker_world.h"
#include "tests/net/kafka/all_messages.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int16_t produce_version = 12;

class BrokerHostileTest : public BrokerWorld {
protected:
    void make(Client& client, const std::string& topic) {
        kafka::CreateTopicsRequest request;
        auto& one = request.topics.emplace_back();
        one.name = topic;
        one.num_partitions = 1;
        one.replication_factor = -1;
        ASSERT_EQ(client.ask<kafka::CreateTopicsResponse>(request, 7).topics.at(0).error_code, ErrorCode::none);
    }
    // A frame whose body is not made by us.
    static std::vector<std::byte> frame(const kafka::Api& api, int16_t version, Bytes body) {
        kafka::Gather out;
        const auto open = kafka::begin_request(
            {.api_key = api.key, .api_version = version, .correlation_id = 7, .client_id = "test"}, out);
        out.bytes(body);
        kafka::end_frame(open, out);
        return out.flat();
    }
    // The ranges that the broker says it serves, but for Produce, whose lower versions it refuses.
    std::vector<kafka::ApiVersionsResponse::ApiVersion> served() {
        Client client(*this);
        auto versions =
            client
                .ask<kafka::ApiVersionsResponse>(
                    kafka::ApiVersionsRequest{.client_software_name = "t", .client_software_version = "1"}, 4)
                .api_keys;
        for (auto& one : versions) {
            if (one.api_key == 0) { one.min_version = 3; }
        }
        client.hang_up();
        settle();
        return versions;
    }
    // Under another codec, by hand: what packs so well ours would leave as it is.
    static std::vector<std::byte> packed(Bytes plain, Codec codec) {
        std::vector<std::byte> out(plain.begin(), plain.begin() + batch_header_bytes);
        EXPECT_TRUE(compress(codec, plain.subspan(batch_header_bytes), out));
        store_be<int32_t>(out.data() + 8, static_cast<int32_t>(out.size() - batch_length_prefix_bytes));
        store_be<int16_t>(out.data() + 21, static_cast<int16_t>(codec));
        store_be<uint32_t>(out.data() + 17, crc32c(Bytes(out).subspan(batch_crc_begin)));
        return out;
    }
    static const kafka::AnyMessage& request_of(int16_t key) {
        return *std::ranges::find_if(kafka::all_messages, [&](const kafka::AnyMessage& any) {
            return static_cast<int16_t>(any.type().api_key) == key &&
                   std::string_view(any.type().name).ends_with("Request");
        });
    }
    static kafka::ProduceRequest produce(Bytes records) {
        kafka::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 1'000;
        auto& data = request.topic_data.emplace_back();
        data.name = "t";
        data.partition_data.push_back({0, records});
        return request;
    }
    static ErrorCode error_of(const kafka::ProduceResponse& response) {
        return response.responses.at(0).partition_responses.at(0).error_code;
    }
    static ErrorCode put(Client& client, Bytes records) {
        return error_of(client.ask<kafka::ProduceResponse>(produce(records), produce_version));
    }
};

TEST_F(BrokerHostileTest, EveryBodyThatIsCutShortClosesItsConnection) {
    start();
    uint64_t cut = 0;
    for (const auto& range : served()) {
        const kafka::AnyMessage& any = request_of(range.api_key);
        const kafka::Api& api = *kafka::find_api(any.type().api_key);
        const auto message = any.make();
        for (const int16_t version : {range.min_version, range.max_version}) {
            kafka::Gather whole;
            kafka::encode_message(any.type(), version, message.get(), whole);
            const auto body = whole.flat();
            for (size_t size = 0; size < body.size(); ++size) {
                SCOPED_TRACE(testing::Message() << any.type().name << " version " << version << ", " << size << " of "
                                                << body.size() << " bytes");
                Client client(*this);
                client.send_bytes(frame(api, version, Bytes(body).first(size)));
                EXPECT_FALSE(client.receive(0));
                EXPECT_TRUE(client.closed());
                EXPECT_EQ(closed(CloseReason::bad_request), ++cut);
            }
        }
    }
    EXPECT_GT(cut, 300u);
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, ListsThatClaimMoreThanThereIsTakeNoMemory) {
    start();
    uint64_t sent = 0;
    for (const auto& range : served()) {
        const kafka::AnyMessage& any = request_of(range.api_key);
        const kafka::Api& api = *kafka::find_api(any.type().api_key);
        for (const int16_t version : {range.min_version, range.max_version}) {
            // Every length in it is 2^31 - 1, fixed or as a varint, or -1.
            for (const std::string_view pattern : {"\x7f\xff\xff\xff", "\xff\xff\xff\xff\x07", "\xff\xff\xff\xff"}) {
                SCOPED_TRACE(testing::Message() << any.type().name << " version " << version);
                std::string body;
                while (body.size() < 1'000) { body += pattern; }
                Client client(*this);
                const uint64_t before = bytes_allocated;
                client.send_bytes(frame(api, version, as_bytes(std::string_view(body))));
                client.receive(0);
                EXPECT_LT(bytes_allocated - before, 4u << 20);
                EXPECT_TRUE(client.closed());
                ++sent;
            }
        }
    }
    EXPECT_EQ(closed(CloseReason::bad_request), sent);
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, BatchesThatGrowTooMuchWhenUnpackedAreRefusedBeforeTheMemoryIsTaken) {
    start();
    Client client(*this);
    make(client, "t");
    const auto plain = batch({.value_bytes = decompressed_batch_bytes_max + 1});
    for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        SCOPED_TRACE(name(codec));
        const auto bomb = packed(plain, codec);
        if (bomb.size() > batch_bytes_max_default) {
            continue;
        }  // snappy and lz4 do not pack so well: too large anyway
        const uint64_t before = bytes_allocated;
        EXPECT_THAT(put(client, bomb), testing::AnyOf(ErrorCode::message_too_large, ErrorCode::corrupt_message,
                                                      ErrorCode::invalid_record));
        EXPECT_LT(bytes_allocated - before, decompressed_batch_bytes_max * 5 / 2);
    }
    EXPECT_EQ(put(client, batch({})), ErrorCode::none) << "the connection goes on";
}

TEST_F(BrokerHostileTest, WhatUnpacksToMuchKeepsNobodyWaiting) {
    constexpr size_t bombers_count = 4;
    start_on(faulty_, {}, {}, /*threads=*/true);
    time_passes_ = false;
    Client other(*this);
    make(other, "t");
    const auto bomb = packed(batch({.value_bytes = 60u << 20}), Codec::gzip);
    std::vector<std::unique_ptr<Client>> bombers;
    for (size_t i = 0; i < bombers_count; ++i) {
        bombers.push_back(std::make_unique<Client>(*this));
        bombers.back()->send(produce(bomb), produce_version);
    }
    const uint64_t before = bytes_allocated;  // of this thread, which is the broker's
    for (auto& bomber : bombers) { bomber->send(produce(batch({})), produce_version); }
    settle();
    EXPECT_EQ(put(other, batch({})), ErrorCode::none);
    for (auto& bomber : bombers) {
        EXPECT_EQ(error_of(bomber->answer<kafka::ProduceResponse>(produce_version)), ErrorCode::message_too_large);
        EXPECT_EQ(error_of(bomber->answer<kafka::ProduceResponse>(produce_version)), ErrorCode::none)
            << "and what came behind one is taken after it";
    }
    EXPECT_LT(bytes_allocated - before, 32u << 20) << "others unpack them";
    EXPECT_EQ(broker_->waiting(), 0u);
}

TEST_F(BrokerHostileTest, ABatchThatIsLargeWithoutCompressionIsTakenInItsTurn) {
    start_on(faulty_, {}, {}, /*threads=*/true);
    time_passes_ = false;
    Client client(*this);
    make(client, "t");
    const auto large = batch({.records = 3'000, .codec = Codec::lz4, .value_bytes = 1'000});
    ASSERT_LT(large.size(), batch_bytes_max_default);
    client.send(produce(batch({})), produce_version);
    client.send(produce(large), produce_version);
    client.send(produce(batch({})), produce_version);
    for (const int64_t base : {0, 1, 3'001}) {
        const auto answer = client.answer<kafka::ProduceResponse>(produce_version);
        EXPECT_EQ(error_of(answer), ErrorCode::none);
        EXPECT_EQ(answer.responses.at(0).partition_responses.at(0).base_offset, base);
    }
}

TEST_F(BrokerHostileTest, WhatIsReadFromFilesForWhoFetchesNoAnswerIsBounded) {
    constexpr int requests = 100;
    start();
    {
        Client client(*this);
        make(client, "t");
        for (int i = 0; i < 4; ++i) { EXPECT_EQ(put(client, batch({.value_bytes = 1'000'000})), ErrorCode::none); }
    }
    stop();
    start();  // nothing is in memory
    Client deaf(*this);
    kafka::FetchRequest fetch;
    fetch.max_bytes = 50 << 20;
    auto& asked = fetch.topics.emplace_back();
    asked.topic = "t";
    asked.partitions.push_back({.partition = 0, .fetch_offset = 0, .partition_max_bytes = 4 << 20});
    const uint64_t before = bytes_allocated;
    for (int i = 0; i < requests; ++i) { deaf.send(fetch, 12); }
    for (int i = 0; i < 10; ++i) { settle(); }
    // What the output may hold, the answer that went beyond it, and the buffers of a read; what the network holds, too.
    EXPECT_LT(bytes_allocated - before, 128u << 20);
    EXPECT_LT(broker_->server().counts().frames, 20u);
    Client other(*this);
    EXPECT_EQ(put(other, batch({})), ErrorCode::none);
    // Whoever fetches them gets them all.
    for (int i = 0; i < requests; ++i) { EXPECT_TRUE(deaf.receive()); }
}

// Of what the worker answers: each connection has one at a time.
TEST_F(BrokerHostileTest, WhatTheWorkerAnswersToWhoFetchesNoAnswerIsBounded) {
    BrokerConfig config;
    config.connection_output_bytes_max = 64 << 10;
    start(config);
    Client other(*this);
    make(other, "t");
    kafka::DescribeLogDirsRequest sizes;  // each answer is five times as long
    sizes.topics.emplace().emplace_back().topic = "t";
    sizes.topics->back().partitions.assign(10'000, 0);
    kafka::IncrementalAlterConfigsRequest alter;
    alter.resources.assign(3'000, {.resource_type = 64, .resource_name = "nothing", .configs = {}});
    kafka::AlterConfigsRequest replace;
    replace.resources.assign(3'000, {.resource_type = 64, .resource_name = "nothing", .configs = {}});
    kafka::DeleteRecordsRequest trim;
    trim.topics.emplace_back().name = "t";
    trim.topics[0].partitions.assign(10'000, {.partition_index = 1, .offset = 0});
    kafka::ListOffsetsRequest search;
    search.topics.emplace_back().name = "t";
    search.topics[0].partitions.assign(10'000, {.partition_index = 1, .timestamp = 0});
    const auto expect_bounded = [&](const auto& request, int16_t version) {
        SCOPED_TRACE(std::remove_cvref_t<decltype(request)>::message_name);
        const auto frames = [&] { return broker_->server().counts().frames; };
        Client deaf(*this);
        deaf.send(request, version);
        const auto answer = deaf.receive();
        ASSERT_TRUE(answer);
        const size_t answer_bytes = answer->size();
        ASSERT_GT(answer_bytes, 100'000u);
        const uint64_t before = frames();
        // What the network holds, what the output may hold, and the answer that went beyond it.
        const uint64_t bound = (network_bytes + config.connection_output_bytes_max) / answer_bytes + 2;
        const uint64_t requests = bound * 3 / 2;
        for (uint64_t i = 0; i < requests; ++i) { deaf.send(request, version); }
        for (int i = 0; i < 10; ++i) { settle(); }
        EXPECT_LE(frames() - before, bound);
        EXPECT_EQ(put(other, batch({})), ErrorCode::none);
        for (uint64_t i = 0; i < requests; ++i) { EXPECT_TRUE(deaf.receive()) << "whoever fetches them gets them all"; }
        deaf.hang_up();
    };
    expect_bounded(sizes, 4);
    expect_bounded(alter, 1);
    expect_bounded(replace, 2);
    expect_bounded(trim, 2);
    expect_bounded(search, 7);
    other.hang_up();
    settle();
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, FramesThatWaitForTheWorkerCountAgainstTheMemoryOfAll) {
    constexpr size_t clients_count = 16;
    BrokerConfig config;
    config.request_memory_bytes_max = 32 << 10;
    start(config);
    Client other(*this);
    make(other, "t");
    kafka::ListOffsetsRequest search;
    search.topics.emplace_back().name = "t";
    search.topics[0].partitions.assign(300, {.partition_index = 0, .timestamp = 0});
    kafka::Gather frame;
    kafka::frame_request({.api_version = 7, .correlation_id = 1, .client_id = "test"}, search, frame);
    const size_t frame_bytes = frame.size();
    ASSERT_GT(frame_bytes * clients_count, config.request_memory_bytes_max);
    std::vector<std::unique_ptr<Client>> clients;
    for (size_t i = 0; i < clients_count; ++i) {
        clients.push_back(std::make_unique<Client>(*this));
        clients.back()->ask<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest{}, 2);
    }
    for (auto& client : clients) { client->send(search, 7); }
    // Within a turn of the loop nothing comes back from the worker: its results have their turn at the end.
    uint64_t most = 0;
    for (int i = 0; i < 100; ++i) {
        const uint64_t before = broker_->server().counts().frames;
        ASSERT_TRUE(broker_->run(0));
        most = std::max(most, broker_->server().counts().frames - before);
    }
    EXPECT_GT(most, 1u);
    EXPECT_LE(most, config.request_memory_bytes_max / frame_bytes);
    for (auto& client : clients) {
        EXPECT_EQ(client->answer<kafka::ListOffsetsResponse>(7).topics.at(0).partitions.size(), 300u);
        client->hang_up();
    }
    other.hang_up();
    for (size_t i = 0; i < clients_count; ++i) { settle(); }
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, ClaimsOf100MiBKeepNobodyWaiting) {
    start();
    Client other(*this);
    make(other, "t");
    std::vector<std::byte> claim(100);
    store_be<int32_t>(claim.data(), static_cast<int32_t>(frame_bytes_max));
    std::vector<std::unique_ptr<Client>> claimers;
    for (int i = 0; i < 10; ++i) {
        claimers.push_back(std::make_unique<Client>(*this));
        claimers.back()->send_bytes(claim);
    }
    settle();
    EXPECT_LE(broker_->server().frames_bytes(), request_memory_bytes_max / 2);
    const auto before_ms = clock_.wall_ms();
    EXPECT_EQ(put(other, batch({})), ErrorCode::none);
    EXPECT_LT(clock_.wall_ms() - before_ms, 1'000);
    other.hang_up();
    for (auto& claimer : claimers) { claimer->hang_up(); }
    for (size_t i = 0; i < claimers.size(); ++i) {
        settle();
    }  // each learns that its peer is gone once it has its turn
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, AWholeFrameOf100MiBBeforeAnyValidOneIsReadAndClosesItsConnection) {
    start();
    Client other(*this);
    make(other, "t");
    Client client(*this);
    std::vector<std::byte> frame(4 + frame_bytes_max);
    store_be<int32_t>(frame.data(), static_cast<int32_t>(frame_bytes_max));
    store_be<int16_t>(frame.data() + 4, 3);  // Metadata of version 0, of topics that are not there
    store_be<int32_t>(frame.data() + 14, INT32_MAX);
    client.send_bytes(Bytes(frame).first(frame.size() - 1));
    EXPECT_FALSE(client.closed());
    EXPECT_LE(broker_->server().frames_bytes(), frame_bytes_max + (1u << 20));
    EXPECT_EQ(put(other, batch({})), ErrorCode::none) << "others are served meanwhile";
    const uint64_t before = bytes_allocated;
    client.send_bytes(Bytes(frame).last(1));
    EXPECT_FALSE(client.receive(0));
    EXPECT_LT(bytes_allocated - before, 4u << 20) << "nothing is made of it";
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(closed(CloseReason::bad_request), 1u);
    other.hang_up();
    settle();
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, OfMoreThan10000ConnectionsAtOnceSoManyAreServedAndTheRestIsClosed) {
    constexpr size_t too_many = 50;
    start();
    std::vector<std::unique_ptr<Client>> clients;
    for (size_t i = 0; i < connections_max + too_many; ++i) { clients.push_back(std::make_unique<Client>(*this)); }
    const uint64_t before = bytes_allocated;
    for (int i = 0; i < 40; ++i) { settle(); }  // so many come in at each turn, and leave
    EXPECT_LT(bytes_allocated - before, connections_max * (8u << 10));
    EXPECT_EQ(broker_->server().connection_count(), connections_max);
    EXPECT_EQ(closed(CloseReason::connections), too_many);
    const kafka::ApiVersionsRequest request;
    for (const size_t i : {size_t{0}, connections_max / 2, connections_max - 1}) {
        EXPECT_EQ(clients[i]->ask<kafka::ApiVersionsResponse>(request, 2).error_code, ErrorCode::none);
    }
    EXPECT_TRUE(clients.back()->closed());
    for (auto& client : clients) { client->hang_up(); }
    for (int i = 0; i < 40; ++i) { settle(); }
    expect_nothing_left();
}

TEST_F(BrokerHostileTest, AnAddressWithTooManyConnectionsIsRefusedAnother) {
    BrokerConfig config;
    config.connections_per_address_max = 2;
    start(config);
    Client first(*this);
    Client second(*this);
    settle();
    Client third(*this);
    settle();
    EXPECT_TRUE(third.closed());
    EXPECT_EQ(closed(CloseReason::connections_of_address), 1u);
    EXPECT_EQ(first.ask<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest(), 2).error_code, ErrorCode::none);
    first.hang_up();
    settle();
    Client fourth(*this);
    EXPECT_EQ(fourth.ask<kafka::ApiVersionsResponse>(kafka::ApiVersionsRequest(), 2).error_code, ErrorCode::none);
}

TEST_F(BrokerHostileTest, FetchesWithoutASessionWaitOnlyAsLongAsTheyTakeLittleMemoryTogether) {
    BrokerConfig config;
    config.fetch_sessions.bytes_max = 10'000;
    start(config);
    Client client(*this);
    make(client, "t");
    kafka::FetchRequest fetch;
    fetch.max_wait_ms = 60'000;
    fetch.min_bytes = 1;
    fetch.session_epoch = -1;
    fetch.topics.emplace_back().topic = "t";
    fetch.topics[0].partitions.push_back({.partition = 0, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
    std::vector<std::unique_ptr<Client>> waiting;
    for (int i = 0; i < 200; ++i) {
        waiting.push_back(std::make_unique<Client>(*this));
        waiting.back()->send(fetch, 12);
    }
    settle();
    EXPECT_GT(broker_->waiting(), 10u);
    EXPECT_LT(broker_->waiting(), 100u) << "each takes 200 bytes or more";
    for (auto& one : waiting) { one->reset(); }
    for (int i = 0; i < 10; ++i) { settle(); }
    EXPECT_EQ(broker_->waiting(), 0u);
    const auto before = clock_.wall_ms();
    client.ask<kafka::FetchResponse>(fetch, 12);
    EXPECT_GE(clock_.wall_ms() - before, 60'000) << "there is room again";
}

// --- peers that go -------------------------------------------------------------------------------------------------------

TEST_F(BrokerHostileTest, PeersThatVanishAtAnyByteLeaveNoRequestBehind) {
    start();
    {
        Client client(*this);
        make(client, "t");
        kafka::FindCoordinatorRequest find;
        find.coordinator_keys = {"g"};
        client.ask<kafka::FindCoordinatorResponse>(find, 6);
        client.hang_up();
    }
    kafka::Gather requests;
    std::set<size_t> lengths;
    const auto add = [&](const auto& message, int16_t version) {
        kafka::frame_request({.api_version = version, .correlation_id = 1, .client_id = "test"}, message, requests);
        lengths.insert(requests.size());
    };
    kafka::FetchRequest fetch;
    fetch.max_wait_ms = INT32_MAX;
    fetch.min_bytes = INT32_MAX;
    fetch.session_epoch = 0;
    fetch.topics.emplace_back().topic = "t";
    fetch.topics[0].partitions.push_back({.partition = 0, .fetch_offset = 0, .partition_max_bytes = 1 << 20});
    add(fetch, 12);
    kafka::JoinGroupRequest join;
    join.group_id = "g";
    join.session_timeout_ms = 10'000;
    join.rebalance_timeout_ms = 10'000;
    join.protocol_type = "consumer";
    join.protocols.push_back({"range", as_bytes(std::string_view("m"))});
    add(join, 3);  // without the round that asks for a member id
    kafka::ProduceRequest produce;
    produce.acks = -1;
    produce.timeout_ms = INT32_MAX;
    const auto records = batch({});
    produce.topic_data.emplace_back().name = "t";
    produce.topic_data[0].partition_data.push_back({0, Bytes(records)});
    add(produce, produce_version);
    const auto bytes = requests.flat();
    for (size_t length = 0; length < bytes.size(); length += 3) { lengths.insert(length); }
    for (const bool by_reset : {false, true}) {
        for (const size_t length : lengths) {
            Client client(*this);
            client.send_bytes(Bytes(bytes).first(length));
            settle();
            by_reset ? client.reset() : client.hang_up();
            settle();
        }
    }
    EXPECT_GT(broker_->waiting(), 0u);
    pass(600'000);
    expect_nothing_left();
}

}  // namespace
}  // namespace flowstone
