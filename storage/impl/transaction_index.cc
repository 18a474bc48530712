#include "storage/transaction_index.h"

#include <algorithm>
#include <utility>

#include "storage/segment_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int16_t index_version = 0;

std::unexpected<Error> bad(std::string_view why) { return fail(Code::corrupt, "transaction_index.decode", why); }

std::string path_of(const std::string& directory, Offset base) {
    return join_path(directory, segment_file_name(base, SegmentFile::transaction_index));
}

}  // namespace

std::vector<std::byte> encode_transaction_index(std::span<const AbortedTransaction> entries) {
    ByteWriter out;
    for (const AbortedTransaction& entry : entries) {
        out.be(index_version);
        out.be(entry.producer_id);
        out.be(entry.first.value);
        out.be(entry.last.value);
        out.be(entry.last_stable_end.value);
    }
    return out.take();
}

Result<std::vector<AbortedTransaction>> decode_transaction_index(Bytes bytes) {
    if (bytes.size() % transaction_index_entry_bytes != 0) { return bad("half an entry"); }
    std::vector<AbortedTransaction> entries(bytes.size() / transaction_index_entry_bytes);
    ByteReader reader(bytes);
    Offset last_before{-1};
    for (AbortedTransaction& entry : entries) {
        const auto version = reader.be<int16_t>();
        if (version != index_version) {
            return fail(Code::unsupported, "transaction_index.decode", "version " + std::to_string(version));
        }
        entry.producer_id = reader.be<int64_t>();
        entry.first = Offset{reader.be<int64_t>()};
        entry.last = Offset{reader.be<int64_t>()};
        entry.last_stable_end = Offset{reader.be<int64_t>()};
        if (entry.producer_id < 0 || entry.first < Offset{0} || entry.last < entry.first || entry.last <= last_before ||
            entry.last_stable_end < Offset{0}) {
            return bad("an entry contradicts itself or the one before it");
        }
        last_before = entry.last;
    }
    return entries;
}

Result<std::vector<AbortedTransaction>> read_transaction_index(Disk& disk, const std::string& directory, Offset base) {
    const std::string path = path_of(directory, base);
    TRY(const auto bytes, read_file(disk, path, transaction_index_bytes_max));
    auto entries = decode_transaction_index(bytes);
    if (!entries) { return std::unexpected(entries.error().with_detail(path + ": " + entries.error().detail)); }
    return entries;
}

Result<void> write_transaction_index(Disk& disk, const std::string& directory, Offset base,
                                     std::span<const AbortedTransaction> entries) {
    return replace_file(disk, path_of(directory, base), encode_transaction_index(entries));
}

std::vector<AbortedTransaction> merged(std::vector<AbortedTransaction> some,
                                       std::span<const AbortedTransaction> others) {
    some.insert(some.end(), others.begin(), others.end());
    std::ranges::sort(some, {}, [](const AbortedTransaction& one) { return std::pair(one.last, one.first); });
    const auto again = std::ranges::unique(some, {}, &AbortedTransaction::last);
    some.erase(again.begin(), again.end());
    return some;
}

}  // namespace flowstone
