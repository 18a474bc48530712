#include "client/fintech/validate.h"

#include <algorithm>

#include <fmt/format.h>

#include "client/fintech/civil_time.h"

namespace flowstone::fintech {
namespace {

bool is_capital(char letter) { return letter >= 'A' && letter <= 'Z'; }

}  // namespace

void Validator::refuse(std::string_view code, std::string_view path, std::string_view rule) {
    reasons_.push_back(
        {std::string(code), std::string(path), std::string(rule), schema_ == nullptr ? "" : schema_->name()});
}

// Only what the schema has nothing against: two reasons for one fault help nobody.
void Validator::check_amount(const Json& data, std::string_view amount, std::string_view currency) {
    const std::string path = fmt::format("/data/{}", amount);
    const Json code = data[currency];
    if (data[amount] && !code) { return refuse("required", fmt::format("/data/{}", currency), currency); }
    if (!data[amount] && code && amount != "amount") { return refuse("required", path, amount); }
    if (!code.is(JsonKind::string)) { return; }
    const auto known = Currency::find(code.text());
    if (!known) {
        const bool spelled = code.text().size() == 3 && std::ranges::all_of(code.text(), is_capital);
        if (spelled) { refuse("currency.unknown", fmt::format("/data/{}", currency), "ISO 4217"); }
        return;
    }
    const auto major = decimal_of(data[amount]);
    if (major && major->scale > known->exponent()) {
        refuse("amount.decimals", path, fmt::format("at most {} decimals in {}", known->exponent(), known->code()));
    }
}

void Validator::check_rules(const Json& json, const RawEvent& raw) {
    const Json data = json["data"];
    check_amount(data, "amount", "currency");
    check_amount(data, "billedAmount", "billedCurrency");
    if (const auto time = parse_moment(json["timestamp"].string()); time && time->ms() > raw.intake_ms) {
        refuse("time.future", "/timestamp", "not after the intake");
    }
    if (const Json account = data["accountId"]; account.is(JsonKind::string) && raw.key != account.text()) {
        refuse("key", "/data/accountId", "is the record's key");
    }
    if (json[enrichment_name]) { refuse("reserved", "/enrichment", "is written by stages alone"); }
}

std::optional<Event> Validator::check(const RawEvent& raw) {
    reasons_.clear();
    schema_ = nullptr;
    if (!raw.value) {
        refuse("record.empty", "", "a value");
        return std::nullopt;
    }
    const auto json = reader_.read(*raw.value);
    if (!json) {
        refuse(json.error().code == Code::too_large ? "json.limit" : "json", "", json.error().detail);
        return std::nullopt;
    }
    const Json type = (*json)["eventType"];
    const Json version = (*json)["version"];
    schema_ = schemas_.find(type.string(), version.string());
    if (schema_ == nullptr) {
        if (!json->is(JsonKind::object)) { refuse("type", "", "object"); }
        refuse("schema.unknown", "/eventType", "a type and version that have a schema");
        return std::nullopt;
    }
    schema_->check(*json, reasons_);
    check_rules(*json, raw);
    if (!reasons_.empty()) { return std::nullopt; }
    const auto event = event_of(*json);
    if (!event) {  // a schema of somebody's own that asks for less than an event is
        refuse("event", "", event.error().detail);
        return std::nullopt;
    }
    return *event;
}

}  // namespace flowstone::fintech
