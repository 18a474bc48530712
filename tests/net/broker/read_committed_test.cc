// Data that Kafka wrote in transactions, served by us: SERVE.md rules 6, 8 and 9 as far as they concern readers.
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/kafka/messages/fetch.h"
#include "net/kafka/messages/list_offsets.h"
#include "storage/segment_files.h"
#include "storage/transaction_index.h"
#include "tests/net/broker/broker_world.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr int16_t fetch_version = 12;
constexpr int8_t read_uncommitted = 0;
constexpr int8_t read_committed = 1;

// What one producer writes at one offset.
struct Written {
    int64_t offset;
    int64_t producer = -1;  // -1: of none, and in no transaction
    int records = 1;
    enum class Kind : uint8_t { records, abort, commit } kind = Kind::records;
};
constexpr auto aborts = Written::Kind::abort;
constexpr auto commits = Written::Kind::commit;

class ReadCommittedTest : public BrokerWorld {
protected:
    using Aborted = std::vector<std::pair<int64_t, int64_t>>;  // producer, first offset

    // A directory of ours without anything that is only ours is what Kafka leaves.
    void make_kafka_directory() {
        start();
        stop();
        for (const auto& entry : value_of(disk_.list("data"))) {
            if (entry.name.starts_with("flowstone-")) { ASSERT_TRUE(disk_.remove("data/" + entry.name)); }
        }
    }
    void write_file(const std::string& path, Bytes bytes) {
        auto file = value_of(disk_.open(path, {.write = true, .create = true}));
        ASSERT_TRUE(disk_.truncate(*file, 0));
        ASSERT_TRUE(write_at(disk_, *file, BytePos{0}, bytes));
        ASSERT_TRUE(sync(disk_, *file));
    }
    void write_segment(const std::string& partition, int64_t base, const std::vector<std::vector<std::byte>>& batches) {
        const std::string directory = "data/" + partition;
        (void)disk_.make_directory(directory);
        std::vector<std::byte> all;
        for (const auto& batch : batches) { all.insert(all.end(), batch.begin(), batch.end()); }
        write_file(directory + "/" + segment_file_name(Offset{base}, SegmentFile::log), all);
        ASSERT_TRUE(disk_.sync_directory(directory));
        ASSERT_TRUE(disk_.sync_directory("data"));
    }
    static std::vector<std::byte> stored(const Written& written, const std::string& key = "k",
                                         const std::string& value = "v") {
        std::vector<std::byte> space(1'000);
        const bool control = written.kind != Written::Kind::records;
        BatchBuilder builder(space, {.base_offset = Offset{written.offset},
                                     .transactional = written.producer >= 0,
                                     .control = control,
                                     .producer_id = written.producer,
                                     .producer_epoch = static_cast<int16_t>(written.producer < 0 ? -1 : 0)});
        if (control) {
            // Kafka's ControlRecordType and EndTransactionMarker, version 0: coordinator epoch 5.
            const std::string type{'\0', '\0', '\0', written.kind == commits ? '\1' : '\0'};
            const std::string marker{'\0', '\0', '\0', '\0', '\0', '\5'};
            EXPECT_TRUE(builder.append({.key = type, .value = marker}, 1));
        }
        for (int i = 0; !control && i < written.records; ++i) {
            EXPECT_TRUE(builder.append({.key = key, .value = value}, 1));
        }
        const Bytes bytes = builder.close().bytes();
        return {bytes.begin(), bytes.end()};
    }
    void write_segment(const std::string& partition, int64_t base, const std::vector<Written>& all) {
        std::vector<std::vector<std::byte>> batches;
        for (const Written& written : all) { batches.push_back(stored(written)); }
        write_segment(partition, base, batches);
    }
    // Transactions of three producers in two segments; the last one's is never ended.
    void write_transactions() {
        make_kafka_directory();
        write_segment("t-0", 0,
                      std::vector<Written>{{.offset = 0, .producer = 7, .records = 2},
                                           {.offset = 2, .producer = 8},
                                           {.offset = 3},
                                           {.offset = 4, .producer = 7, .kind = aborts},
                                           {.offset = 5, .producer = 8, .kind = commits},
                                           {.offset = 6, .producer = 8}});
        write_segment("t-0", 7,
                      std::vector<Written>{{.offset = 7},
                                           {.offset = 8, .producer = 8, .kind = aborts},
                                           {.offset = 9, .producer = 9},
                                           {.offset = 10}});
    }
    void adopt() {
        start({}, {.adopt = true, .on_log = [this](std::string_view line) { lines_.emplace_back(line); }});
    }

    kafka::FetchResponse::PartitionData fetch(int64_t offset, int8_t isolation = read_committed,
                                              int32_t bytes_max = 1 << 20) {
        Client client(*this);
        kafka::FetchRequest request;
        request.isolation_level = isolation;
        request.min_bytes = 1;
        auto& one = request.topics.emplace_back();
        one.topic = "t";
        one.partitions.push_back({.partition = 0, .fetch_offset = offset, .partition_max_bytes = bytes_max});
        auto answer = client.ask<kafka::FetchResponse>(request, fetch_version);
        client.hang_up();
        auto data = answer.responses.at(0).partitions.at(0);
        bytes_.clear();
        for (const Bytes piece : data.records.pieces) { bytes_.insert(bytes_.end(), piece.begin(), piece.end()); }
        return data;
    }
    static Aborted aborted(const kafka::FetchResponse::PartitionData& data) {
        Aborted out;
        EXPECT_TRUE(data.aborted_transactions);
        if (!data.aborted_transactions) { return out; }
        for (const auto& one : *data.aborted_transactions) { out.emplace_back(one.producer_id, one.first_offset); }
        return out;
    }
    // The offsets that a consumer hands on, who goes by the list as Kafka's do: from its first offset to its marker a
    // producer's transactional batches are passed over.
    std::vector<int64_t> consumed(int64_t offset) {
        const auto data = fetch(offset);
        EXPECT_EQ(data.error_code, ErrorCode::none);
        std::multimap<int64_t, int64_t> to_come;
        for (const auto& [producer, first] : aborted(data)) { to_come.emplace(first, producer); }
        std::set<int64_t> now;
        std::vector<int64_t> out;
        std::vector<std::byte> scratch;
        for (Bytes rest(bytes_); !rest.empty();) {
            const BatchView batch = value_of(BatchView::parse(rest));
            rest = rest.subspan(batch.size());
            const int64_t last = batch.next_offset().value - 1;
            while (!to_come.empty() && to_come.begin()->first <= last) {
                now.insert(to_come.begin()->second);
                to_come.erase(to_come.begin());
            }
            auto records = value_of(RecordCursor::open(batch, scratch));
            if (batch.control()) {
                const auto marker = value_of(records.next());
                if ((*marker->key)[3] == 0) { now.erase(batch.producer_id()); }
                continue;
            }
            if (batch.transactional() && now.contains(batch.producer_id())) { continue; }
            for (auto record = value_of(records.next()); record; record = value_of(records.next())) {
                out.push_back(record->offset.value);
            }
        }
        return out;
    }
    int64_t last_stable_offset() {
        Client client(*this);
        kafka::ListOffsetsRequest request;
        request.isolation_level = read_committed;
        request.topics.push_back({"t", {{.partition_index = 0, .timestamp = -1}}});
        const auto answer = client.ask<kafka::ListOffsetsResponse>(request, 7);
        client.hang_up();
        return answer.topics.at(0).partitions.at(0).offset;
    }
    static std::string path(int64_t base) {
        return "data/t-0/" + segment_file_name(Offset{base}, SegmentFile::transaction_index);
    }
    std::vector<AbortedTransaction> index(int64_t base) {
        return value_of(read_transaction_index(disk_, "data/t-0", Offset{base}));
    }

    // What write_transactions() comes to, and as Kafka's broker would have written it.
    const AbortedTransaction first_{7, Offset{0}, Offset{4}, Offset{2}};
    const AbortedTransaction second_{8, Offset{6}, Offset{8}, Offset{9}};
    std::vector<std::byte> bytes_;  // of the last fetch
};

TEST_F(ReadCommittedTest, Rule8AbortedTransactionsThatOverlapTheRangeAreListed) {
    write_transactions();
    adopt();
    EXPECT_THAT(aborted(fetch(0)), ElementsAre(Pair(7, 0), Pair(8, 6), Pair(9, 9)));
    EXPECT_THAT(aborted(fetch(4)), ElementsAre(Pair(7, 0), Pair(8, 6), Pair(9, 9))) << "its marker is in the range";
    EXPECT_THAT(aborted(fetch(5)), ElementsAre(Pair(8, 6), Pair(9, 9)));
    EXPECT_THAT(aborted(fetch(9)), ElementsAre(Pair(9, 9)));
    EXPECT_THAT(aborted(fetch(10)), IsEmpty());
    EXPECT_THAT(aborted(fetch(11)), IsEmpty()) << "the end";
    EXPECT_THAT(aborted(fetch(0, read_committed, 1)), ElementsAre(Pair(7, 0))) << "only the first batch is returned";
    EXPECT_EQ(fetch(0, read_uncommitted).aborted_transactions, std::nullopt);
}

TEST_F(ReadCommittedTest, Rule6AndRule9WithNobodyLeftToCommitItAnOpenTransactionIsAborted) {
    write_transactions();
    adopt();
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 10));
    EXPECT_THAT(consumed(8), ElementsAre(10));
    EXPECT_EQ(fetch(0).last_stable_offset, 11);
    EXPECT_EQ(last_stable_offset(), 11);
    EXPECT_THAT(lines_,
                testing::Contains("data/t-0: the transaction that producer 9 began at offset 9 was never ended, "
                                  "and counts as aborted"));
}

