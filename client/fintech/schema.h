// JSON Schema, as far as events need it, compiled once: each event is then held to it in one walk.
//
// Known are type, required, properties, additionalProperties (true or false), items, enum and const (of strings), pattern
// (client/fintech/pattern.h), minimum, maximum, minLength, maxLength, and the formats "date-time" (RFC 3339 with a zone) and
// "decimal" (ours: a string that is spelled as a number, which minimum and maximum then hold, too). $schema, $id, title and
// description say nothing. Every other keyword is refused when the schema is compiled: what is not checked must not look as if it were.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/result.h>

#include "client/fintech/decimal.h"
#include "client/fintech/json.h"
#include "client/fintech/pattern.h"

namespace flowstone::fintech {

// Why an event is refused. None of it is taken from the event: it may hold what nobody but its owner should read.
struct Reason {
    std::string code;    // "required", "pattern", "currency.unknown"
    std::string path;    // JSON pointer in names that the schema has: "/data/amount"
    std::string rule;    // what should be: "^txn_[a-z0-9]+$"
    std::string schema;  // "transaction.completed/1.0"; empty: none was found
    friend bool operator==(const Reason&, const Reason&) = default;
};
// A JSON list of objects.
std::string to_json(const std::vector<Reason>& reasons);

class Schema {
public:
    // Errors: invalid (no JSON, a keyword with the wrong kind of value), unsupported (a keyword that is not known), with its
    // place in the detail.
    static Result<Schema> compile(std::string name, std::string_view text);
    // Adds every reason against it, in the order of the schema.
    void check(const Json& value, std::vector<Reason>& reasons) const;
    const std::string& name() const { return name_; }

private:
    enum class Format : uint8_t { none, date_time, decimal };
    struct Property {
        std::string name;
        size_t rule = 0;
        bool required = false;
    };
    // What holds at one place.
    struct Rule {
        std::string path;
        std::string type_names{};  // joined by "|"
        uint32_t kinds = ~0u;      // a bit for each JsonKind
        bool whole_numbers = false;
        std::vector<Property> properties{};
        bool others = true;  // members beside the properties
        std::optional<size_t> items{};
        std::vector<std::string> values{};  // of an enum
        std::string pattern_text{};
        std::optional<Pattern> pattern{};
        std::optional<Decimal> minimum{};
        std::optional<Decimal> maximum{};
        std::optional<uint64_t> length_min{};
        std::optional<uint64_t> length_max{};
        Format format = Format::none;
    };
    class Compiler;
    class Check;

    std::string name_;
    std::vector<Rule> rules_;  // the first holds for the whole
};

// Schemas by the type and version of events.
class Schemas {
public:
    // `name`: "transaction.completed/1.0". Errors: those of Schema::compile; exists.
    Result<void> add(const std::string& name, std::string_view text);
    const Schema* find(std::string_view event_type, std::string_view version) const;  // null: there is none
    size_t size() const { return schemas_.size(); }

private:
    std::map<std::string, Schema, std::less<>> schemas_;
};

// Those that the program has in it: client/fintech/schemas/.
struct SchemaText {
    std::string_view name;
    std::string_view text;
};
std::span<const SchemaText> built_in_schemas();

}  // namespace flowstone::fintech
