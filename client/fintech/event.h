// A transaction's event, as everybody behind validation has it: every field is there, in its own type, and within bounds.
#pragma once

#include <optional>
#include <string_view>

#include <flowstone/result.h>

#include "client/fintech/civil_time.h"
#include "client/fintech/json.h"
#include "client/fintech/money.h"

namespace flowstone::fintech {

// Views into the JSON it was made of.
struct Event {
    std::string_view event_id;
    std::string_view event_type;  // "transaction.completed"
    Moment time;                  // when it happened, as its source says
    std::string_view transaction_id;
    std::string_view account_id;
    std::string_view merchant_id;
    std::string_view status;  // "completed"
    Money amount;             // what the merchant asked for; positive, refunds too
    // What the account is charged, where the source says so: in its own currency, if that is another.
    std::optional<Money> billed{};
};

// Errors: invalid: a field is missing, or is not what validation lets through.
Result<Event> event_of(const Json& json);

// The amount that `data` has under this name: a number, or a string of one. Errors: those of Decimal::parse.
Result<Decimal> decimal_of(const Json& value);

}  // namespace flowstone::fintech
