// Whether a record of transactions.raw is an event: what its schema says, and what no schema can say. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "client/fintech/event.h"
#include "client/fintech/json.h"
#include "client/fintech/schema.h"

namespace flowstone::fintech {

// A record as it was taken in.
struct RawEvent {
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    int64_t intake_ms = 0;  // since 1970: the record's timestamp
};

// One thread at a time.
class Validator {
public:
    explicit Validator(const Schemas& schemas) : schemas_(schemas) {}  // which must outlive it

    // The event, valid until the next call; nothing: reasons() has all that is against it, never only the first.
    //
    //   record      a value that is there, of at most JsonLimits::bytes_max, whose key is the event's account
    //   json        strict JSON (client/fintech/json.h)
    //   schema      there is one for the event's type and version, and what that says
    //   currency    known to ISO 4217, and the amount has no more decimals than it
    //   time        not after the intake
    //   enrichment  a name that stages behind this one write under
    std::optional<Event> check(const RawEvent& raw);
    const std::vector<Reason>& reasons() const { return reasons_; }

private:
    void check_amount(const Json& data, std::string_view amount, std::string_view currency);
    void check_rules(const Json& json, const RawEvent& raw);
    void refuse(std::string_view code, std::string_view path, std::string_view rule);

    const Schemas& schemas_;
    const Schema* schema_ = nullptr;
    JsonReader reader_;
    std::vector<Reason> reasons_;
};

// Where enrichment stands in an event.
constexpr std::string_view enrichment_name = "enrichment";

}  // namespace flowstone::fintech
