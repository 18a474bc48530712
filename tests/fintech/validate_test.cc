#include "client/fintech/validate.h"

#include <gtest/gtest.h>

#include "client/fintech/enrich.h"
#include "tests/fintech/events.h"
#include "tests/storage/value_of.h"

namespace flowstone::fintech {
namespace {

class ValidateTest : public testing::Test {
protected:
    // "code path" of every reason, joined by "; "; empty: it is an event.
    std::string check(std::string_view value, std::string_view key = "acct_7", int64_t intake_ms = good_event_ms) {
        return said(validator_.check({.key = key, .value = value, .intake_ms = intake_ms}).has_value());
    }
    std::string said(bool event) {
        EXPECT_EQ(event, validator_.reasons().empty());
        std::string out;
        for (const Reason& reason : validator_.reasons()) {
            out += (out.empty() ? "" : "; ") + reason.code + ' ' + reason.path;
        }
        return out;
    }
    const Schemas schemas_ = all_schemas();
    Validator validator_{schemas_};
};

TEST_F(ValidateTest, AnEventHasItsFieldsInTheirOwnTypes) {
    const auto event = validator_.check({.key = "acct_7", .value = good_event, .intake_ms = good_event_ms});
    ASSERT_TRUE(event);
    EXPECT_EQ(event->event_id, "evt_1");
    EXPECT_EQ(event->event_type, "transaction.completed");
    EXPECT_EQ(event->time.ms(), good_event_ms);
    EXPECT_EQ(event->transaction_id, "txn_1");
    EXPECT_EQ(event->account_id, "acct_7");
    EXPECT_EQ(event->merchant_id, "a shop");
    EXPECT_EQ(event->status, "completed");
    EXPECT_EQ(event->amount.text(), "12.50");
    EXPECT_EQ(event->amount.currency().code(), "GBP");
    EXPECT_FALSE(event->billed);
}

TEST_F(ValidateTest, TheFewFieldsThatMustBeThereAreEnoughAndMoreAreKept) {
    EXPECT_EQ(
        check(R"({"eventId":"e","eventType":"transaction.refunded","timestamp":"2014-04-01T09:30:00Z","version":"1.0",
        "data":{"transactionId":"txn_1","accountId":"acct_7","amount":"0.01","currency":"GBP","merchantId":"m",
                "status":"refunded"}})"),
        "");
    EXPECT_EQ(check(changed("\"paymentMethod\":\"card\"", "\"paymentMethod\":\"card\",\"new\":{\"a\":[1e400]}")), "");
}

TEST_F(ValidateTest, AmountsAreNumbersOrStringsOfThem) {
    for (const char* amount : {"0.01", "1000000", "\"12.50\"", "1e2", "12.5000"}) {
        EXPECT_EQ(check(changed("12.50", amount)), "") << amount;
    }
    for (const char* amount : {"0", "-0", "-0.0", "-12.50", "0.009"}) {
        EXPECT_EQ(check(changed("12.50", amount)).substr(0, 20), "minimum /data/amount") << amount;
    }
    EXPECT_EQ(check(changed("12.50", "1000000.01")), "maximum /data/amount");
    EXPECT_EQ(check(changed("12.50", "1e400")), "digits /data/amount");
    EXPECT_EQ(check(changed("12.50", "1e999999999999999999999")), "digits /data/amount");
    EXPECT_EQ(check(changed("12.50", "\"twelve\"")), "format /data/amount");
    EXPECT_EQ(check(changed("12.50", "null")), "type /data/amount");
    EXPECT_EQ(check(changed("12.50", "12.505")), "amount.decimals /data/amount");
    EXPECT_EQ(check(changed("12.50", "012.50")), "json ");
}

TEST_F(ValidateTest, ACurrencyIsKnownAndSaysHowManyDecimals) {
    EXPECT_EQ(check(changed("GBP", "KWD")), "");
    EXPECT_EQ(check(changed("GBP", "JPY")), "amount.decimals /data/amount");
    EXPECT_EQ(check(changed("GBP", "ZZZ")), "currency.unknown /data/currency");
    EXPECT_EQ(check(changed("GBP", "gbp")), "pattern /data/currency");
    EXPECT_EQ(check(changed("GBP", "POUND")), "pattern /data/currency");
}

TEST_F(ValidateTest, WhatIsBilledHasBothItsParts) {
    const auto with = [&](const char* more) {
        return changed("\"currency\":\"GBP\"", std::string("\"currency\":\"GBP\",") + more);
    };
    EXPECT_EQ(check(with(R"("billedAmount":"15.00","billedCurrency":"EUR")")), "");
    EXPECT_EQ(check(with(R"("billedAmount":"15.00")")), "required /data/billedCurrency");
    EXPECT_EQ(check(with(R"("billedCurrency":"EUR")")), "required /data/billedAmount");
    EXPECT_EQ(check(with(R"("billedAmount":"15.5","billedCurrency":"JPY")")), "amount.decimals /data/billedAmount");
    EXPECT_EQ(check(with(R"("billedAmount":"-1","billedCurrency":"EUR")")), "minimum /data/billedAmount");
}

TEST_F(ValidateTest, AnEventIsNotFromTheFuture) {
    EXPECT_EQ(check(good_event, "acct_7", good_event_ms), "");
    EXPECT_EQ(check(good_event, "acct_7", good_event_ms - 1), "time.future /timestamp");
    EXPECT_EQ(check(changed("2014-04-01T09:30:00Z", "2014-04-01T10:30:00+01:00")), "");
    EXPECT_EQ(check(changed("2014-04-01T09:30:00Z", "2014-03-30T01:30:00")), "format /timestamp");
}

TEST_F(ValidateTest, TheKeyIsTheAccount) {
    EXPECT_EQ(check(good_event, "acct_8"), "key /data/accountId");
    EXPECT_FALSE(validator_.check({.key = {}, .value = good_event, .intake_ms = good_event_ms}));
    EXPECT_EQ(said(false), "key /data/accountId");
}

TEST_F(ValidateTest, EveryReasonIsTold) {
    EXPECT_EQ(check(R"({"eventId":"evt 1","eventType":"transaction.completed","timestamp":"yesterday","version":"1.0",
        "data":{"transactionId":"TXN","amount":-1,"currency":"pounds","merchantId":"","status":"refunded"}})"),
              "pattern /eventId; format /timestamp; pattern /data/transactionId; required /data/accountId; "
              "minimum /data/amount; pattern /data/currency; minLength /data/merchantId; enum /data/status");
}

