#include "client/fintech/audit.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>

#include <flowstone/admin.h>
#include <fmt/format.h>

#include "client/fintech/journal_stage.h"
#include "client/fintech/money.h"
#include "client/fintech/read_partition.h"
#include "client/fintech/topics.h"
#include "client/fintech/validate_stage.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

// A whole number as JSON spells it, of 64 bits.
std::optional<int64_t> whole(const Json& value) {
    if (!value.is(JsonKind::number)) { return std::nullopt; }
    int64_t number = 0;
    const std::string_view text = value.text();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) { return std::nullopt; }
    return number;
}

// "12.50" in minor units, counted anew.
std::optional<Int128> minor_units(const Json& amount, std::string_view currency) {
    const auto known = Currency::find(currency);
    const auto major = Decimal::parse(amount ? amount.text() : std::string_view());
    if (!known || !major || major->scale > known->exponent()) { return std::nullopt; }
    return major->digits * power_of_ten(known->exponent() - major->scale);
}

std::string kind_of(std::string_view account) { return std::string(account.substr(0, account.find(':'))); }

std::string_view header_text(const RecordView& record, std::string_view name) {
    const auto header = record.header(name);
    return header && header->value ? *header->value : std::string_view();
}

}  // namespace

PartitionAudit::PartitionAudit(AuditReport& report, int32_t partition, Offset raw_done, Offset validated_done)
    : report_(report), partition_(partition), raw_done_(raw_done), validated_done_(validated_done) {}

void PartitionAudit::fault(std::string_view topic, Offset offset, std::string_view what) {
    ++report_.fault_count;
    if (report_.faults.size() < AuditReport::faults_max) {
        report_.faults.push_back(fmt::format("{}-{} offset {}: {}", topic, partition_, offset.value, what));
    }
}

std::optional<Offset> PartitionAudit::source(const RecordView& record, std::string_view topic, std::string_view stage,
                                             std::string_view input) {
    SourceFilter& filter = filters_[std::string(topic)];
    const auto fresh = filter.fresh({std::string(topic), partition_}, record);
    const auto source = source_of(record);
    if (!fresh || !source || !*source) {
        fault(topic, record.offset, "does not say what it was made of");
        return std::nullopt;
    }
    if (!*fresh) {
        ++report_.written_twice;
        return std::nullopt;
    }
    const Source& made_of = **source;
    if (made_of.stage != stage || made_of.topic != input || made_of.partition != partition_) {
        fault(topic, record.offset, "was made of another partition, or by another stage");
        return std::nullopt;
    }
    return made_of.offset;
}

void PartitionAudit::raw(const RecordView& record) {
    if (record.offset >= raw_done_) {
        ++report_.pending;
        return;
    }
    ++report_.raw;
    const auto json = reader_.read(record.value.value_or(""));
    raw_ids_[record.offset.value] = json ? std::string((*json)["eventId"].string()) : std::string();
}

void PartitionAudit::raw_became(std::string_view topic, const RecordView& record, std::map<int64_t, Offset>& into) {
    const auto raw_offset = source(record, topic, ValidateStage::name, topics::raw);
    if (!raw_offset || *raw_offset >= raw_done_) { return; }
    if (!into.emplace(raw_offset->value, record.offset).second) {
        fault(topic, record.offset, "a second one of the same record");
    }
}

void PartitionAudit::failed(const RecordView& record) {
    raw_became(topics::failed, record, became_failed_);
    if (!header_text(record, headers::reasons).starts_with("[{")) {
        fault(topics::failed, record.offset, "has no reason");
    }
}

void PartitionAudit::dead_letter(const RecordView& record) {
    const auto source = source_of(record);
    if (source && *source && (**source).stage == JournalStage::name) {
        const auto of = this->source(record, topics::dead_letters, JournalStage::name, topics::validated);
        if (of && *of < validated_done_) { not_bookable_.emplace(of->value, record.offset); }
        return;
    }
    raw_became(topics::dead_letters, record, became_dead_letter_);
}

