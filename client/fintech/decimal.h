// Decimal numbers, exactly as their digits say: amounts before their currency is known, rates, limits. Nothing here is or
// becomes floating point.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone::fintech {

__extension__ using Int128 = __int128;

std::string to_string(Int128 value);

// 10 to the `power`, which is from 0 to 38.
Int128 power_of_ten(int32_t power);

// digits * 10^-scale. What parse() makes has no zero at the end of its digits while scale is above 0, so equal numbers have
// equal members.
struct Decimal {
    static constexpr int32_t digits_max = 18;
    static constexpr int32_t scale_max = 18;

    int64_t digits = 0;
    int32_t scale = 0;  // 0 to scale_max

    // The whole of `text` as a number as RFC 8259 spells it. Errors: invalid (no number); too_large (more than digits_max
    // digits that matter, or more than scale_max of them behind the point).
    static Result<Decimal> parse(std::string_view text);
    std::string text() const;

    friend bool operator==(const Decimal&, const Decimal&) = default;
};
std::strong_ordering compare(const Decimal& left, const Decimal& right);
// Errors: too_large.
Result<Decimal> sum(const Decimal& left, const Decimal& right);

}  // namespace flowstone::fintech
