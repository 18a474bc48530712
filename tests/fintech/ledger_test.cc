#include "client/fintech/ledger.h"

#include <limits>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client/fintech/json.h"
#include "tests/fintech/events.h"
#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

Currency currency(std::string_view code) { return Currency::find(code).value(); }
Money money(std::string_view text, std::string_view code) { return value_of(Money::parse(text, currency(code))); }
Fee fee(std::string name, std::string_view rate) { return {std::move(name), value_of(Decimal::parse(rate))}; }

// "customer:7 -12.50 GBP", one a line.
std::string lines(const Postings& postings) {
    std::string out;
    for (const Posting& one : postings.list()) {
        out += fmt::format("{} {} {}\n", one.account, one.amount.text(), one.amount.currency().code());
    }
    return out;
}
std::map<std::string, Int128> sums(const Postings& postings) {
    std::map<std::string, Int128> out;
    for (const Posting& one : postings.list()) { out[std::string(one.amount.currency().code())] += one.amount.minor(); }
    return out;
}
bool in_balance(const Postings& postings) {
    for (const auto& [code, sum] : sums(postings)) {
        if (sum != 0) { return false; }
    }
    return true;
}

Event event(std::string_view status, const Money& amount, std::optional<Money> billed = {}) {
    return {.event_id = "evt_1",
            .event_type = "",
            .time = value_of(parse_moment("2014-04-01T23:30:00Z")),
            .transaction_id = "txn_1",
            .account_id = "7",
            .merchant_id = "shop",
            .status = status,
            .amount = amount,
            .billed = billed};
}

TEST(Postings, MoneyOnlyMovesAndNeverComesFromNowhere) {
    Postings postings;
    ASSERT_TRUE(postings.move("a", "b", money("5.00", "GBP")));
    ASSERT_TRUE(postings.move("b", "c", money("2.00", "GBP")));
    ASSERT_TRUE(postings.move("c", "a", money("7", "JPY")));
    EXPECT_EQ(lines(postings), "a -5.00 GBP\nb 3.00 GBP\nc 2.00 GBP\nc -7 JPY\na 7 JPY\n");
    EXPECT_TRUE(in_balance(postings));
}

TEST(Postings, WhatCannotBeMovedIsRefused) {
    Postings postings;
    EXPECT_EQ(postings.move("a", "b", money("-1", "GBP")).error().code, Code::invalid);
    EXPECT_EQ(postings.move("a", "a", money("1", "GBP")).error().code, Code::invalid);
    ASSERT_TRUE(postings.move("a", "b", money("0", "GBP")));
    EXPECT_EQ(lines(postings), "");
    ASSERT_TRUE(postings.move("a", "b", Money(std::numeric_limits<int64_t>::max(), currency("GBP"))));
    EXPECT_EQ(postings.move("c", "b", money("0.01", "GBP")).error().code, Code::too_large);
}

TEST(Postings, AnAccountThatCameToNothingHasNone) {
    Postings postings;
    ASSERT_TRUE(postings.move("a", "b", money("5", "GBP")));
    ASSERT_TRUE(postings.move("b", "c", money("5", "GBP")));
    EXPECT_EQ(lines(postings), "a -5.00 GBP\nc 5.00 GBP\n");
}

TEST(Book, APaymentGoesFromTheCustomerToTheMerchantLessTheFees) {
    const Fee fees[] = {fee("interchange", "0.002"), fee("scheme", "0.0005")};
    const Transfer transfer = value_of(book(event("completed", money("100.00", "GBP")), fees));
    EXPECT_EQ(transfer.id, "txn_1.payment");
    EXPECT_EQ(transfer.kind, "payment");
    EXPECT_EQ(format_date(transfer.booking_date), "2014-04-01");
    EXPECT_EQ(lines(transfer.postings),
              "customer:7 -100.00 GBP\nmerchant:shop 99.75 GBP\nfees:interchange 0.20 GBP\nfees:scheme 0.05 GBP\n");
    EXPECT_TRUE(in_balance(transfer.postings));
}