void PartitionAudit::validated(const RecordView& record) {
    raw_became(topics::validated, record, became_validated_);
    if (record.offset >= validated_done_) {
        ++report_.journal_pending;
        return;
    }
    const auto json = reader_.read(record.value.value_or(""));
    if (!json) { return fault(topics::validated, record.offset, "is no JSON"); }
    const Json data = (*json)["data"];
    const bool billed = static_cast<bool>(data["billedAmount"]);
    Validated event{.event_id = std::string((*json)["eventId"].string()),
                    .transaction_id = std::string(data["transactionId"].string()),
                    .account = std::string(data["accountId"].string()),
                    .status = std::string(data["status"].string()),
                    .currency = std::string(data[billed ? "billedCurrency" : "currency"].string())};
    const auto minor = minor_units(data[billed ? "billedAmount" : "amount"], event.currency);
    if (!minor) { return fault(topics::validated, record.offset, "has no amount"); }
    event.minor = *minor;
    validated_[record.offset.value] = std::move(event);
}

void PartitionAudit::journal(const RecordView& record) {
    const auto of = source(record, topics::journal, JournalStage::name, topics::validated);
    if (!of) { return; }
    ++report_.transfers;
    const auto json = reader_.read(record.value.value_or(""));
    if (!json) { return fault(topics::journal, record.offset, "is no JSON"); }
    const std::string id((*json)["transferId"].string());
    if (!transfer_ids_.insert(id).second) {
        fault(topics::journal, record.offset, "a transfer that was booked before");
    }
    if (*of >= validated_done_) { return; }
    const auto event = validated_.find(of->value);
    if (event == validated_.end()) { return fault(topics::journal, record.offset, "of an event that is not there"); }
    if (!booked_.emplace(of->value, id).second) { fault(topics::journal, record.offset, "a second one of its event"); }
    check_postings(record, *json, event->second);
}

// In balance, and the customer is charged what the event says.
void PartitionAudit::check_postings(const RecordView& record, const Json& transfer, const Validated& event) {
    if (transfer["eventId"].string() != event.event_id || transfer["transactionId"].string() != event.transaction_id) {
        fault(topics::journal, record.offset, "names another event than it was made of");
    }
    if (!transfer["postings"].is(JsonKind::array)) { return fault(topics::journal, record.offset, "has no postings"); }
    std::map<std::string, Int128> sums;
    Int128 charged = 0;
    for (const Json posting : transfer["postings"]) {
        const auto minor = whole(posting["amountMinor"]);
        const std::string currency(posting["currency"].string());
        const std::string_view account = posting["account"].string();
        if (!minor || !Currency::find(currency)) { return fault(topics::journal, record.offset, "has no amount"); }
        sums[currency] += *minor;
        report_.sums[currency] += *minor;
        report_.balances[{kind_of(account), currency}] += *minor;
        if (account == "customer:" + event.account && currency == event.currency) { charged -= *minor; }
    }
    for (const auto& [currency, sum] : sums) {
        if (sum != 0) { fault(topics::journal, record.offset, fmt::format("{} is out of balance", currency)); }
    }
    const Int128 expected = event.status == "refunded" ? -event.minor : event.minor;
    if (charged != expected) { fault(topics::journal, record.offset, "charges another amount than its event says"); }
}

void PartitionAudit::payment(const RecordView& record) {
    const auto of = source(record, topics::payments, JournalStage::name, topics::validated);
    if (!of) { return; }
    ++report_.payments;
    if (*of >= validated_done_) { return; }
    const auto event = validated_.find(of->value);
    if (!booked_.contains(of->value) || event == validated_.end() || event->second.status != "completed") {
        fault(topics::payments, record.offset, "confirms what was not booked as a payment");
    }
    if (!paid_.emplace(of->value, record.offset).second) { fault(topics::payments, record.offset, "a second one"); }
}

// In exactly one topic.
bool PartitionAudit::accounted_for(int64_t raw_offset) {
    const size_t places =
        became_validated_.count(raw_offset) + became_failed_.count(raw_offset) + became_dead_letter_.count(raw_offset);
    if (places > 1) { fault(topics::raw, Offset{raw_offset}, "became more than one thing"); }
    return places > 0;
}

