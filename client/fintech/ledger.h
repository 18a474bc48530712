// Double-entry bookkeeping: what a transaction moves between accounts, and that no transfer is booked twice. Pure.
//
//   auto transfer = book(event, fees);               // postings that come to nothing in each currency
//   switch (ledger.post(*transfer)) { ... }          // booked, booked before, or another one had that id
//
// A posting above 0 is owed to the account's owner, one below 0 is owed by him. Accounts:
//   customer:ID      what an account's holder has paid, and got back
//   merchant:ID      what is to be paid to a merchant
//   fees:NAME        what the platform earns
//   exchange         what was bought and sold of each currency
//   rounding         minor units that parts, each rounded, differ from their whole
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flowstone/result.h>

#include "client/fintech/civil_time.h"
#include "client/fintech/event.h"
#include "client/fintech/money.h"
#include "storage/checksum.h"

namespace flowstone::fintech {

struct Posting {
    std::string account;
    Money amount;
    friend bool operator==(const Posting&, const Posting&) = default;
};

// Postings that come to 0 in each currency, by construction: all that can be done is to move money from one account to
// another.
class Postings {
public:
    // `amount` is 0 or above. One posting for each account and currency, in the order in which they came; none where it came to 0.
    // Errors: invalid (below 0; from an account to itself), too_large. After an error they are of no use.
    Result<void> move(std::string_view from, std::string_view to, const Money& amount);
    std::vector<Posting> list() const;
    // The same with every sign turned.
    Result<Postings> reversed() const;  // Errors: too_large.

private:
    Result<void> post(std::string_view account, const Money& amount);
    std::vector<Posting> postings_;
};

struct Transfer {
    std::string id;    // "txn_7.payment"; the same is never booked twice
    std::string kind;  // "payment", "refund", "reversal"
    std::string event_id;
    std::string transaction_id;
    std::string reverses{};  // of a reversal: the transfer that it undoes
    Date booking_date;       // of the event: a ledger that is made again has the same
    Date value_date;
    Postings postings;
};

// What is taken from a merchant for a payment: each a share of the amount. Together they are what all the rates come to.
struct Fee {
    std::string name;
    Decimal rate;
};

// Whether events of this status move money. All others pass the ledger by.
bool is_booked(std::string_view status);

// `completed`: from the customer to the merchant, less the fees. `refunded`: back, fees excepted. Where the account is
// charged in another currency the two sides meet in `exchange`, at the amounts that the event has.
// Errors: invalid (a status that is not booked), too_large.
Result<Transfer> book(const Event& event, std::span<const Fee> fees);
// What undoes a transfer: the only correction that there is. Errors: invalid (it is one itself), too_large.
Result<Transfer> reverse(const Transfer& transfer, std::string event_id, Date booking_date);

// One line of JSON, the value of a record of accounting.journal. Amounts are whole minor units.
std::string to_json(const Transfer& transfer);

// Which transfers there are. A part of one partition's state.
class Ledger {
public:
    enum class Answer : uint8_t {
        booked,    // it is new
        repeated,  // the same was booked before: nothing is to be done
        conflict,  // another one was booked under its id
    };
    // What post() would answer.
    Answer look_up(const Transfer& transfer) const;
    void add(const Transfer& transfer);
    // Adds what stands in accounting.journal. Errors: invalid: it is no transfer.
    Result<void> learn(std::string_view journal_value);
    size_t size() const { return bodies_.size(); }

private:
    struct First8 {
        size_t operator()(const Hash128& hash) const {
            size_t bytes = 0;
            std::memcpy(&bytes, hash.bytes.data(), sizeof bytes);
            return bytes;
        }
    };
    std::unordered_map<Hash128, Hash128, First8> bodies_;  // by transfer id
};

}  // namespace flowstone::fintech
