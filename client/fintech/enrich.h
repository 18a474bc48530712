// What is known about an event beside what its source said, written into it under "enrichment". Pure.
#pragma once

#include <string>
#include <string_view>

#include "client/fintech/event.h"
#include "client/fintech/reference_rates.h"

namespace flowstone::fintech {

class Enricher {
public:
    // `rates` may be null, and must else outlive it.
    explicit Enricher(Currency reporting, const ReferenceRates* rates = nullptr)
        : reporting_(reporting), rates_(rates) {}

    // The value of transactions.validated: `value`, which the event was read from, byte for byte, with one more member at
    // its end, so that what nobody here knows is kept as it was written.
    //
    //   "enrichment":{"amountMinor":1250,"exponent":2,"eventTimeMs":1396344600000,"eventDate":"2014-04-01",
    //     "reporting":{"amountMinor":1511,"currency":"EUR","rateDate":"2014-04-01","ratesVersion":"0123456789abcdef"},
    //     "quality":[]}
    //
    // "reporting" is there if the reference rates of the day are; "quality" names what is not as it should be: "no_rate".
    std::string enriched(std::string_view value, const Event& event) const;

private:
    const Currency reporting_;
    const ReferenceRates* const rates_;
};

}  // namespace flowstone::fintech
