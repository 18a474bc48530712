// The topics of the platform: their names, and how they are made.
#pragma once

#include <cstdint>
#include <string_view>

#include <flowstone/admin.h>

namespace flowstone::fintech {

namespace topics {
constexpr std::string_view raw = "transactions.raw";              // as they were taken in
constexpr std::string_view validated = "transactions.validated";  // right, and enriched
constexpr std::string_view failed = "transactions.failed";        // refused, each with all its reasons
constexpr std::string_view journal = "accounting.journal";        // a transfer a record, sealed
constexpr std::string_view payments = "payments.completed";       // what may be confirmed to whom paid
constexpr std::string_view dead_letters = "transactions.dlq";     // what a stage could not process
}  // namespace topics

namespace headers {
constexpr std::string_view processed_at =
    "processed_at";  // RFC 3339: when a stage wrote it. Values hold no reading of the clock
constexpr std::string_view event_id = "event_id";
constexpr std::string_view reasons = "reasons";  // of transactions.failed: a JSON list of code, path, rule, schema
}  // namespace headers

// Makes those that are missing, all with so many partitions and kept for ever. The key of every record is its account, so an
// account's events keep their order from stage to stage. Errors: invalid (one is there with another number of
// partitions); the client's.
Result<void> make_topics(Admin& admin, int32_t partitions);

}  // namespace flowstone::fintech
