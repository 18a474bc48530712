// transactions.raw to transactions.validated and transactions.failed: validation, and behind it enrichment.
//
// Each record becomes one of them, or is filtered: its event id was taken in within 7 days before (of intake), and is right
// there in transactions.validated. What failed is there as it came, key, value and headers, with all reasons as a header.
#pragma once

#include <atomic>
#include <cstdint>

#include <flowstone/stage.h>

#include "client/fintech/enrich.h"
#include "client/fintech/kept_state.h"
#include "client/fintech/schema.h"
#include "client/fintech/seen_events.h"
#include "client/fintech/validate.h"
#include "storage/clock.h"

namespace flowstone::fintech {

// One thread at a time, but for the counts. What it is made with must outlive it.
class ValidateStage {
public:
    static constexpr const char* name = "validate";

    ValidateStage(Client& client, const Schemas& schemas, const Enricher& enricher, Clock& clock);
    static StageOptions options();
    Result<void> process(const StageRecord& record, StageOutput& out);

    // Of records that were processed, each time that they were.
    uint64_t validated() const { return validated_; }
    uint64_t failed() const { return failed_; }
    uint64_t filtered() const { return filtered_; }

private:
    Result<void> send_failed(const StageRecord& record, StageOutput& out);
    Result<void> send_validated(const StageRecord& record, const Event& event, StageOutput& out);

    const Enricher& enricher_;
    Clock& clock_;
    Validator validator_;
    KeptState<SeenEvents> seen_;
    std::atomic<uint64_t> validated_ = 0;
    std::atomic<uint64_t> failed_ = 0;
    std::atomic<uint64_t> filtered_ = 0;
};

}  // namespace flowstone::fintech
