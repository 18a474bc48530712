// Reference rates by day: what money of one currency is in another, for reports. The books never use them. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <flowstone/result.h>

#include "client/fintech/civil_time.h"
#include "client/fintech/money.h"

namespace flowstone::fintech {

struct Reported {
    Money amount;
    Date rate_date;  // the older of the two, where both currencies have a rate
};

// Units of each currency for one euro, as the European Central Bank publishes them.
class ReferenceRates {
public:
    // No rates on weekends and holidays: the last one on or before a day counts, if it is not older than this.
    static constexpr int32_t age_days_max = 10;
    static constexpr size_t rates_max = 10'000'000;

    // A header "Date,USD,JPY,...", then a line for each day "2013-10-01,1.3554,132.6,..."; an empty field is no rate.
    // Errors: invalid, too_large, with the number of the line.
    static Result<ReferenceRates> parse(std::string_view csv);

    // `money` in `to`, at the rates of that day. Nothing: there is no rate, or the result does not fit.
    std::optional<Reported> convert(const Money& money, Currency to, Date day) const;
    // Of the text, so that who reads a converted amount knows which rates it was made with: 16 hexadecimal digits.
    const std::string& version() const { return version_; }

private:
    struct Rate {
        Decimal per_euro{1, 0};
        Date date;
    };
    std::optional<Rate> find(Currency currency, Date day) const;

    std::map<Currency, std::map<Date, Decimal>> rates_;
    std::string version_;
};

}  // namespace flowstone::fintech
