#include "client/fintech/reference_rates.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "storage/bytes.h"
#include "storage/sha256.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

std::unexpected<Error> refuse(size_t line, std::string_view what) {
    return fail(Code::invalid, "rates.read", fmt::format("line {}: {}", line, what));
}

// Up to the next `end`, which goes, too.
std::string_view take(std::string_view& text, char end) {
    const size_t size = std::min(text.find(end), text.size());
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    return taken;
}

std::string_view take_line(std::string_view& text) {
    std::string_view line = take(text, '\n');
    if (line.ends_with('\r')) { line.remove_suffix(1); }
    return line;
}

Result<std::vector<Currency>> columns_of(std::string_view header) {
    if (take(header, ',') != "Date") { return refuse(1, "does not begin with Date"); }
    std::vector<Currency> columns;
    while (!header.empty()) {
        const auto currency = Currency::find(take(header, ','));
        if (!currency) { return refuse(1, "a column that is no currency"); }
        columns.push_back(*currency);
    }
    return columns;
}

}  // namespace

Result<ReferenceRates> ReferenceRates::parse(std::string_view csv) {
    ReferenceRates rates;
    rates.version_ = to_hex(sha256(as_bytes(csv))).substr(0, 16);
    TRY(const std::vector<Currency> columns, columns_of(take_line(csv)));
    size_t count = 0;
    for (size_t number = 2; !csv.empty(); ++number) {
        std::string_view line = take_line(csv);
        const auto date = parse_date(take(line, ','));
        if (!date) { return refuse(number, "does not begin with a date"); }
        for (const Currency currency : columns) {
            const std::string_view field = take(line, ',');
            if (field.empty()) { continue; }
            const auto rate = Decimal::parse(field);
            if (!rate || rate->digits <= 0) { return refuse(number, "a rate that is no number above 0"); }
            if (++count > rates_max) { return fail(Code::too_large, "rates.read", "more rates than are kept"); }
            rates.rates_[currency][*date] = *rate;
        }
        if (!line.empty()) { return refuse(number, "more fields than the header has"); }
    }
    return rates;
}

std::optional<ReferenceRates::Rate> ReferenceRates::find(Currency currency, Date day) const {
    if (currency.code() == "EUR") { return Rate{.date = day}; }
    const auto days = rates_.find(currency);
    if (days == rates_.end()) { return std::nullopt; }
    const auto behind = days->second.upper_bound(day);
    if (behind == days->second.begin()) { return std::nullopt; }
    const auto& [date, rate] = *std::prev(behind);
    if (day.days - date.days > age_days_max) { return std::nullopt; }
    return Rate{.per_euro = rate, .date = date};
}

std::optional<Reported> ReferenceRates::convert(const Money& money, Currency to, Date day) const {
    const auto from_rate = find(money.currency(), day);
    const auto to_rate = find(to, day);
    if (!from_rate || !to_rate) { return std::nullopt; }
    const auto converted = fintech::convert(money, to, to_rate->per_euro, from_rate->per_euro);
    if (!converted) { return std::nullopt; }
    return Reported{.amount = converted->amount, .rate_date = std::min(from_rate->date, to_rate->date)};
}

}  // namespace flowstone::fintech