TEST(Book, WhatPartsDifferFromTheirWholeIsInRounding) {
    // 10 pence: three shares of 4 % are 0.4 each, rounded 0, together 1.2, rounded 1. Of 6 %: 0.6 each is 1, together 1.8 is 2.
    const Fee less[] = {fee("a", "0.04"), fee("b", "0.04"), fee("c", "0.04")};
    const Fee more[] = {fee("a", "0.06"), fee("b", "0.06"), fee("c", "0.06")};
    const auto booked = [&](std::span<const Fee> fees) {
        return value_of(book(event("completed", money("0.10", "GBP")), fees)).postings;
    };
    EXPECT_EQ(lines(booked(less)), "customer:7 -0.10 GBP\nmerchant:shop 0.09 GBP\nrounding 0.01 GBP\n");
    EXPECT_EQ(lines(booked(more)),
              "customer:7 -0.10 GBP\nmerchant:shop 0.08 GBP\nfees:a 0.01 GBP\nfees:b 0.01 GBP\n"
              "fees:c 0.01 GBP\nrounding -0.01 GBP\n");
}

TEST(Book, ARefundGoesBackWithoutTheFees) {
    const Fee fees[] = {fee("interchange", "0.002")};
    const Transfer transfer = value_of(book(event("refunded", money("100.00", "GBP")), fees));
    EXPECT_EQ(transfer.id, "txn_1.refund");
    EXPECT_EQ(lines(transfer.postings), "merchant:shop -100.00 GBP\ncustomer:7 100.00 GBP\n");
}

TEST(Book, TwoCurrenciesMeetInTheExchangeAccountAtTheAmountsOfTheEvent) {
    const Transfer payment = value_of(book(event("completed", money("1000", "JPY"), money("5.33", "GBP")), {}));
    EXPECT_EQ(lines(payment.postings),
              "customer:7 -5.33 GBP\nexchange 5.33 GBP\nexchange -1000 JPY\nmerchant:shop 1000 JPY\n");
    EXPECT_TRUE(in_balance(payment.postings));
    const Transfer refund = value_of(book(event("refunded", money("1000", "JPY"), money("5.20", "GBP")), {}));
    EXPECT_EQ(lines(refund.postings),
              "merchant:shop -1000 JPY\nexchange 1000 JPY\nexchange -5.20 GBP\ncustomer:7 5.20 GBP\n");
    // The same on both sides needs no exchange.
    const Transfer same = value_of(book(event("completed", money("5", "GBP"), money("5", "GBP")), {}));
    EXPECT_EQ(lines(same.postings), "customer:7 -5.00 GBP\nmerchant:shop 5.00 GBP\n");
}

TEST(Book, OnlyWhatIsCompletedOrRefundedMovesMoney) {
    EXPECT_TRUE(is_booked("completed"));
    EXPECT_TRUE(is_booked("refunded"));
    for (const char* status : {"pending", "failed", "", "COMPLETED"}) {
        EXPECT_FALSE(is_booked(status));
        EXPECT_EQ(book(event(status, money("1", "GBP")), {}).error().code, Code::invalid);
    }
}