TEST_F(ReadCommittedTest, ATransactionThatWasNeverEndedHidesNoOtherThatEndedLater) {
    make_kafka_directory();
    write_segment("t-0", 0,
                  std::vector<Written>{{.offset = 0, .producer = 5},
                                       {.offset = 1, .producer = 6},
                                       {.offset = 2},
                                       {.offset = 3, .producer = 5, .kind = aborts}});
    adopt();
    EXPECT_THAT(aborted(fetch(0, read_committed, 1)), ElementsAre(Pair(5, 0)));
    EXPECT_THAT(consumed(0), ElementsAre(2));
}

TEST_F(ReadCommittedTest, ItStaysSoAfterAKillAndWithRecordsOfOurs) {
    write_transactions();
    adopt();
    {
        Client client(*this);
        kafka::ProduceRequest produce;
        produce.acks = -1;
        produce.timeout_ms = 1'000;
        const auto records = batch({});
        produce.topic_data.emplace_back().name = "t";
        produce.topic_data[0].partition_data.push_back({0, Bytes(records)});
        EXPECT_EQ(client.ask<kafka::ProduceResponse>(produce, 12).responses.at(0).partition_responses.at(0).error_code,
                  ErrorCode::none);
    }
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 10, 11));
    kill();
    start();
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 10, 11));
    EXPECT_THAT(aborted(fetch(11)), IsEmpty());
}

