#include "client/fintech/enrich.h"

#include <iterator>

#include <fmt/format.h>

#include "client/fintech/validate.h"
#include "storage/check.h"

namespace flowstone::fintech {

std::string Enricher::enriched(std::string_view value, const Event& event) const {
    const size_t end = value.rfind('}');  // of the whole: an event is an object with members in it
    CHECK(end != std::string_view::npos);
    const Date day = date_of(event.time);
    std::string out(value.substr(0, end));
    fmt::format_to(std::back_inserter(out),
                   R"(,"{}":{{"amountMinor":{},"exponent":{},"eventTimeMs":{},"eventDate":"{}")", enrichment_name,
                   event.amount.minor(), event.amount.currency().exponent(), event.time.ms(), format_date(day));
    const auto reported = rates_ == nullptr ? std::nullopt : rates_->convert(event.amount, reporting_, day);
    if (reported) {
        fmt::format_to(std::back_inserter(out),
                       R"(,"reporting":{{"amountMinor":{},"currency":"{}","rateDate":"{}","ratesVersion":"{}"}})",
                       reported->amount.minor(), reported->amount.currency().code(), format_date(reported->rate_date),
                       rates_->version());
    }
    out += reported ? R"(,"quality":[]}})" : R"(,"quality":["no_rate"]}})";
    return out;
}

}  // namespace flowstone::fintech