void PartitionAudit::end() {
    std::unordered_set<std::string> ids;  // of what was validated so far
    for (const auto& [offset, id] : raw_ids_) {
        if (became_validated_.contains(offset)) { ids.insert(id); }
        if (accounted_for(offset)) { continue; }
        ++report_.filtered;
        if (id.empty() || !ids.contains(id)) { fault(topics::raw, Offset{offset}, "is lost"); }
    }
    report_.validated += became_validated_.size();
    report_.failed += became_failed_.size();
    report_.dead_letters += became_dead_letter_.size() + not_bookable_.size();
    std::unordered_set<std::string> transfers;  // by what a transfer is made of
    for (const auto& [offset, event] : validated_) {
        const std::string key = fmt::format("{} {}", event.status, event.transaction_id);
        const bool booked = booked_.contains(offset);
        if (booked) {
            transfers.insert(key);
            if (event.status == "completed" && !paid_.contains(offset)) {
                fault(topics::validated, Offset{offset}, "was booked, and is not confirmed");
            }
        } else if (not_bookable_.contains(offset)) {
            continue;
        } else if (event.status != "completed" && event.status != "refunded") {
            ++report_.not_booked;
        } else {
            ++report_.repeated;
            if (!transfers.contains(key)) { fault(topics::validated, Offset{offset}, "is not booked"); }
        }
    }
}

namespace {

Result<std::map<TopicPartition, Offset>> stored(Client& client, std::string_view stage) {
    std::map<TopicPartition, Offset> out;
    TRY(const auto offsets, client.admin().offsets(stage));
    for (const GroupOffset& one : offsets) { out[{one.topic, one.partition}] = one.offset; }
    return out;
}

Offset at(const std::map<TopicPartition, Offset>& offsets, std::string_view topic, int32_t partition) {
    const auto found = offsets.find({std::string(topic), partition});
    return found == offsets.end() ? Offset{0} : found->second;
}

Result<void> show(Client& client, std::string_view topic, int32_t partition,
                  const std::function<void(const RecordView&)>& record) {
    const auto visit = [&](const RecordView& one) -> Result<void> {
        record(one);
        return {};
    };
    TRY(const Offset end, read_partition(client, {std::string(topic), partition}, Offset{0}, visit));
    (void)end;
    return {};
}

}  // namespace

Result<AuditReport> audit(Client& client) {
    AuditReport report;
    TRY(const RemoteTopic raw, client.admin().topic(topics::raw));
    // Before anything is read: what was stored then has been written.
    TRY(const auto validate_stored, stored(client, ValidateStage::name));
    TRY(const auto journal_stored, stored(client, JournalStage::name));
    for (int32_t partition = 0; partition < std::ssize(raw.partitions); ++partition) {
        PartitionAudit one(report, partition, at(validate_stored, topics::raw, partition),
                           at(journal_stored, topics::validated, partition));
        TRY_VOID(show(client, topics::raw, partition, [&](const RecordView& record) { one.raw(record); }));
        TRY_VOID(show(client, topics::failed, partition, [&](const RecordView& record) { one.failed(record); }));
        TRY_VOID(
            show(client, topics::dead_letters, partition, [&](const RecordView& record) { one.dead_letter(record); }));
        TRY_VOID(show(client, topics::validated, partition, [&](const RecordView& record) { one.validated(record); }));
        TRY_VOID(show(client, topics::journal, partition, [&](const RecordView& record) { one.journal(record); }));
        TRY_VOID(show(client, topics::payments, partition, [&](const RecordView& record) { one.payment(record); }));
        one.end();
    }
    for (const auto& [currency, sum] : report.sums) {
        if (sum == 0) { continue; }
        ++report.fault_count;
        report.faults.push_back(fmt::format("the ledger is out of balance by {} in {}", to_string(sum), currency));
    }
    return report;
}

std::string to_text(const AuditReport& report) {
    std::string out;
    const auto line = [&](std::string_view what, const std::string& value) {
        fmt::format_to(std::back_inserter(out), "{:<28} {}\n", what, value);
    };
    line("taken in", fmt::format("{} (and {} that no stage has taken yet)", report.raw, report.pending));
    line("became", fmt::format("{} validated, {} failed, {} dead letters, {} filtered", report.validated, report.failed,
                               report.dead_letters, report.filtered));
    line("booked",
         fmt::format("{} transfers, {} payments confirmed; {} booked before, {} not to be booked, {} waiting",
                     report.transfers, report.payments, report.repeated, report.not_booked, report.journal_pending));
    line("written twice, read once", fmt::format("{}", report.written_twice));
    for (const auto& [currency, sum] : report.sums) { line("ledger sum " + currency, to_string(sum)); }
    for (const auto& [account, balance] : report.balances) {
        line(fmt::format("balance {} {}", account.first, account.second), to_string(balance));
    }
    for (const std::string& fault : report.faults) { line("FAULT", fault); }
    line("faults", fmt::format("{}", report.fault_count));
    return out;
}

}  // namespace flowstone::fintech