TEST_F(ValidateTest, WhatIsNoEventAtAllHasItsReason) {
    EXPECT_EQ(check(""), "json ");
    EXPECT_EQ(check("hello"), "json ");
    EXPECT_EQ(check("[1]"), "type ; schema.unknown /eventType");
    EXPECT_EQ(check("{}"), "schema.unknown /eventType");
    EXPECT_EQ(check(changed("transaction.completed", "transaction.imagined")), "schema.unknown /eventType");
    EXPECT_EQ(check(changed("\"version\":\"1.0\"", "\"version\":1.0")), "schema.unknown /eventType");
    EXPECT_EQ(check("{\"a\":\"" + std::string(1 << 20, 'x') + "\"}"), "json.limit ");
    EXPECT_EQ(check(changed("a shop", "a\xff")), "json ");
    EXPECT_FALSE(validator_.check({.key = "acct_7", .value = {}, .intake_ms = good_event_ms}));
    EXPECT_EQ(said(false), "record.empty ");
}

TEST_F(ValidateTest, WhatStagesWriteUnderIsNotTheSources) {
    EXPECT_EQ(check(changed("{\"eventId\"", "{\"enrichment\":{},\"eventId\"")), "reserved /enrichment");
}

TEST_F(ValidateTest, NoReasonHasAnythingOfTheEvent) {
    (void)check(changed("acct_7", "4111 1111 1111 1111"));
    EXPECT_EQ(to_json(validator_.reasons()).find("4111"), std::string::npos);
    EXPECT_NE(to_json(validator_.reasons()).find("transaction.completed/1.0"), std::string::npos);
}

TEST_F(ValidateTest, EnrichmentIsBehindWhatTheSourceWroteByteForByte) {
    const std::string source =
        changed("\"paymentMethod\":\"card\"", "\"paymentMethod\" : \"card\",\"x\":1.10e1") + " \n";
    const auto event = validator_.check({.key = "acct_7", .value = source, .intake_ms = good_event_ms});
    ASSERT_TRUE(event);
    const std::string value = Enricher(*Currency::find("EUR")).enriched(source, *event);
    EXPECT_EQ(value.find(source.substr(0, source.size() - 3)), 0u);
    JsonReader reader;
    const Json json = value_of(reader.read(value));
    EXPECT_EQ(json["enrichment"]["amountMinor"].text(), "1250");
    EXPECT_EQ(json["enrichment"]["exponent"].text(), "2");
    EXPECT_EQ(json["enrichment"]["eventTimeMs"].text(), "1396344600000");
    EXPECT_EQ(json["enrichment"]["eventDate"].string(), "2014-04-01");
    EXPECT_FALSE(json["enrichment"]["reporting"]);
    EXPECT_EQ((*json["enrichment"]["quality"].begin()).string(), "no_rate");
    EXPECT_EQ(value_of(event_of(json)).transaction_id, "txn_1");  // and is an event to those behind
}

TEST_F(ValidateTest, AnAmountIsReportedAtTheRatesOfItsDay) {
    const auto event = validator_.check({.key = "acct_7", .value = good_event, .intake_ms = good_event_ms});
    ASSERT_TRUE(event);
    const ReferenceRates rates = value_of(ReferenceRates::parse("Date,GBP,JPY\n2014-03-31,0.8282,142.42\n"));
    JsonReader reader;
    const Json json = value_of(reader.read(Enricher(*Currency::find("JPY"), &rates).enriched(good_event, *event)));
    const Json reporting = json["enrichment"]["reporting"];
    EXPECT_EQ(reporting["amountMinor"].text(), "2150");  // 12.50 / 0.8282 * 142.42 = 2149.54...
    EXPECT_EQ(reporting["currency"].string(), "JPY");
    EXPECT_EQ(reporting["rateDate"].string(), "2014-03-31");
    EXPECT_EQ(reporting["ratesVersion"].string(), rates.version());
    EXPECT_FALSE(json["enrichment"]["quality"].begin() != json["enrichment"]["quality"].end());
}

}  // namespace
}  // namespace flowstone::fintech
