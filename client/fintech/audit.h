// The auditor: recomputes from the topics alone whether anything was lost, made twice or booked out of balance. It shares no
// code with the stages but the reading of JSON, and believes nothing that they counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <flowstone/client.h>
#include <flowstone/source.h>

#include "client/fintech/decimal.h"
#include "client/fintech/json.h"

namespace flowstone::fintech {

struct AuditReport {
    static constexpr size_t faults_max = 20;  // that are told of; all are counted

    uint64_t raw = 0;
    uint64_t validated = 0;
    uint64_t failed = 0;
    uint64_t dead_letters = 0;  // of both stages
    uint64_t filtered = 0;      // an event id that had come before
    uint64_t pending = 0;       // behind what the validate stage has stored
    uint64_t transfers = 0;
    uint64_t payments = 0;
    uint64_t repeated = 0;                 // validated, and the same transfer was booked before
    uint64_t not_booked = 0;               // validated, with a status that moves no money
    uint64_t journal_pending = 0;          // behind what the journal stage has stored
    uint64_t written_twice = 0;            // records that readers drop by their source
    std::map<std::string, Int128> sums{};  // of all postings, by currency
    std::map<std::pair<std::string, std::string>, Int128> balances{};  // by kind of account ("customer") and currency
    uint64_t fault_count = 0;
    std::vector<std::string> faults{};  // one sentence each: topic, partition, offset, and what is wrong

    bool good() const { return fault_count == 0; }
};

// One partition of every topic: all records of transactions.raw first, then those of the others in the order below. Pure,
// but for reading what it is shown.
class PartitionAudit {
public:
    // `raw_done`, `validated_done`: where the two stages stand; what is behind it is pending.
    PartitionAudit(AuditReport& report, int32_t partition, Offset raw_done, Offset validated_done);
    void raw(const RecordView& record);
    void failed(const RecordView& record);
    void dead_letter(const RecordView& record);
    void validated(const RecordView& record);
    void journal(const RecordView& record);
    void payment(const RecordView& record);
    void end();  // when all were shown

private:
    struct Validated {
        std::string event_id;
        std::string transaction_id;
        std::string account;
        std::string status;
        std::string currency;
        Int128 minor = 0;  // what the account is charged
    };
    // The input that a stage made it of; nothing: not one of that stage's, or it came twice.
    std::optional<Offset> source(const RecordView& record, std::string_view topic, std::string_view stage,
                                 std::string_view input);
    void raw_became(std::string_view topic, const RecordView& record, std::map<int64_t, Offset>& into);
    void check_postings(const RecordView& record, const Json& transfer, const Validated& event);
    bool accounted_for(int64_t raw_offset);
    void fault(std::string_view topic, Offset offset, std::string_view what);

    AuditReport& report_;
    const int32_t partition_;
    const Offset raw_done_;
    const Offset validated_done_;
    JsonReader reader_;
    std::map<std::string, SourceFilter, std::less<>> filters_;  // by topic
    std::map<int64_t, std::string> raw_ids_;                    // event id of each raw record; empty: none
    std::map<int64_t, Offset> became_validated_;                // raw offset to the output's
    std::map<int64_t, Offset> became_failed_;
    std::map<int64_t, Offset> became_dead_letter_;
    std::map<int64_t, Validated> validated_;  // by offset
    std::map<int64_t, std::string> booked_;   // validated offset to transfer id
    std::map<int64_t, Offset> not_bookable_;  // validated offset to the dead letter
    std::map<int64_t, Offset> paid_;          // validated offset to the payment
    std::unordered_set<std::string> transfer_ids_;
};

// Reads all partitions, one after the other. Errors: the client's.
Result<AuditReport> audit(Client& client);

std::string to_text(const AuditReport& report);  // several lines

}  // namespace flowstone::fintech
