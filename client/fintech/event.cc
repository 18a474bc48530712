#include "client/fintech/event.h"

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

Result<std::string_view> text_of(const Json& object, std::string_view name) {
    const Json value = object[name];
    if (!value.is(JsonKind::string)) { return fail(Code::invalid, "event.read", name); }
    return value.text();
}

Result<Money> money_of(const Json& data, std::string_view amount, std::string_view currency) {
    TRY(const std::string_view code, text_of(data, currency));
    const auto known = Currency::find(code);
    if (!known) { return fail(Code::invalid, "event.read", currency); }
    TRY(const Decimal major, decimal_of(data[amount]));
    return Money::of(major, *known);
}

}  // namespace

Result<Decimal> decimal_of(const Json& value) {
    if (!value.is(JsonKind::number) && !value.is(JsonKind::string)) {
        return fail(Code::invalid, "event.read", "neither a number nor a string");
    }
    return Decimal::parse(value.text());
}

Result<Event> event_of(const Json& json) {
    const Json data = json["data"];
    TRY(const std::string_view event_id, text_of(json, "eventId"));
    TRY(const std::string_view event_type, text_of(json, "eventType"));
    TRY(const std::string_view timestamp, text_of(json, "timestamp"));
    TRY(const Moment time, parse_moment(timestamp));
    TRY(const std::string_view transaction_id, text_of(data, "transactionId"));
    TRY(const std::string_view account_id, text_of(data, "accountId"));
    TRY(const std::string_view merchant_id, text_of(data, "merchantId"));
    TRY(const std::string_view status, text_of(data, "status"));
    TRY(const Money amount, money_of(data, "amount", "currency"));
    std::optional<Money> billed;
    if (data["billedAmount"]) { TRY(billed, money_of(data, "billedAmount", "billedCurrency")); }
    return Event{.event_id = event_id,
                 .event_type = event_type,
                 .time = time,
                 .transaction_id = transaction_id,
                 .account_id = account_id,
                 .merchant_id = merchant_id,
                 .status = status,
                 .amount = amount,
                 .billed = billed};
}

}  // namespace flowstone::fintech
