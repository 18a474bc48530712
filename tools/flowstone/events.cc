#include "tools/flowstone/events.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "storage/try.h"
#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

Error at_line(const Error& error, uint64_t line) {
    return error.with_detail(fmt::format("line {}: {}", line, error.detail));
}

class LineEvents : public EventSource {
public:
    LineEvents(ByteSource& source, std::optional<JsonField> key_field, std::optional<std::string> separator)
        : lines_(source), key_field_(std::move(key_field)), separator_(std::move(separator)) {}

    Result<std::optional<Event>> next() override {
        TRY(const auto line, lines_.next());
        if (!line) { return std::nullopt; }
        Event event{.key = std::nullopt, .value = *line, .row = lines_.line_number()};
        if (separator_) {
            const size_t at = line->find(*separator_);
            if (at == std::string_view::npos) {
                return fail(Code::invalid, "produce.read",
                            fmt::format("line {} has no key: '{}' is not in it", event.row, *separator_));
            }
            event.key = line->substr(0, at);
            event.value = line->substr(at + separator_->size());
        } else if (key_field_) {
            auto key = key_field_->find(event.value);
            if (!key) { return std::unexpected(at_line(key.error(), event.row)); }
            event.key = *key;
        }
        return event;
    }
    uint64_t bytes_read() const override { return lines_.bytes_read(); }

private:
    LineReader lines_;
    std::optional<JsonField> key_field_;
    std::optional<std::string> separator_;
};

// Rows as JSON objects. Every value is a string, exactly as written: what looks like a number is not made one.
class CsvEvents : public EventSource {
public:
    CsvEvents(ByteSource& source, std::optional<JsonField> key_field, std::optional<std::string> row_field)
        : csv_(source), key_field_(std::move(key_field)), row_field_(std::move(row_field)) {}

    Result<std::optional<Event>> next() override {
        if (row_ == 0) {
            TRY(const bool header, csv_.next());
            if (!header) { return std::nullopt; }
            TRY_VOID(read_header());
        }
        TRY(const bool more, csv_.next());
        if (!more) { return std::nullopt; }
        ++row_;
        if (csv_.columns() != members_.size()) {
            return fail(Code::invalid, "csv.read",
                        fmt::format("line {}: {} fields where the header has {}", csv_.line_number(), csv_.columns(),
                                    members_.size()));
        }
        json_.clear();
        for (size_t column = 0; column < members_.size(); ++column) {
            json_ += members_[column];
            append_json_string(json_, csv_.field(column));
        }
        if (row_field_) { fmt::format_to(std::back_inserter(json_), "{}{}", row_member_, row_); }
        json_ += '}';
        if (!is_utf8(json_)) {
            return fail(Code::invalid, "csv.read", fmt::format("line {}: not UTF-8", csv_.line_number()));
        }
        Event event{.key = std::nullopt, .value = json_, .row = row_};
        if (key_field_) {
            auto key = key_field_->find(json_);
            if (!key) { return std::unexpected(at_line(key.error(), csv_.line_number())); }
            event.key = *key;
        }
        return event;
    }
    uint64_t bytes_read() const override { return csv_.bytes_read(); }

private:
    // Keeps what stands before each value: {"a": and then ,"b":
    Result<void> read_header() {
        std::unordered_set<std::string> names;
        const auto add = [&](std::string_view name) -> Result<std::string> {
            if (!is_utf8(name)) { return fail(Code::invalid, "csv.read", "line 1: a column's name is not UTF-8"); }
            if (!names.emplace(name).second) {
                return fail(Code::invalid, "csv.read", fmt::format("line 1: two columns are called '{}'", name));
            }
            std::string member = names.size() == 1 ? "{" : ",";
            append_json_string(member, name);
            return member + ':';
        };
        for (size_t column = 0; column < csv_.columns(); ++column) {
            TRY(std::string member, add(csv_.field(column)));
            members_.push_back(std::move(member));
        }
        if (row_field_) { TRY(row_member_, add(*row_field_)); }
        return {};
    }

    CsvReader csv_;
    std::optional<JsonField> key_field_;
    std::optional<std::string> row_field_;
    std::vector<std::string> members_;
    std::string row_member_;
    std::string json_;
    uint64_t row_ = 0;
};

}  // namespace

Result<std::unique_ptr<EventSource>> make_event_source(ByteSource& source, const EventOptions& options) {
    if (options.key_field && options.key_separator) {
        return fail(Code::invalid, "produce", "--key-field and --key-separator exclude each other");
    }
    if (options.csv && options.key_separator) {
        return fail(Code::invalid, "produce", "--key-separator is for lines, not for --csv");
    }
    if (!options.csv && options.row_field) { return fail(Code::invalid, "produce", "--csv-row-number needs --csv"); }
    if (options.key_separator && options.key_separator->empty()) {
        return fail(Code::invalid, "produce", "--key-separator is empty");
    }
    std::optional<JsonField> key_field;
    if (options.key_field) {
        TRY(auto field, JsonField::parse(*options.key_field));
        key_field = std::move(field);
    }
    if (options.csv) { return std::make_unique<CsvEvents>(source, std::move(key_field), options.row_field); }
    return std::make_unique<LineEvents>(source, std::move(key_field), options.key_separator);
}

}  // namespace flowstone::tool
