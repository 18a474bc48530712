// The stages and the auditor, as programs run them: on a log of their own, and through flowstoned.
#include "client/fintech/pipeline.h"

#include <flowstone/admin.h>

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client/fintech/audit.h"
#include "client/fintech/read_partition.h"
#include "client/fintech/topics.h"
#include "storage/clock.h"
#include "tests/client/served_log.h"
#include "tests/fintech/events.h"

namespace flowstone::fintech {
namespace {

constexpr int32_t partitions = 2;

struct Kept {
    std::string key;
    std::string value;
    std::map<std::string, std::string> headers;
};

class PipelineTest : public testing::TestWithParam<bool> {  // whether there is a broker in between
protected:
    void SetUp() override {
        if (GetParam()) { broker_.emplace(directory_.log()); }
        open();
        Admin admin = client_->admin();
        const auto made = make_topics(admin, partitions);
        ASSERT_TRUE(made) << made.error().message();
    }
    void TearDown() override {
        if (client_) { EXPECT_TRUE(client_->close()); }
    }
    void open() {
        client_.emplace(
            value_of(Client::open(GetParam() ? broker_->address() : "dir:" + directory_.log(), small_log())));
    }
    // As a program that was started again.
    void open_again() {
        ASSERT_TRUE(client_->close());
        open();
    }
    void put(std::string_view topic, const Record& record) {
        auto producer = value_of(client_->producer());
        auto to = value_of(producer.topic(topic));
        const auto sent = value_of(to.send(record, 0)).wait();
        ASSERT_TRUE(sent) << sent.error().message();
    }
    void put_raw(std::string_view value, std::string_view key = "acct_7") {
        put(topics::raw, {.key = key, .value = value});
    }
    static std::string event(int number, std::string_view amount = "12.50", std::string_view status = "completed") {
        return fmt::format(
            R"({{"eventId":"evt_{0}","eventType":"transaction.{2}","timestamp":"2014-04-01T09:30:00Z","version":"1.0",)"
            R"("data":{{"transactionId":"txn_{0}","accountId":"acct_7","amount":"{1}","currency":"GBP",)"
            R"("merchantId":"shop","status":"{2}"}}}})",
            number, amount, status);
    }
    // Until they have stored everything.
    void run(std::vector<std::string> stages = Pipeline::stage_names()) {
        auto pipeline =
            value_of(Pipeline::open(*client_, schemas_, system_clock(), {.stages = std::move(stages), .fees = fees_}));
        for (int looks = 0; looks < 1'000'000 && !pipeline->ended(); ++looks) {
            if (value_of(pipeline->drained())) { break; }
        }
        const auto stopped = pipeline->stop();
        ASSERT_TRUE(stopped) << stopped.error().message();
    }
    std::vector<Kept> records(std::string_view topic) {
        std::vector<Kept> out;
        for (int32_t partition = 0; partition < partitions; ++partition) {
            const auto read =
                read_partition(*client_, {std::string(topic), partition}, Offset{0}, [&](const RecordView& record) {
                    Kept kept{std::string(record.key.value_or("")), std::string(record.value.value_or("")), {}};
                    std::vector<Header> headers(record.header_count());
                    record.headers(headers);
                    for (const Header& one : headers) { kept.headers[std::string(one.name)] = one.value.value_or(""); }
                    out.push_back(std::move(kept));
                    return Result<void>();
                });
            EXPECT_TRUE(read);
        }
        return out;
    }
    AuditReport audited() { return value_of(audit(*client_)); }
    std::string first_fault() {
        const AuditReport report = audited();
        return report.faults.empty() ? "" : report.faults.front();
    }

