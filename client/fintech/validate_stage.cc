#include "client/fintech/validate_stage.h"

#include <limits>
#include <string>
#include <vector>

#include "client/fintech/topics.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

Result<void> learn(SeenEvents& seen, const RecordView& output) {
    const auto id = output.header(headers::event_id);
    if (!id || !id->value) { return fail(Code::corrupt, "validate.resume", "a validated event without its id"); }
    seen.add(*id->value, output.timestamp_ms);
    return {};
}

std::string now(Clock& clock) { return format_moment(Moment{clock.wall_ms() * 1'000'000}); }

}  // namespace

ValidateStage::ValidateStage(Client& client, const Schemas& schemas, const Enricher& enricher, Clock& clock)
    : enricher_(enricher),
      clock_(clock),
      validator_(schemas),
      seen_(client, {.stage = name, .output = std::string(topics::validated), .learn = learn}) {}

StageOptions ValidateStage::options() {
    return {.name = name,
            .inputs = {std::string(topics::raw)},
            .outputs = {std::string(topics::validated), std::string(topics::failed)},
            .dead_letters = std::string(topics::dead_letters),
            .tries_max = std::numeric_limits<int32_t>::max()};  // what is worth another try is no fault of the record
}

Result<void> ValidateStage::process(const StageRecord& record, StageOutput& out) {
    TRY(SeenEvents* const seen, seen_.before(record));
    const auto event = validator_.check({.key = record.key, .value = record.value, .intake_ms = record.timestamp_ms});
    if (!event) {
        TRY_VOID(send_failed(record, out));
        ++failed_;
    } else if (seen->has(event->event_id, record.timestamp_ms)) {
        ++filtered_;
    } else {
        TRY_VOID(send_validated(record, *event, out));
        seen->add(event->event_id, record.timestamp_ms);
        ++validated_;
    }
    seen_.passed(record);
    return {};
}

Result<void> ValidateStage::send_failed(const StageRecord& record, StageOutput& out) {
    std::vector<Header> all(record.header_count());
    record.headers(all);
    const std::string reasons = to_json(validator_.reasons());
    const std::string time = now(clock_);
    all.push_back({headers::reasons, reasons});
    all.push_back({headers::processed_at, time});
    return out.send(topics::failed, {.key = record.key, .value = record.value, .headers = all});
}

Result<void> ValidateStage::send_validated(const StageRecord& record, const Event& event, StageOutput& out) {
    const std::string time = now(clock_);
    const Header added[] = {{headers::event_id, event.event_id}, {headers::processed_at, time}};
    return out.send(topics::validated,
                    {.key = record.key, .value = enricher_.enriched(*record.value, event), .headers = added});
}

}  // namespace flowstone::fintech
