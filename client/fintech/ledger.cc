#include "client/fintech/ledger.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "client/fintech/json.h"
#include "storage/bytes.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr std::string_view exchange = "exchange";
constexpr std::string_view rounding = "rounding";

Hash128 hash_of(std::string_view text) { return xxh3_128(as_bytes(text), 0); }

// What two transfers of one id must share: everything but the event that asked for it.
constexpr std::string_view body_begins = "\"kind\":";
std::string_view body_of(std::string_view json) { return json.substr(std::min(json.find(body_begins), json.size())); }

Result<void> take_fees(Postings& postings, const std::string& merchant, const Money& amount,
                       std::span<const Fee> fees) {
    if (fees.empty()) { return {}; }
    Decimal rate;
    Money parts(int64_t{0}, amount.currency());
    for (const Fee& fee : fees) {
        TRY(const Rounded part, share(amount, fee.rate));
        TRY_VOID(postings.move(merchant, "fees:" + fee.name, part.amount));
        TRY(parts, add(parts, part.amount));
        TRY(rate, sum(rate, fee.rate));
    }
    TRY(const Rounded whole, share(amount, rate));
    TRY(const Money missing, subtract(whole.amount, parts));
    if (missing.minor() >= 0) { return postings.move(merchant, rounding, missing); }
    TRY(const Money surplus, negate(missing));
    return postings.move(rounding, merchant, surplus);
}

// `charged` leaves one account, `paid` reaches the other.
Result<void> move_through_exchange(Postings& postings, const std::string& from, const Money& charged,
                                   const std::string& to, const Money& paid) {
    if (charged == paid) { return postings.move(from, to, paid); }
    TRY_VOID(postings.move(from, exchange, charged));
    return postings.move(exchange, to, paid);
}

}  // namespace

Result<void> Postings::post(std::string_view account, const Money& amount) {
    for (Posting& posting : postings_) {
        if (posting.account != account || posting.amount.currency() != amount.currency()) { continue; }
        TRY(posting.amount, add(posting.amount, amount));
        return {};
    }
    postings_.push_back({std::string(account), amount});
    return {};
}

Result<void> Postings::move(std::string_view from, std::string_view to, const Money& amount) {
    if (amount.minor() < 0) { return fail(Code::invalid, "ledger.move", "an amount below 0"); }
    if (from == to) { return fail(Code::invalid, "ledger.move", "from an account to itself"); }
    if (amount.minor() == 0) { return {}; }
    TRY(const Money less, negate(amount));
    TRY_VOID(post(from, less));
    return post(to, amount);
}

std::vector<Posting> Postings::list() const {
    std::vector<Posting> out;
    std::ranges::copy_if(postings_, std::back_inserter(out),
                         [](const Posting& one) { return one.amount.minor() != 0; });
    return out;
}

Result<Postings> Postings::reversed() const {
    Postings out;
    for (const Posting& posting : postings_) {
        TRY(const Money turned, negate(posting.amount));
        out.postings_.push_back({posting.account, turned});
    }
    return out;
}

bool is_booked(std::string_view status) { return status == "completed" || status == "refunded"; }

Result<Transfer> book(const Event& event, std::span<const Fee> fees) {
    if (!is_booked(event.status)) { return fail(Code::invalid, "ledger.book", "a status that moves no money"); }
    const bool payment = event.status == "completed";
    const std::string customer = fmt::format("customer:{}", event.account_id);
    const std::string merchant = fmt::format("merchant:{}", event.merchant_id);
    const Money billed = event.billed.value_or(event.amount);
    const Date date = date_of(event.time);
    Transfer transfer{.id = fmt::format("{}.{}", event.transaction_id, payment ? "payment" : "refund"),
                      .kind = payment ? "payment" : "refund",
                      .event_id = std::string(event.event_id),
                      .transaction_id = std::string(event.transaction_id),
                      .booking_date = date,
                      .value_date = date,
                      .postings = {}};
    if (payment) {
        TRY_VOID(move_through_exchange(transfer.postings, customer, billed, merchant, event.amount));
        TRY_VOID(take_fees(transfer.postings, merchant, event.amount, fees));
    } else {
        TRY_VOID(move_through_exchange(transfer.postings, merchant, event.amount, customer, billed));
    }
    return transfer;
}

Result<Transfer> reverse(const Transfer& transfer, std::string event_id, Date booking_date) {
    if (transfer.kind == "reversal") { return fail(Code::invalid, "ledger.reverse", "a reversal"); }
    TRY(Postings turned, transfer.postings.reversed());
    return Transfer{.id = transfer.id + ".reversal",
                    .kind = "reversal",
                    .event_id = std::move(event_id),
                    .transaction_id = transfer.transaction_id,
                    .reverses = transfer.id,
                    .booking_date = booking_date,
                    .value_date = transfer.value_date,
                    .postings = std::move(turned)};
}

std::string to_json(const Transfer& transfer) {
    std::string out = "{\"transferId\":";
    append_json_string(out, transfer.id);
    out += ",\"eventId\":";
    append_json_string(out, transfer.event_id);
    out += ",";
    out += body_begins;
    append_json_string(out, transfer.kind);
    out += ",\"transactionId\":";
    append_json_string(out, transfer.transaction_id);
    if (!transfer.reverses.empty()) {
        out += ",\"reverses\":";
        append_json_string(out, transfer.reverses);
    }
    fmt::format_to(std::back_inserter(out), R"(,"bookingDate":"{}","valueDate":"{}","postings":[)",
                   format_date(transfer.booking_date), format_date(transfer.value_date));
    bool first = true;
    for (const Posting& posting : transfer.postings.list()) {
        out += first ? "{\"account\":" : ",{\"account\":";
        first = false;
        append_json_string(out, posting.account);
        fmt::format_to(std::back_inserter(out), R"(,"amountMinor":{},"currency":"{}"}})", posting.amount.minor(),
                       posting.amount.currency().code());
    }
    return out + "]}";
}

Ledger::Answer Ledger::look_up(const Transfer& transfer) const {
    const auto found = bodies_.find(hash_of(transfer.id));
    if (found == bodies_.end()) { return Answer::booked; }
    return found->second == hash_of(body_of(to_json(transfer))) ? Answer::repeated : Answer::conflict;
}

void Ledger::add(const Transfer& transfer) { bodies_[hash_of(transfer.id)] = hash_of(body_of(to_json(transfer))); }

Result<void> Ledger::learn(std::string_view journal_value) {
    JsonReader reader;
    TRY(const Json json, reader.read(journal_value));
    const std::string_view id = json["transferId"].string();
    if (id.empty() || journal_value.find(body_begins) == std::string_view::npos) {
        return fail(Code::invalid, "ledger.learn", "no transfer");
    }
    bodies_[hash_of(id)] = hash_of(body_of(journal_value));
    return {};
}

}  // namespace flowstone::fintech