TEST(Book, AReversalTurnsEverySignAndNamesWhatItUndoes) {
    const Fee fees[] = {fee("interchange", "0.002")};
    const Transfer transfer = value_of(book(event("completed", money("100.00", "GBP")), fees));
    const Transfer undone = value_of(reverse(transfer, "evt_9", Date{16'200}));
    EXPECT_EQ(undone.id, "txn_1.payment.reversal");
    EXPECT_EQ(undone.reverses, "txn_1.payment");
    EXPECT_EQ(lines(undone.postings), "customer:7 100.00 GBP\nmerchant:shop -99.80 GBP\nfees:interchange -0.20 GBP\n");
    EXPECT_EQ(reverse(undone, "evt_10", Date{0}).error().code, Code::invalid);
}

// By construction, so whatever the amounts and rates.
TEST(Book, EveryTransferIsInBalance) {
    uint64_t state = 7;
    const auto draw = [&](uint64_t below) {
        state = state * 6364136223846793005 + 1442695040888963407;
        return static_cast<int64_t>((state >> 33) % below);
    };
    const char* const codes[] = {"JPY", "GBP", "KWD"};
    for (int i = 0; i < 20'000; ++i) {
        std::vector<Fee> fees;
        for (int64_t count = draw(4); count > 0; --count) {
            fees.push_back({fmt::format("fee{}", count), {draw(500), 4}});
        }
        const Money amount(draw(1'000'000'000), currency(codes[draw(3)]));
        std::optional<Money> billed;
        if (draw(2) == 0) { billed = Money(draw(1'000'000'000), currency(codes[draw(3)])); }
        const Transfer transfer = value_of(book(event(draw(2) == 0 ? "completed" : "refunded", amount, billed), fees));
        ASSERT_TRUE(in_balance(transfer.postings));
        ASSERT_TRUE(in_balance(value_of(reverse(transfer, "r", Date{1})).postings));
    }
}

TEST(Ledger, ATransferIsBookedOnceAndAnotherUnderItsIdIsAConflict) {
    Ledger ledger;
    const Transfer transfer = value_of(book(event("completed", money("100.00", "GBP")), {}));
    EXPECT_EQ(ledger.look_up(transfer), Ledger::Answer::booked);
    ledger.add(transfer);
    EXPECT_EQ(ledger.look_up(transfer), Ledger::Answer::repeated);
    Event again = event("completed", money("100.00", "GBP"));
    again.event_id = "evt_2";  // asked for by another event: the same transfer all the same
    EXPECT_EQ(ledger.look_up(value_of(book(again, {}))), Ledger::Answer::repeated);
    EXPECT_EQ(ledger.look_up(value_of(book(event("completed", money("100.01", "GBP")), {}))), Ledger::Answer::conflict);
    again.account_id = "8";
    EXPECT_EQ(ledger.look_up(value_of(book(again, {}))), Ledger::Answer::conflict);
    EXPECT_EQ(ledger.look_up(value_of(book(event("refunded", money("100.00", "GBP")), {}))), Ledger::Answer::booked);
}

TEST(Ledger, IsTheSameWhenItLearnsFromTheJournal) {
    const Fee fees[] = {fee("interchange", "0.002")};
    const Transfer transfer = value_of(book(event("completed", money("100.00", "GBP")), fees));
    Ledger ledger;
    ASSERT_TRUE(ledger.learn(to_json(transfer)));
    EXPECT_EQ(ledger.look_up(transfer), Ledger::Answer::repeated);
    EXPECT_EQ(ledger.look_up(value_of(book(event("completed", money("99.99", "GBP")), fees))),
              Ledger::Answer::conflict);
    EXPECT_EQ(ledger.size(), 1u);
    for (const char* text : {"", "{}", "[]", R"({"transferId":"x"})", R"({"kind":"payment"})"}) {
        EXPECT_FALSE(ledger.learn(text)) << text;
    }
}

TEST(Ledger, ARecordOfTheJournalIsJsonWithWholeMinorUnits) {
    Event one = event("completed", money("12.50", "GBP"));
    one.merchant_id = "a \"shop\"";
    EXPECT_EQ(to_json(value_of(book(one, {}))),
              R"({"transferId":"txn_1.payment","eventId":"evt_1","kind":"payment","transactionId":"txn_1",)"
              R"("bookingDate":"2014-04-01","valueDate":"2014-04-01","postings":[)"
              R"({"account":"customer:7","amountMinor":-1250,"currency":"GBP"},)"
              R"({"account":"merchant:a \"shop\"","amountMinor":1250,"currency":"GBP"}]})");
    const Transfer undone = value_of(reverse(value_of(book(one, {})), "evt_2", Date{16'200}));
    EXPECT_NE(to_json(undone).find(R"("reverses":"txn_1.payment")"), std::string::npos);
}

}  // namespace
}  // namespace flowstone::fintech
