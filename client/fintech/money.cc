#include "client/fintech/money.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr bool fits(Int128 value) {
    return value >= std::numeric_limits<int64_t>::min() && value <= std::numeric_limits<int64_t>::max();
}

Result<Money> money_of(Int128 minor, Currency currency, const char* operation) {
    if (!fits(minor)) { return fail(Code::too_large, operation, "more than 64 bits of minor units"); }
    return Money(static_cast<int64_t>(minor), currency);
}

// numerator / denominator, half to even. The denominator is above 0.
Int128 round_half_even(Int128 numerator, Int128 denominator) {
    Int128 quotient = numerator / denominator;
    Int128 rest = numerator % denominator;
    if (rest < 0) {  // down, so that the rest is from 0 to the denominator
        --quotient;
        rest += denominator;
    }
    const Int128 other = denominator - rest;
    if (rest > other || (rest == other && quotient % 2 != 0)) { ++quotient; }
    return quotient;
}

}  // namespace

struct CurrencyTable {
    static constexpr Currency make(const char (&code)[4], int8_t exponent) {
        return Currency({code[0], code[1], code[2]}, exponent);
    }
};

namespace {

constexpr Currency none(const char (&code)[4]) { return CurrencyTable::make(code, 0); }
constexpr Currency two(const char (&code)[4]) { return CurrencyTable::make(code, 2); }
constexpr Currency three(const char (&code)[4]) { return CurrencyTable::make(code, 3); }
constexpr Currency four(const char (&code)[4]) { return CurrencyTable::make(code, 4); }

// Codes and exponents of ISO 4217: list one, and of list three what was withdrawn since 2010. By code.
constexpr std::array currencies{
    two("AED"),  two("AFN"),   two("ALL"),   two("AMD"),   two("ANG"),  two("AOA"),   two("ARS"),   two("AUD"),
    two("AWG"),  two("AZN"),   two("BAM"),   two("BBD"),   two("BDT"),  two("BGN"),   three("BHD"), none("BIF"),
    two("BMD"),  two("BND"),   two("BOB"),   two("BOV"),   two("BRL"),  two("BSD"),   two("BTN"),   two("BWP"),
    two("BYN"),  none("BYR"),  two("BZD"),   two("CAD"),   two("CDF"),  two("CHE"),   two("CHF"),   two("CHW"),
    four("CLF"), none("CLP"),  two("CNY"),   two("COP"),   two("COU"),  two("CRC"),   two("CUC"),   two("CUP"),
    two("CVE"),  two("CZK"),   none("DJF"),  two("DKK"),   two("DOP"),  two("DZD"),   two("EEK"),   two("EGP"),
    two("ERN"),  two("ETB"),   two("EUR"),   two("FJD"),   two("FKP"),  two("GBP"),   two("GEL"),   two("GHS"),
    two("GIP"),  two("GMD"),   none("GNF"),  two("GTQ"),   two("GYD"),  two("HKD"),   two("HNL"),   two("HRK"),
    two("HTG"),  two("HUF"),   two("IDR"),   two("ILS"),   two("INR"),  three("IQD"), two("IRR"),   none("ISK"),
    two("JMD"),  three("JOD"), none("JPY"),  two("KES"),   two("KGS"),  two("KHR"),   none("KMF"),  two("KPW"),
    none("KRW"), three("KWD"), two("KYD"),   two("KZT"),   two("LAK"),  two("LBP"),   two("LKR"),   two("LRD"),
    two("LSL"),  two("LTL"),   two("LVL"),   three("LYD"), two("MAD"),  two("MDL"),   two("MGA"),   two("MKD"),
    two("MMK"),  two("MNT"),   two("MOP"),   two("MRO"),   two("MRU"),  two("MUR"),   two("MVR"),   two("MWK"),
    two("MXN"),  two("MXV"),   two("MYR"),   two("MZN"),   two("NAD"),  two("NGN"),   two("NIO"),   two("NOK"),
    two("NPR"),  two("NZD"),   three("OMR"), two("PAB"),   two("PEN"),  two("PGK"),   two("PHP"),   two("PKR"),
    two("PLN"),  none("PYG"),  two("QAR"),   two("RON"),   two("RSD"),  two("RUB"),   none("RWF"),  two("SAR"),
    two("SBD"),  two("SCR"),   two("SDG"),   two("SEK"),   two("SGD"),  two("SHP"),   two("SLE"),   two("SLL"),
    two("SOS"),  two("SRD"),   two("SSP"),   two("STD"),   two("STN"),  two("SVC"),   two("SYP"),   two("SZL"),
    two("THB"),  two("TJS"),   two("TMT"),   three("TND"), two("TOP"),  two("TRY"),   two("TTD"),   two("TWD"),
    two("TZS"),  two("UAH"),   none("UGX"),  two("USD"),   two("USN"),  none("UYI"),  two("UYU"),   four("UYW"),
    two("UZS"),  two("VED"),   two("VEF"),   two("VES"),   none("VND"), none("VUV"),  two("WST"),   none("XAF"),
    two("XCD"),  none("XOF"),  none("XPF"),  two("YER"),   two("ZAR"),  two("ZMK"),   two("ZMW"),   two("ZWL")};
static_assert(std::ranges::is_sorted(currencies));

}  // namespace

