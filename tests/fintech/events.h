// An event to change for a test.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "client/fintech/schema.h"

namespace flowstone::fintech {

constexpr std::string_view good_event =
    R"({"eventId":"evt_1","eventType":"transaction.completed","timestamp":"2014-04-01T09:30:00Z","version":"1.0",)"
    R"("data":{"transactionId":"txn_1","accountId":"acct_7","amount":12.50,"currency":"GBP","merchantId":"a shop",)"
    R"("paymentMethod":"card","status":"completed","metadata":{"ipAddress":"192.0.2.1"}}})";
constexpr int64_t good_event_ms = 1'396'344'600'000;

// The event with a piece of it, which is there once, in other words.
inline std::string changed(std::string_view from, std::string_view to, std::string_view event = good_event) {
    std::string text(event);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at == std::string::npos) { return text; }
    EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from << " is there twice";
    return text.replace(at, from.size(), to);
}

inline Schemas all_schemas() {
    Schemas schemas;
    for (const SchemaText& schema : built_in_schemas()) {
        EXPECT_TRUE(schemas.add(std::string(schema.name), schema.text));
    }
    return schemas;
}

}  // namespace flowstone::fintech
