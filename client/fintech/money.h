// Money: whole minor units of a currency, in 64 bits, every operation checked.
//
//   auto gbp = Currency::find("GBP");                       // exponent 2
//   auto price = Money::parse("12.50", *gbp);               // 1250 pence; from the digits, never through floating point
//   auto in_yen = convert(*price, *jpy, *rate);             // rounded once, half to even; what was rounded away beside it
//
// Money cannot be made of floating point and turns into none. Two currencies never add.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <flowstone/result.h>

#include "client/fintech/decimal.h"

namespace flowstone::fintech {

// A currency of ISO 4217, with how many decimals its minor unit has. Those without a minor unit (gold, special drawing
// rights, test codes) are none; those withdrawn since 2010 still are, for what was paid in them.
class Currency {
public:
    // `code`: three capital letters.
    static std::optional<Currency> find(std::string_view code);
    static std::span<const Currency> all();  // by code
    std::string_view code() const { return {code_.data(), code_.size()}; }
    int32_t exponent() const { return exponent_; }
    friend constexpr auto operator<=>(const Currency&, const Currency&) = default;

private:
    friend struct CurrencyTable;
    constexpr Currency(std::array<char, 3> code, int8_t exponent) : code_(code), exponent_(exponent) {}
    std::array<char, 3> code_;
    int8_t exponent_;
};

class Money {
public:
    template <std::same_as<int64_t> Minor>  // no other type is taken, least of all one that is rounded on the way
    constexpr Money(Minor minor, Currency currency) : minor_(minor), currency_(currency) {}
    // Major units as a JSON number spells them. Errors: invalid (no number); out_of_range (more decimals than the currency
    // has, none of them rounded away); too_large.
    static Result<Money> parse(std::string_view text, Currency currency);
    static Result<Money> of(const Decimal& major, Currency currency);  // Errors: out_of_range, too_large.

    int64_t minor() const { return minor_; }
    const Currency& currency() const { return currency_; }
    std::string text() const;  // major units with all decimals of the currency: "12.50", "-0.05", "1250"
    friend bool operator==(const Money&, const Money&) = default;

private:
    int64_t minor_;
    Currency currency_;
};
// Errors: invalid (two currencies), too_large.
Result<Money> add(const Money& left, const Money& right);
Result<Money> subtract(const Money& left, const Money& right);
Result<Money> negate(const Money& money);  // Errors: too_large.

// Minor units of one currency, summed in 128 bits: as many amounts as there can be records do not overflow it.
class MoneySum {
public:
    explicit MoneySum(Currency currency) : currency_(currency) {}
    Result<void> add(const Money& money);  // Errors: invalid (another currency).
    Int128 minor() const { return minor_; }
    Result<Money> money() const;  // Errors: too_large.

private:
    Currency currency_;
    Int128 minor_ = 0;
};

// numerator / denominator of a minor unit; the denominator is above 0.
struct Fraction {
    Int128 numerator = 0;
    Int128 denominator = 1;
};
// What a multiplication came to. exactly = amount + rest, and rest is from -1/2 to 1/2.
struct Rounded {
    Money amount;
    Fraction rest;
};
// `money` * multiplier / divisor in `to`, both of major units, as rates are quoted: computed in 128 bits and rounded once,
// half to even. Errors: invalid (a divisor that is not above 0), too_large.
Result<Rounded> convert(const Money& money, Currency to, const Decimal& multiplier, const Decimal& divisor = {1, 0});
// The same in its own currency: a fee of 0.0150.
Result<Rounded> share(const Money& money, const Decimal& rate);

}  // namespace flowstone::fintech