TEST_F(ReadCommittedTest, ACommitThatWasDecidedButNotMarkedIsACommit) {
    write_transactions();
    // TransactionLogKey and Value, version 0: producer 9, epoch 0, a minute, PrepareCommit, no partitions, two times.
    const std::string key{'\0', '\0', '\0', '\1', 'x'};
    std::string value{'\0', '\0'};
    value += std::string(7, '\0') + '\x09';
    value += std::string(2, '\0') + std::string{'\0', '\0', '\xea', '\x60'} + '\2';
    value += std::string(4, '\xff') + std::string(16, '\0');
    write_segment("__transaction_state-0", 0, std::vector<std::vector<std::byte>>{stored({.offset = 0}, key, value)});
    adopt();
    EXPECT_THAT(aborted(fetch(0)), ElementsAre(Pair(7, 0), Pair(8, 6)));
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 9, 10));
    stop();
    start();
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 9, 10));
}

TEST_F(ReadCommittedTest, TheIndexThatKafkaLeftIsKept) {
    // Of a transaction that began in a segment that retention has taken: only the index knows of it.
    const AbortedTransaction older{6, Offset{0}, Offset{3}, Offset{0}};
    const AbortedTransaction beyond{5, Offset{9}, Offset{40}, Offset{41}};  // the crash took its marker
    write_transactions();
    write_file(path(0), encode_transaction_index(std::vector{older, first_}));
    write_file(path(7), encode_transaction_index(std::vector{second_, beyond}));
    adopt();
    EXPECT_EQ(index(0), (std::vector{older, first_}));
    EXPECT_EQ(index(7), std::vector{second_});
}

TEST_F(ReadCommittedTest, AnIndexThatIsMissingOrHalfIsMadeFromTheRecords) {
    write_transactions();
    const auto half = encode_transaction_index(std::vector{second_});
    write_file(path(7), Bytes(half).first(20));
    adopt();
    EXPECT_EQ(index(0), std::vector{first_});
    EXPECT_EQ(index(7), std::vector{second_});
    EXPECT_THAT(consumed(0), ElementsAre(2, 3, 7, 10));
}

TEST_F(ReadCommittedTest, AnIndexThatCannotBeReadServesNoRecordsAsCommitted) {
    write_transactions();
    adopt();
    write_file(path(0), as_bytes(std::string("x")));
    EXPECT_EQ(fetch(0).error_code, ErrorCode::corrupt_message);
    EXPECT_THAT(bytes_, IsEmpty());
    EXPECT_EQ(fetch(0, read_uncommitted).error_code, ErrorCode::none);
}

}  // namespace
}  // namespace flowstone
