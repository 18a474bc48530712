#include "storage/impl/journal_file.h"

#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "storage/checksum.h"
#include "storage/mutants.h"

namespace flowstone {
namespace {

constexpr std::string_view name_prefix = "flowstone-journal-";
constexpr uint64_t file_magic = 0x31'47'4e'49'57'4f'4c'46;  // "FLOWING1" as little-endian bytes
constexpr uint32_t file_version = 1;

}  // namespace

std::string journal_file_name(uint32_t shard, uint32_t number) {
    return fmt::format("{}{}.{:04}", name_prefix, shard, number);
}

void encode_journal_file(const JournalFileHeader& header, std::byte* to) {
    std::memset(to, 0, journal_file_header_bytes);
    store_le<uint64_t>(to, file_magic);
    store_le<uint32_t>(to + 8, file_version);
    std::memcpy(to + 12, header.ring.bytes.data(), 16);
    store_le<uint32_t>(to + 28, header.shard);
    store_le<uint32_t>(to + 32, header.number);
    store_le<uint32_t>(to + 36, header.block_bytes);
    store_le<uint64_t>(to + 40, header.bytes);
    store_le<uint32_t>(to + 60, crc32c(Bytes(to, 60)));
}

Result<JournalFileHeader> decode_journal_file(Bytes bytes, const std::string& path) {
    const std::byte* at = bytes.data();
    if (bytes.size() < journal_file_header_bytes || load_le<uint64_t>(at) != file_magic ||
        (load_le<uint32_t>(at + 60) != crc32c(bytes.first(60)) && !mutated(Mutant::journal_header_sum))) {
        return fail(Code::corrupt, "journal.open", fmt::format("the header of {} does not hold", path));
    }
    if (load_le<uint32_t>(at + 8) != file_version) {
        return fail(Code::unsupported, "journal.open",
                    fmt::format("{} has format version {}, this release knows {}", path, load_le<uint32_t>(at + 8),
                                file_version));
    }
    JournalFileHeader header;
    std::memcpy(header.ring.bytes.data(), at + 12, 16);
    header.shard = load_le<uint32_t>(at + 28);
    header.number = load_le<uint32_t>(at + 32);
    header.block_bytes = load_le<uint32_t>(at + 36);
    header.bytes = load_le<uint64_t>(at + 40);
    return header;
}

bool parse_journal_file_name(std::string_view name, uint32_t& shard, uint32_t& number) {
    if (!name.starts_with(name_prefix)) { return false; }
    name.remove_prefix(name_prefix.size());
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) { return false; }
    const auto first = std::from_chars(name.data(), name.data() + dot, shard);
    const auto second = std::from_chars(name.data() + dot + 1, name.data() + name.size(), number);
    return first.ec == std::errc{} && first.ptr == name.data() + dot && second.ec == std::errc{} &&
           second.ptr == name.data() + name.size();
}

}  // namespace flowstone