std::span<const Currency> Currency::all() { return currencies; }

std::optional<Currency> Currency::find(std::string_view code) {
    const auto found = std::ranges::lower_bound(currencies, code, {}, &Currency::code);
    if (found == currencies.end() || found->code() != code) { return std::nullopt; }
    return *found;
}

Result<Money> Money::of(const Decimal& major, Currency currency) {
    if (major.scale > currency.exponent()) {
        return fail(Code::out_of_range, "money.parse",
                    fmt::format("{} has {} decimals", currency.code(), currency.exponent()));
    }
    return money_of(major.digits * power_of_ten(currency.exponent() - major.scale), currency, "money.parse");
}

Result<Money> Money::parse(std::string_view text, Currency currency) {
    TRY(const Decimal major, Decimal::parse(text));
    return of(major, currency);
}

std::string Money::text() const { return Decimal{.digits = minor_, .scale = currency_.exponent()}.text(); }

Result<Money> add(const Money& left, const Money& right) {
    if (left.currency() != right.currency()) { return fail(Code::invalid, "money.add", "two currencies"); }
    return money_of(Int128{left.minor()} + right.minor(), left.currency(), "money.add");
}

Result<Money> subtract(const Money& left, const Money& right) {
    if (left.currency() != right.currency()) { return fail(Code::invalid, "money.subtract", "two currencies"); }
    return money_of(Int128{left.minor()} - right.minor(), left.currency(), "money.subtract");
}

Result<Money> negate(const Money& money) { return money_of(-Int128{money.minor()}, money.currency(), "money.negate"); }

Result<void> MoneySum::add(const Money& money) {
    if (money.currency() != currency_) { return fail(Code::invalid, "money.add", "two currencies"); }
    minor_ += money.minor();
    return {};
}

Result<Money> MoneySum::money() const { return money_of(minor_, currency_, "money.sum"); }

Result<Rounded> convert(const Money& money, Currency to, const Decimal& multiplier, const Decimal& divisor) {
    if (divisor.digits <= 0) { return fail(Code::invalid, "money.convert", "a divisor that is not above 0"); }
    // minor * multiplier.digits / divisor.digits * 10^power
    const int32_t power = to.exponent() - money.currency().exponent() - multiplier.scale + divisor.scale;
    Int128 numerator = Int128{money.minor()} * multiplier.digits;
    Int128 denominator = divisor.digits;
    Int128& scaled = power >= 0 ? numerator : denominator;
    if (__builtin_mul_overflow(scaled, power_of_ten(power >= 0 ? power : -power), &scaled)) {
        return fail(Code::too_large, "money.convert", "more than 128 bits");
    }
    const Int128 minor = round_half_even(numerator, denominator);
    TRY(const Money amount, money_of(minor, to, "money.convert"));
    return Rounded{.amount = amount, .rest = {numerator - minor * denominator, denominator}};
}

Result<Rounded> share(const Money& money, const Decimal& rate) { return convert(money, money.currency(), rate); }

}  // namespace flowstone::fintech
