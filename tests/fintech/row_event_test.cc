#include "client/fintech/row_event.h"

#include <gtest/gtest.h>

#include "client/fintech/civil_time.h"
#include "client/fintech/validate.h"
#include "tests/fintech/events.h"
#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

const std::vector<std::string> header{"date", "card", "shop", "amount", "currency", "billed", "billed in"};
RowMapping mapping() {
    return {.columns = {{"accountId", "card"},
                        {"merchantId", "shop"},
                        {"amount", "amount"},
                        {"currency", "currency"},
                        {"timestamp", "date"},
                        {"billedAmount", "billed"},
                        {"billedCurrency", "billed in"}},
            .defaults = {{"currency", "GBP"}, {"paymentMethod", "card"}},
            .source = "bank"};
}
RowEvents rows() { return value_of(RowEvents::make(mapping(), header)); }
std::string value(const std::vector<std::string_view>& fields, uint64_t row = 11) {
    RowEvents all = rows();
    return std::string(value_of(all.event(fields, row)).value);
}
constexpr int64_t later_ms = 2'000'000'000'000;

TEST(RowEvent, ARowIsAnEventThatPassesValidation) {
    RowEvents all = rows();
    const RowEvent event = value_of(all.event({"2014-04-01T09:30:00Z", "7557", "bp", "98.33", "", "", ""}, 11));
    EXPECT_EQ(event.key, "acct_7557");
    EXPECT_EQ(event.value,
              R"({"eventId":"evt_bank-11","eventType":"transaction.completed","timestamp":"2014-04-01T09:30:00Z",)"
              R"("version":"1.0","data":{"transactionId":"txn_bankr11","accountId":"acct_7557","amount":"98.33",)"
              R"("currency":"GBP","merchantId":"bp","paymentMethod":"card","status":"completed"}})");
    const Schemas schemas = all_schemas();
    Validator validator(schemas);
    EXPECT_TRUE(validator.check({.key = event.key, .value = event.value, .intake_ms = later_ms}));
}

TEST(RowEvent, ANegativeAmountIsARefundOfThePositiveOne) {
    const std::string refund = value({"2014-04-01", "7557", "bp", "-10.54", "usd", "-6.30", "gbp"});
    for (const char* piece : {R"("eventType":"transaction.refunded")", R"("amount":"10.54","currency":"USD")",
                              R"("billedAmount":"6.30","billedCurrency":"GBP")", R"("status":"refunded")"}) {
        EXPECT_NE(refund.find(piece), std::string::npos) << piece << refund;
    }
    // Money that goes one way is not billed the other way: that is for validation to refuse.
    EXPECT_NE(value({"2014-04-01", "7557", "bp", "10.54", "USD", "-6.30", "GBP"}).find(R"("billedAmount":"-6.30")"),
              std::string::npos);
}

TEST(RowEvent, WhatIsBilledTakesBothItsColumns) {
    EXPECT_EQ(value({"2014-04-01", "7557", "bp", "10.54", "", "", "GBP"}).find("billed"), std::string::npos);
    EXPECT_EQ(value({"2014-04-01", "7557", "bp", "10.54", "", "10.54", ""}).find("billed"), std::string::npos);
}

TEST(RowEvent, ADateGetsATimeOfDayThatIsAlwaysTheSame) {
    const auto time = [](uint64_t row) {
        JsonReader reader;
        return std::string(
            value_of(reader.read(value({"2014-04-01", "7", "bp", "1", "", "", ""}, row)))["timestamp"].string());
    };
    EXPECT_EQ(time(1), time(1));
    EXPECT_NE(time(1), time(2));
    for (uint64_t row = 0; row < 200; ++row) {
        const std::string text = time(row);
        EXPECT_GE(text, "2014-04-01T06:00:00Z");
        EXPECT_LT(text, "2014-04-01T22:00:00Z");
        EXPECT_TRUE(parse_moment(text)) << text;
    }
}

TEST(RowEvent, RowsOfTwoTablesNeverShareAnId) {
    RowMapping one = mapping();
    RowMapping other = mapping();
    one.source = "bank1";
    RowEvents first = value_of(RowEvents::make(one, header));
    RowEvents second = value_of(RowEvents::make(other, header));
    const std::vector<std::string_view> fields{"2014-04-01", "7", "bp", "1", "", "", ""};
    JsonReader reader;
    const auto ids = [&](RowEvents& all, uint64_t row) {
        const Json json = value_of(reader.read(value_of(all.event(fields, row)).value));
        return std::string(json["eventId"].string()) + ' ' + std::string(json["data"]["transactionId"].string());
    };
    EXPECT_EQ(ids(first, 1), "evt_bank1-1 txn_bank1r1");
    EXPECT_EQ(ids(second, 11), "evt_bank-11 txn_bankr11");
}

TEST(RowEvent, WhateverARowHasBecomesAnEventForValidationToJudge) {
    const std::string odd = value({"yesterday", "a b", "sh\"op", "lots", "pounds", "", ""});
    for (const char* piece : {R"("timestamp":"yesterday")", R"("accountId":"acct_a_b")", R"("amount":"lots")",
                              R"("currency":"POUNDS")", R"("merchantId":"sh\"op")"}) {
        EXPECT_NE(odd.find(piece), std::string::npos) << piece << odd;
    }
}

TEST(RowEvent, ATableThatDoesNotFitIsRefused) {
    RowEvents all = rows();
    EXPECT_EQ(all.event({"2014-04-01", "7"}, 1).error().code, Code::invalid);
    EXPECT_EQ(all.event({"2014-04-01", "7", "b\xff", "1", "", "", ""}, 1).error().code, Code::invalid);
    const auto refused = [](auto change) {
        RowMapping one = mapping();
        change(one);
        const auto made = RowEvents::make(one, header);
        return !made && made.error().code == Code::invalid;
    };
    EXPECT_TRUE(refused([](RowMapping& one) { one.columns["colour"] = "card"; }));
    EXPECT_TRUE(refused([](RowMapping& one) { one.defaults["colour"] = "red"; }));
    EXPECT_TRUE(refused([](RowMapping& one) { one.columns["accountId"] = "nobody"; }));
    EXPECT_TRUE(refused([](RowMapping& one) { one.columns.erase("amount"); }));
    EXPECT_TRUE(refused([](RowMapping& one) { one.source = "Bank"; }));
    EXPECT_TRUE(refused([](RowMapping& one) { one.source = ""; }));
    EXPECT_FALSE(refused([](RowMapping& one) { one.columns.erase("billedAmount"); }));
}

}  // namespace
}  // namespace flowstone::fintech
