// transactions.validated to accounting.journal and payments.completed: double entry.
//
// Each event whose status moves money becomes one transfer, a record of accounting.journal; a payment becomes one of
// payments.completed besides. A transfer that was booked before is not booked again; another one under its id is a
// dead letter.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <flowstone/stage.h>

#include "client/fintech/json.h"
#include "client/fintech/kept_state.h"
#include "client/fintech/ledger.h"
#include "storage/clock.h"

namespace flowstone::fintech {

// One thread at a time, but for the counts. What it is made with must outlive it.
class JournalStage {
public:
    static constexpr const char* name = "journal";

    JournalStage(Client& client, std::vector<Fee> fees, Clock& clock);
    static StageOptions options();
    Result<void> process(const StageRecord& record, StageOutput& out);

    // Of records that were processed, each time that they were.
    uint64_t booked() const { return booked_; }
    uint64_t repeated() const { return repeated_; }      // the same transfer was there
    uint64_t not_booked() const { return not_booked_; }  // by their status

private:
    Result<void> book_event(const StageRecord& record, Ledger& ledger, StageOutput& out);
    Result<void> send(const StageRecord& record, const Event& event, const Transfer& transfer, StageOutput& out);

    const std::vector<Fee> fees_;
    Clock& clock_;
    JsonReader reader_;
    KeptState<Ledger> ledger_;
    std::atomic<uint64_t> booked_ = 0;
    std::atomic<uint64_t> repeated_ = 0;
    std::atomic<uint64_t> not_booked_ = 0;
};

}  // namespace flowstone::fintech
