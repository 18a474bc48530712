// <base>.txnindex: the aborted transactions whose marker lies in that segment, in Kafka's format, version 0.
//
// A reader who wants committed records only is told of those that overlap what it reads. The file is missing for a
// segment without any. Format page: docs/formats/transaction-index.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/disk.h"

namespace flowstone {

constexpr size_t transaction_index_entry_bytes = 34;
constexpr uint64_t transaction_index_bytes_max = 1ull << 30;

struct AbortedTransaction {
    int64_t producer_id = -1;
    Offset first;            // of its records
    Offset last;             // of its marker
    Offset last_stable_end;  // once the marker was there: no transaction that ends later begins below it
    friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
};

std::vector<std::byte> encode_transaction_index(std::span<const AbortedTransaction> entries);
// By `last`, growing. Errors: corrupt; unsupported (another version).
Result<std::vector<AbortedTransaction>> decode_transaction_index(Bytes bytes);

// Errors: those of Disk (not_found), too_large, and of decode with the path as detail.
Result<std::vector<AbortedTransaction>> read_transaction_index(Disk& disk, const std::string& directory, Offset base);
// Durable when it returns: the old file or the new one survives a crash, never a mixture.
Result<void> write_transaction_index(Disk& disk, const std::string& directory, Offset base,
                                     std::span<const AbortedTransaction> entries);

// Both by `last`, each transaction once.
std::vector<AbortedTransaction> merged(std::vector<AbortedTransaction> some,
                                       std::span<const AbortedTransaction> others);

}  // namespace flowstone
