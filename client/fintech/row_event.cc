#include "client/fintech/row_event.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "client/fintech/civil_time.h"
#include "client/fintech/json.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr std::string_view needed[] = {"accountId", "merchantId", "amount", "currency", "timestamp"};
constexpr std::string_view optional_fields[] = {"paymentMethod", "billedAmount", "billedCurrency"};
constexpr int64_t hour_ms = 3'600'000;

std::unexpected<Error> refuse(std::string_view what) { return fail(Code::invalid, "ingest.mapping", what); }

bool is_known(std::string_view field) {
    return std::ranges::find(needed, field) != std::end(needed) ||
           std::ranges::find(optional_fields, field) != std::end(optional_fields);
}

bool is_lower_or_digit(char letter) { return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9'); }

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& letter : out) {
        if (letter >= 'a' && letter <= 'z') { letter = static_cast<char>(letter - 'a' + 'A'); }
    }
    return out;
}

std::string account_of(std::string_view text) {
    std::string out = "acct_";
    for (const char letter : text) {
        const bool kept =
            is_lower_or_digit(letter) || (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '_';
        out += kept ? letter : '_';
    }
    return out;
}

// SplitMix64's last step: a number that looks drawn, and is the same for the same row.
uint64_t drawn(uint64_t seed, uint64_t row) {
    uint64_t mixed = seed * 0x9e3779b97f4a7c15 + row;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

std::string_view without_sign(std::string_view amount) {
    if (amount.starts_with('-')) { amount.remove_prefix(1); }
    return amount;
}

}  // namespace

Result<RowEvents> RowEvents::make(const RowMapping& mapping, const std::vector<std::string>& header) {
    RowEvents out;
    if (mapping.source.empty() || mapping.source.size() > 32 ||
        !std::ranges::all_of(mapping.source, is_lower_or_digit)) {
        return refuse("the source is named by 1 to 32 lower-case letters and digits");
    }
    out.source_ = mapping.source;
    out.seed_ = mapping.seed;
    out.columns_ = header.size();
    for (const auto& [field, column] : mapping.columns) {
        if (!is_known(field)) { return refuse(fmt::format("there is no field {}", field)); }
        const auto found = std::ranges::find(header, column);
        if (found == header.end()) { return refuse(fmt::format("{}: there is no column {}", field, column)); }
        out.fields_[field].column = static_cast<size_t>(found - header.begin());
    }
    for (const auto& [field, text] : mapping.defaults) {
        if (!is_known(field)) { return refuse(fmt::format("there is no field {}", field)); }
        out.fields_[field].otherwise = text;
    }
    for (const std::string_view field : needed) {
        if (!out.fields_.contains(field)) {
            return refuse(fmt::format("{} has neither a column nor a default", field));
        }
    }
    return out;
}

std::string_view RowEvents::value_of(const std::vector<std::string_view>& fields, const char* field) const {
    const auto found = fields_.find(std::string_view(field));
    if (found == fields_.end()) { return {}; }
    const std::string_view text = found->second.column ? fields[*found->second.column] : std::string_view();
    return text.empty() ? std::string_view(found->second.otherwise) : text;
}

std::string RowEvents::time_of(std::string_view text, uint64_t row) const {
    const auto date = parse_date(text);
    if (!date) { return std::string(text); }
    const auto of_day_ms = 6 * hour_ms + static_cast<int64_t>(drawn(seed_, row) % (16 * hour_ms));
    return format_moment(Moment{begin_of(*date).ns + of_day_ms * 1'000'000});
}

void RowEvents::add_optional(const std::vector<std::string_view>& fields, const char* field) {
    const std::string_view text = value_of(fields, field);
    if (text.empty()) { return; }
    fmt::format_to(std::back_inserter(json_), ",\"{}\":", field);
    append_json_string(json_, text);
}

void RowEvents::add_data(const std::vector<std::string_view>& fields, uint64_t row, bool refund,
                         std::string_view amount) {
    fmt::format_to(std::back_inserter(json_), R"(,"data":{{"transactionId":"txn_{}r{}","accountId":)", source_, row);
    append_json_string(json_, key_);
    json_ += ",\"amount\":";
    append_json_string(json_, amount);
    json_ += ",\"currency\":";
    append_json_string(json_, upper(value_of(fields, "currency")));
    json_ += ",\"merchantId\":";
    append_json_string(json_, value_of(fields, "merchantId"));
    add_optional(fields, "paymentMethod");
    // Only both together say what was charged.
    const std::string_view billed = value_of(fields, "billedAmount");
    const std::string_view billed_currency = value_of(fields, "billedCurrency");
    if (!billed.empty() && !billed_currency.empty()) {
        json_ += ",\"billedAmount\":";
        append_json_string(json_, refund ? without_sign(billed) : billed);
        json_ += ",\"billedCurrency\":";
        append_json_string(json_, upper(billed_currency));
    }
    fmt::format_to(std::back_inserter(json_), R"(,"status":"{}"}}}})", refund ? "refunded" : "completed");
}

Result<RowEvent> RowEvents::event(const std::vector<std::string_view>& fields, uint64_t row) {
    if (fields.size() != columns_) {
        return fail(Code::invalid, "ingest.row",
                    fmt::format("row {} has {} fields where the header has {}", row, fields.size(), columns_));
    }
    if (!std::ranges::all_of(fields, is_utf8)) {
        return fail(Code::invalid, "ingest.row", fmt::format("row {} is not UTF-8", row));
    }
    const std::string_view written = value_of(fields, "amount");
    const bool refund = written.starts_with('-');
    key_ = account_of(value_of(fields, "accountId"));
    json_.clear();
    fmt::format_to(std::back_inserter(json_), R"({{"eventId":"evt_{}-{}","eventType":"transaction.{}","timestamp":)",
                   source_, row, refund ? "refunded" : "completed");
    append_json_string(json_, time_of(value_of(fields, "timestamp"), row));
    json_ += ",\"version\":\"1.0\"";
    add_data(fields, row, refund, without_sign(written));
    return RowEvent{.key = key_, .value = json_};
}

}  // namespace flowstone::fintech
