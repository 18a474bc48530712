// The first block and the name of a ring file. Format: docs/formats/journal.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <flowstone/ids.h>
#include <flowstone/result.h>

#include "storage/bytes.h"

namespace flowstone {

constexpr size_t journal_file_header_bytes = 64;

struct JournalFileHeader {
    Uuid ring;
    uint32_t shard = 0;
    uint32_t number = 0;
    uint64_t bytes = 0;
    uint32_t block_bytes = 0;
};

// `to` has room for journal_file_header_bytes.
void encode_journal_file(const JournalFileHeader& header, std::byte* to);
// Errors: corrupt; unsupported (newer version); each naming `path`.
Result<JournalFileHeader> decode_journal_file(Bytes bytes, const std::string& path);

// "flowstone-journal-<shard>.<number>"
std::string journal_file_name(uint32_t shard, uint32_t number);
bool parse_journal_file_name(std::string_view name, uint32_t& shard, uint32_t& number);

}  // namespace flowstone
