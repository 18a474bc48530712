#include "tools/flowstone/resume.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "storage/try.h"
#include "tools/flowstone/json_line.h"
#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

// RFC 6901: the one field of that name at the top.
std::string pointer_to(const std::string& name) {
    std::string pointer = "/";
    for (const char letter : name) {
        switch (letter) {
            case '~': pointer += "~0"; break;
            case '/': pointer += "~1"; break;
            default: pointer += letter; break;
        }
    }
    return pointer;
}

// The value of the last record in [from, end); nothing if offsets there hold no record.
Result<std::optional<std::string>> last_value(const Topic& topic, int32_t partition, Offset from, Offset end) {
    TRY(Reader reader, topic.read({.partition = partition, .from = from}));
    std::optional<std::string> last;
    while (reader.position() < end) {
        const Result<Batch> batch = reader.next();
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { break; }
        for (const RecordView& record : *batch) { last = record.value.value_or(""); }
    }
    return last;
}

Result<uint64_t> last_row(const Topic& topic, int32_t partition, JsonField& field) {
    TRY(const PartitionInfo info, topic.partition(partition));
    // Not every offset holds a record (compaction, transaction markers), so look further and further back.
    for (int64_t back = 1;; back *= 16) {
        const Offset from{std::max(info.log_start.value, info.high_watermark.value - back)};
        TRY(const auto value, last_value(topic, partition, from, info.high_watermark));
        if (!value && from > info.log_start) { continue; }
        if (!value) { return 0; }
        TRY(const auto text, field.find(*value));
        const auto row = text ? parse_integer(*text) : std::nullopt;
        if (!row || *row < 1) {
            return fail(Code::invalid, "produce.resume",
                        fmt::format("the last record of {}-{} has no row number", topic.name(), partition));
        }
        return static_cast<uint64_t>(*row);
    }
}

}  // namespace

Result<std::vector<uint64_t>> last_rows(const Topic& topic, const std::string& row_field) {
    TRY(JsonField field, JsonField::parse(pointer_to(row_field)));
    std::vector<uint64_t> rows;
    for (int32_t partition = 0; partition < topic.partitions(); ++partition) {
        TRY(const uint64_t row, last_row(topic, partition, field));
        rows.push_back(row);
    }
    return rows;
}

}  // namespace flowstone::tool
