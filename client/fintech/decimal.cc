#include "client/fintech/decimal.h"

#include <algorithm>

#include "storage/check.h"

namespace flowstone::fintech {
namespace {

constexpr int64_t exponent_max = 10'000;  // beyond it the number is too large, or too small, whatever its digits

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

std::string_view take_digits(std::string_view& text) {
    const auto end = std::ranges::find_if_not(text, is_digit);
    const std::string_view digits = text.substr(0, static_cast<size_t>(end - text.begin()));
    text.remove_prefix(digits.size());
    return digits;
}

// The parts of a number, as they are written.
struct Spelling {
    bool negative = false;
    std::string_view whole;
    std::string_view fraction;
    int64_t exponent = 0;
};

bool take_exponent(std::string_view& text, int64_t& exponent) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) { text.remove_prefix(1); }
    const std::string_view digits = take_digits(text);
    if (digits.empty()) { return false; }
    for (const char digit : digits) { exponent = std::min(exponent * 10 + (digit - '0'), exponent_max); }
    if (negative) { exponent = -exponent; }
    return true;
}

bool spell(std::string_view text, Spelling& out) {
    out.negative = text.starts_with('-');
    if (out.negative) { text.remove_prefix(1); }
    out.whole = take_digits(text);
    if (out.whole.empty() || (out.whole.size() > 1 && out.whole.front() == '0')) { return false; }
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        out.fraction = take_digits(text);
        if (out.fraction.empty()) { return false; }
    }
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        if (!take_exponent(text, out.exponent)) { return false; }
    }
    return text.empty();
}

}  // namespace

std::string to_string(Int128 value) {
    const bool negative = value < 0;
    std::string text;
    do {
        const int digit = static_cast<int>(value % 10);
        text += static_cast<char>('0' + (digit < 0 ? -digit : digit));
        value /= 10;
    } while (value != 0);
    if (negative) { text += '-'; }
    std::ranges::reverse(text);
    return text;
}

Int128 power_of_ten(int32_t power) {
    CHECK(power >= 0 && power <= 38);
    Int128 value = 1;
    for (; power > 0; --power) { value *= 10; }
    return value;
}

Result<Decimal> Decimal::parse(std::string_view text) {
    Spelling spelling;
    if (!spell(text, spelling)) { return fail(Code::invalid, "decimal.parse", "not a number"); }
    std::string digits(spelling.whole);
    digits += spelling.fraction;
    int64_t scale = static_cast<int64_t>(spelling.fraction.size()) - spelling.exponent;
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    while (!digits.empty() && digits.back() == '0') {
        digits.pop_back();
        --scale;
    }
    if (digits.empty()) { return Decimal{}; }
    if (scale < 0 && -scale <= digits_max) {
        digits.append(static_cast<size_t>(-scale), '0');
        scale = 0;
    }
    if (scale < 0 || scale > scale_max || digits.size() > digits_max) {
        return fail(Code::too_large, "decimal.parse", "more than 18 digits");
    }
    Decimal decimal{.digits = 0, .scale = static_cast<int32_t>(scale)};
    for (const char digit : digits) { decimal.digits = decimal.digits * 10 + (digit - '0'); }
    if (spelling.negative) { decimal.digits = -decimal.digits; }
    return decimal;
}

std::string Decimal::text() const {
    std::string out = to_string(digits < 0 ? -Int128{digits} : Int128{digits});
    if (scale > 0) {
        const auto behind = static_cast<size_t>(scale);
        if (out.size() <= behind) { out.insert(0, behind + 1 - out.size(), '0'); }
        out.insert(out.size() - behind, 1, '.');
    }
    if (digits < 0) { out.insert(0, 1, '-'); }
    return out;
}

std::strong_ordering compare(const Decimal& left, const Decimal& right) {
    const int32_t scale = std::max(left.scale, right.scale);
    return left.digits * power_of_ten(scale - left.scale) <=> right.digits * power_of_ten(scale - right.scale);
}

Result<Decimal> sum(const Decimal& left, const Decimal& right) {
    int32_t scale = std::max(left.scale, right.scale);
    Int128 digits = left.digits * power_of_ten(scale - left.scale) + right.digits * power_of_ten(scale - right.scale);
    for (; scale > 0 && digits % 10 == 0; --scale) { digits /= 10; }
    const Int128 most = power_of_ten(Decimal::digits_max);
    if (digits >= most || digits <= -most) { return fail(Code::too_large, "decimal.sum", "more than 18 digits"); }
    return Decimal{.digits = static_cast<int64_t>(digits), .scale = scale};
}

}  // namespace flowstone::fintech