    TestDirectory directory_;
    std::optional<BrokerProcess> broker_;
    std::optional<Client> client_;
    const Schemas schemas_ = all_schemas();
    std::vector<Fee> fees_{{"interchange", {2, 3}}};
};
INSTANTIATE_TEST_SUITE_P(Endpoints, PipelineTest, testing::Bool(),
                         [](const auto& with) { return std::string(with.param ? "Tcp" : "Dir"); });

TEST_P(PipelineTest, EveryRecordIsBookedOrFailedOrFilteredAndTheAuditorAgrees) {
    put_raw(event(1));
    put_raw(event(2, "5.00", "refunded"));
    put_raw(event(3, "0.001"));  // more decimals than pence, and too little
    put_raw(event(1));           // again
    put_raw("nonsense");
    put_raw(event(4, "7.00", "failed"));
    run();

    const AuditReport report = audited();
    EXPECT_TRUE(report.good()) << to_text(report);
    EXPECT_EQ(report.raw, 6u);
    EXPECT_EQ(report.validated, 3u);
    EXPECT_EQ(report.failed, 2u);
    EXPECT_EQ(report.filtered, 1u);
    EXPECT_EQ(report.dead_letters, 0u);
    EXPECT_EQ(report.transfers, 2u);
    EXPECT_EQ(report.payments, 1u);
    EXPECT_EQ(report.not_booked, 1u);
    EXPECT_EQ(report.pending + report.journal_pending, 0u);
    EXPECT_TRUE(report.sums.at("GBP") == 0);
    EXPECT_TRUE((report.balances.at({"customer", "GBP"}) == -1'250 + 500));
    EXPECT_TRUE((report.balances.at({"fees", "GBP"}) == 2));  // 0.2 % of 12.50 is 2.5 pence
    EXPECT_TRUE((report.balances.at({"merchant", "GBP"}) == 1'248 - 500));
}

TEST_P(PipelineTest, WhatFailedIsThereAsItCameWithEveryReason) {
    const std::string bad = changed("txn_3", "TXN3", event(3, "0.001"));
    const Header trace{"trace", "abc"};
    put(topics::raw, {.key = "acct_7", .value = bad, .headers = {&trace, 1}});
    run();
    const auto failed = records(topics::failed);
    ASSERT_EQ(failed.size(), 1u);
    EXPECT_EQ(failed[0].key, "acct_7");
    EXPECT_EQ(failed[0].value, bad);
    EXPECT_EQ(failed[0].headers.at("trace"), "abc");
    EXPECT_EQ(
        failed[0].headers.at("reasons"),
        R"([{"code":"pattern","path":"/data/transactionId","rule":"^txn_[a-z0-9]+$","schema":"transaction.completed/1.0"},)"
        R"({"code":"minimum","path":"/data/amount","rule":"0.01","schema":"transaction.completed/1.0"},)"
        R"({"code":"amount.decimals","path":"/data/amount","rule":"at most 2 decimals in GBP","schema":"transaction.completed/1.0"}])");
}

TEST_P(PipelineTest, WhatWasTakenInAndBookedIsKnownAfterARestart) {
    put_raw(event(1));
    put_raw(event(2));
    run();
    open_again();
    put_raw(event(1));                                     // the same event: filtered
    put_raw(changed("evt_2", "evt_9", event(2)));          // another event of the same transfer: booked before
    put_raw(changed("evt_2", "evt_8", event(2, "9.99")));  // another transfer under its id: a dead letter
    put_raw(event(3));
    run();
    const AuditReport report = audited();
    EXPECT_TRUE(report.good()) << to_text(report);
    EXPECT_EQ(report.filtered, 1u);
    EXPECT_EQ(report.validated, 5u);
    EXPECT_EQ(report.transfers, 3u);
    EXPECT_EQ(report.repeated, 1u);
    EXPECT_EQ(report.dead_letters, 1u);
    const auto dead = records(topics::dead_letters);
    ASSERT_EQ(dead.size(), 1u);
    EXPECT_EQ(dead[0].headers.at("flowstone.error.stage"), "journal");
    EXPECT_EQ(dead[0].headers.at("flowstone.error.code"), "exists");
}

TEST_P(PipelineTest, AStageGoesOnWhereItStoodBesideOneThatWasNotRun) {
    put_raw(event(1));
    run({"validate"});
    AuditReport report = audited();
    EXPECT_TRUE(report.good()) << to_text(report);
    EXPECT_EQ(report.journal_pending, 1u);
    EXPECT_EQ(report.transfers, 0u);
    run({"journal"});
    put_raw(event(2));
    report = audited();
    EXPECT_TRUE(report.good()) << to_text(report);
    EXPECT_EQ(report.transfers, 1u);
    EXPECT_EQ(report.pending, 1u);
}

TEST_P(PipelineTest, PaymentsSayWhatAConfirmationNeeds) {
    put_raw(event(1));
    run();
    const auto payments = records(topics::payments);
    ASSERT_EQ(payments.size(), 1u);
    EXPECT_EQ(payments[0].value,
              R"({"eventId":"evt_1","transferId":"txn_1.payment","transactionId":"txn_1","accountId":"acct_7",)"
              R"("merchantId":"shop","amount":"12.50","currency":"GBP","bookingDate":"2014-04-01"})");
    EXPECT_EQ(payments[0].headers.count("processed_at"), 1u);
}

TEST_P(PipelineTest, TheAuditorFindsALostRecord) {
    put_raw(event(1));
    run();
    put_raw(event(2));
    const GroupOffset skipped{std::string(topics::raw), 0, Offset{2}};
    ASSERT_TRUE(client_->admin().alter_offsets("validate", {skipped}));
    EXPECT_EQ(first_fault(), "transactions.raw-0 offset 1: is lost");
}

TEST_P(PipelineTest, TheAuditorFindsWhatWasNotBooked) {
    put_raw(event(1));
    run({"validate"});
    const GroupOffset skipped{std::string(topics::validated), 0, Offset{1}};
    ASSERT_TRUE(client_->admin().alter_offsets("journal", {skipped}));
    EXPECT_EQ(first_fault(), "transactions.validated-0 offset 0: is not booked");
}

// A record of the journal that says it is the stage's.
class ForgedJournal : public PipelineTest {
protected:
    std::string forged(std::string_view journal_value) {
        put_raw(event(1));
        run({"validate"});
        const Header source{source_header, "journal transactions.validated 0 0 0"};
        put(topics::journal, {.key = "acct_7", .value = journal_value, .headers = {&source, 1}});
        const GroupOffset done{std::string(topics::validated), 0, Offset{1}};
        EXPECT_TRUE(client_->admin().alter_offsets("journal", {done}));
        return first_fault();
    }
    static std::string transfer(std::string_view postings, std::string_view event_id = "evt_1") {
        return fmt::format(R"({{"transferId":"txn_1.payment","eventId":"{}","transactionId":"txn_1","postings":[{}]}})",
                           event_id, postings);
    }
    static std::string posting(std::string_view account, int64_t minor) {
        return fmt::format(R"({{"account":"{}","amountMinor":{},"currency":"GBP"}})", account, minor);
    }
};
INSTANTIATE_TEST_SUITE_P(Endpoints, ForgedJournal, testing::Values(false),
                         [](const auto& with) { return std::string(with.param ? "Tcp" : "Dir"); });

TEST_P(ForgedJournal, TheAuditorFindsBooksOutOfBalance) {
    EXPECT_EQ(forged(transfer(posting("customer:acct_7", -1'250) + "," + posting("merchant:shop", 1'249))),
              "accounting.journal-0 offset 0: GBP is out of balance");
    const AuditReport report = audited();
    EXPECT_EQ(report.faults.back(), "the ledger is out of balance by -1 in GBP");
}

TEST_P(ForgedJournal, TheAuditorFindsAWrongCharge) {
    EXPECT_EQ(forged(transfer(posting("customer:acct_7", -1'249) + "," + posting("merchant:shop", 1'249))),
              "accounting.journal-0 offset 0: charges another amount than its event says");
}

TEST_P(ForgedJournal, TheAuditorFindsATransferOfAnotherEvent) {
    EXPECT_EQ(forged(transfer(posting("customer:acct_7", -1'250) + "," + posting("merchant:shop", 1'250), "evt_2")),
              "accounting.journal-0 offset 0: names another event than it was made of");
}

TEST_P(ForgedJournal, TheAuditorFindsAPaymentThatNobodyIsToldOf) {
    EXPECT_EQ(forged(transfer(posting("customer:acct_7", -1'250) + "," + posting("merchant:shop", 1'250))),
              "transactions.validated-0 offset 0: was booked, and is not confirmed");
}

TEST_P(ForgedJournal, TheAuditorFindsARecordThatNoStageWrote) {
    put(topics::journal, {.key = "acct_7", .value = transfer("")});
    EXPECT_EQ(first_fault(), "accounting.journal-0 offset 0: does not say what it was made of");
}

TEST_P(ForgedJournal, TopicsOfAnotherWidthAreNotTaken) {
    Admin admin = client_->admin();
    EXPECT_EQ(make_topics(admin, partitions + 1).error().code, Code::invalid);
    EXPECT_TRUE(make_topics(admin, partitions));
}

TEST_P(ForgedJournal, AStageThatThereIsNotOrTwiceIsRefused) {
    const auto refused = [&](std::vector<std::string> stages) {
        const auto opened = Pipeline::open(*client_, schemas_, system_clock(), {.stages = std::move(stages)});
        return !opened && opened.error().code == Code::invalid;
    };
    EXPECT_TRUE(refused({"imagined"}));
    EXPECT_TRUE(refused({"journal", "journal"}));
    EXPECT_TRUE(refused({}));
}

}  // namespace
}  // namespace flowstone::fintech
