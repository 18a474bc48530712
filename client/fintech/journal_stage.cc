#include "client/fintech/journal_stage.h"

#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "client/fintech/topics.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

Result<void> learn(Ledger& ledger, const RecordView& output) {
    if (!output.value) { return fail(Code::corrupt, "journal.resume", "a transfer without a value"); }
    return ledger.learn(*output.value);
}

// The value of a record of payments.completed.
std::string payment(const Event& event, const Transfer& transfer) {
    const Money& amount = event.billed ? *event.billed : event.amount;
    std::string out = "{\"eventId\":";
    append_json_string(out, event.event_id);
    out += ",\"transferId\":";
    append_json_string(out, transfer.id);
    out += ",\"transactionId\":";
    append_json_string(out, event.transaction_id);
    out += ",\"accountId\":";
    append_json_string(out, event.account_id);
    out += ",\"merchantId\":";
    append_json_string(out, event.merchant_id);
    fmt::format_to(std::back_inserter(out), R"(,"amount":"{}","currency":"{}","bookingDate":"{}"}})", amount.text(),
                   amount.currency().code(), format_date(transfer.booking_date));
    return out;
}

}  // namespace

JournalStage::JournalStage(Client& client, std::vector<Fee> fees, Clock& clock)
    : fees_(std::move(fees)),
      clock_(clock),
      ledger_(client, {.stage = name, .output = std::string(topics::journal), .learn = learn}) {}

StageOptions JournalStage::options() {
    return {.name = name,
            .inputs = {std::string(topics::validated)},
            .outputs = {std::string(topics::journal), std::string(topics::payments)},
            .dead_letters = std::string(topics::dead_letters),
            .tries_max = std::numeric_limits<int32_t>::max()};  // what is worth another try is no fault of the record
}

Result<void> JournalStage::process(const StageRecord& record, StageOutput& out) {
    TRY(Ledger* const ledger, ledger_.before(record));
    const auto done = book_event(record, *ledger, out);
    // A record that becomes a dead letter has been processed, too: the next one follows it.
    if (done || advice(done.error()) == Advice::give_up) { ledger_.passed(record); }
    return done;
}

Result<void> JournalStage::book_event(const StageRecord& record, Ledger& ledger, StageOutput& out) {
    TRY(const Json json, reader_.read(record.value.value_or("")));
    TRY(const Event event, event_of(json));
    if (!is_booked(event.status)) {
        ++not_booked_;
        return {};
    }
    TRY(const Transfer transfer, book(event, fees_));
    switch (ledger.look_up(transfer)) {
        case Ledger::Answer::repeated: ++repeated_; return {};
        case Ledger::Answer::conflict:
            return fail(Code::exists, "journal.book", "another transfer was booked under this id");
        case Ledger::Answer::booked: break;
    }
    TRY_VOID(send(record, event, transfer, out));
    ledger.add(transfer);
    ++booked_;
    return {};
}

Result<void> JournalStage::send(const StageRecord& record, const Event& event, const Transfer& transfer,
                                StageOutput& out) {
    const std::string time = format_moment(Moment{clock_.wall_ms() * 1'000'000});
    const Header added[] = {{headers::event_id, event.event_id}, {headers::processed_at, time}};
    TRY_VOID(out.send(topics::journal, {.key = record.key, .value = to_json(transfer), .headers = added}));
    if (event.status != "completed") { return {}; }
    return out.send(topics::payments, {.key = record.key, .value = payment(event, transfer), .headers = added});
}

}  // namespace flowstone::fintech
