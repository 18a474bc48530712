// Times of events: RFC 3339 with a zone, to nanoseconds since 1970 UTC and back. Dates are UTC's.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone::fintech {

// A moment. From 1678 to 2261, which is what 64 bits of nanoseconds hold.
struct Moment {
    int64_t ns = 0;                                                                             // since 1970, UTC
    int64_t ms() const { return (ns - (ns % 1'000'000 + 1'000'000) % 1'000'000) / 1'000'000; }  // rounded down
    friend auto operator<=>(const Moment&, const Moment&) = default;
};

// "2014-04-01T09:30:00.123456789+01:00", with Z or an offset: a time without one is not a moment, and is refused. Up to
// nine decimals. 23:59:60 UTC is taken as the first moment of the next day, as Unix counts leap seconds; ":60" elsewhere is
// refused. Errors: invalid; out_of_range (a year that a Moment cannot hold).
Result<Moment> parse_moment(std::string_view text);
// In UTC with Z; as many decimals as it takes, in threes.
std::string format_moment(Moment moment);

// A day of the Gregorian calendar.
struct Date {
    int32_t days = 0;  // since 1970-01-01
    friend auto operator<=>(const Date&, const Date&) = default;
};
Date date_of(Moment moment);
Moment begin_of(Date date);                      // from 1678 to 2261
Result<Date> parse_date(std::string_view text);  // "2014-04-01". Errors: invalid.
std::string format_date(Date date);

}  // namespace flowstone::fintech
