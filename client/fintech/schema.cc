#include "client/fintech/schema.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "client/fintech/civil_time.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr size_t rules_max = 1'000;

uint32_t bit_of(JsonKind kind) { return 1u << static_cast<uint32_t>(kind); }

// UTF-8 is known to be right: every byte that does not go on from another begins a letter.
uint64_t letters_in(std::string_view text) {
    return static_cast<uint64_t>(std::ranges::count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

std::optional<uint64_t> count_of(const Json& value) {
    if (!value.is(JsonKind::number)) { return std::nullopt; }
    uint64_t count = 0;
    const std::string_view text = value.text();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) { return std::nullopt; }
    return count;
}

}  // namespace

std::string to_json(const std::vector<Reason>& reasons) {
    std::string out = "[";
    for (const Reason& reason : reasons) {
        out += out.size() == 1 ? "{\"code\":" : ",{\"code\":";
        append_json_string(out, reason.code);
        out += ",\"path\":";
        append_json_string(out, reason.path);
        out += ",\"rule\":";
        append_json_string(out, reason.rule);
        out += ",\"schema\":";
        append_json_string(out, reason.schema);
        out += '}';
    }
    return out + ']';
}

// --- compiling ---------------------------------------------------------------------------------------------------------

class Schema::Compiler {
public:
    explicit Compiler(Schema& schema) : schema_(schema) {}

    // Adds the rule for a place and those below it; which one it is.
    Result<size_t> add(const Json& text, const std::string& path) {
        if (!text.is(JsonKind::object)) { return refuse(path, "is no object"); }
        if (schema_.rules_.size() == rules_max) { return refuse(path, "has too many rules before it"); }
        const size_t at = schema_.rules_.size();
        schema_.rules_.push_back({.path = path});
        Rule rule{.path = path};
        for (const Json member : text) { TRY_VOID(take(rule, member)); }
        TRY_VOID(take_required(rule, text["required"]));
        schema_.rules_[at] = std::move(rule);
        return at;
    }

private:
    static std::unexpected<Error> refuse(std::string_view path, std::string_view what) {
        return fail(Code::invalid, "schema.compile", fmt::format("{} {}", path.empty() ? "/" : path, what));
    }

    Result<void> take(Rule& rule, const Json& member) {
        const std::string_view name = member.name();
        if (name == "$schema" || name == "$id" || name == "title" || name == "description" || name == "required") {
            return {};
        }
        if (name == "type") { return take_type(rule, member); }
        if (name == "properties") { return take_properties(rule, member); }
        if (name == "items") {
            TRY(rule.items, add(member, rule.path + "/-"));
            return {};
        }
        if (name == "additionalProperties") {
            if (!member.is(JsonKind::boolean)) {
                return refuse(rule.path, "has additionalProperties that is no boolean");
            }
            rule.others = member.text() == "true";
            return {};
        }
        if (name == "enum" || name == "const") { return take_values(rule, member); }
        if (name == "minimum" || name == "maximum") { return take_limit(rule, member); }
        if (name == "minLength" || name == "maxLength") {
            const auto count = count_of(member);
            if (!count) { return refuse(rule.path, "has a length that is no whole number"); }
            (name == "minLength" ? rule.length_min : rule.length_max) = count;
            return {};
        }
        return take_words(rule, member);
    }

    Result<void> take_words(Rule& rule, const Json& member) {
        const std::string_view name = member.name();
        if (name == "pattern") {
            rule.pattern_text = member.string();
            auto pattern = Pattern::compile(rule.pattern_text);
            if (!pattern) {
                return std::unexpected(
                    pattern.error().with_detail(fmt::format("{}: {}", rule.path, pattern.error().detail)));
            }
            rule.pattern = *pattern;
            return {};
        }
        if (name == "format" && member.string() == "date-time") {
            rule.format = Format::date_time;
            return {};
        }
        if (name == "format" && member.string() == "decimal") {
            rule.format = Format::decimal;
            return {};
        }
        return fail(Code::unsupported, "schema.compile",
                    fmt::format("{} has {} {}", rule.path.empty() ? "/" : rule.path, name, member.string()));
    }

    static Result<void> take_type(Rule& rule, const Json& type) {
        rule.kinds = 0;
        if (type.is(JsonKind::string)) { return add_type(rule, type.text()); }
        if (!type.is(JsonKind::array)) { return refuse(rule.path, "has a type that is no name"); }
        for (const Json one : type) { TRY_VOID(add_type(rule, one.string())); }
        return {};
    }
    static Result<void> add_type(Rule& rule, std::string_view name) {
        constexpr std::pair<std::string_view, JsonKind> names[] = {
            {"object", JsonKind::object}, {"array", JsonKind::array},     {"string", JsonKind::string},
            {"number", JsonKind::number}, {"boolean", JsonKind::boolean}, {"null", JsonKind::null}};
        if (!rule.type_names.empty()) { rule.type_names += '|'; }
        rule.type_names += name;
        if (name == "integer") {
            rule.kinds |= bit_of(JsonKind::number);
            rule.whole_numbers = true;
            return {};
        }
        for (const auto& [known, kind] : names) {
            if (known == name) {
                rule.kinds |= bit_of(kind);
                return {};
            }
        }
        return refuse(rule.path, "has a type that there is not");
    }

    Result<void> take_properties(Rule& rule, const Json& properties) {
        if (!properties.is(JsonKind::object)) { return refuse(rule.path, "has properties that are no object"); }
        for (const Json property : properties) {
            TRY(const size_t at, add(property, fmt::format("{}/{}", rule.path, property.name())));
            rule.properties.push_back({.name = std::string(property.name()), .rule = at});
        }
        return {};
    }
    // Each has its rule: one without is a name that was mistyped.
    static Result<void> take_required(Rule& rule, const Json& required) {
        if (!required) { return {}; }
        if (!required.is(JsonKind::array)) { return refuse(rule.path, "has required that is no list"); }
        for (const Json name : required) {
            const auto found = std::ranges::find(rule.properties, name.string(), &Property::name);
            if (found == rule.properties.end()) { return refuse(rule.path, "requires what is not in its properties"); }
            found->required = true;
        }
        return {};
    }

    static Result<void> take_values(Rule& rule, const Json& member) {
        const auto take_one = [&](const Json& value) -> Result<void> {
            if (!value.is(JsonKind::string)) { return refuse(rule.path, "has an enum or const that is no string"); }
            rule.values.emplace_back(value.text());
            return {};
        };
        if (member.name() == "const") { return take_one(member); }
        if (!member.is(JsonKind::array)) { return refuse(rule.path, "has an enum that is no list"); }
        for (const Json value : member) { TRY_VOID(take_one(value)); }
        return {};
    }

    static Result<void> take_limit(Rule& rule, const Json& member) {
        if (!member.is(JsonKind::number)) { return refuse(rule.path, "has a limit that is no number"); }
        const auto limit = Decimal::parse(member.text());
        if (!limit) { return refuse(rule.path, "has a limit of more than 18 digits"); }
        (member.name() == "minimum" ? rule.minimum : rule.maximum) = *limit;
        return {};
    }

    Schema& schema_;
};

Result<Schema> Schema::compile(std::string name, std::string_view text) {
    Schema schema;
    schema.name_ = std::move(name);
    JsonReader reader;
    TRY(const Json root, reader.read(text));
    TRY_VOID(Compiler(schema).add(root, ""));
    return schema;
}

// --- checking ----------------------------------------------------------------------------------------------------------

class Schema::Check {
public:
    Check(const Schema& schema, std::vector<Reason>& reasons) : schema_(schema), reasons_(reasons) {}

    void check(const Json& value, const Rule& rule) {
        if ((rule.kinds & bit_of(value.kind())) == 0) { return refuse("type", rule, rule.type_names); }
        switch (value.kind()) {
            case JsonKind::object: return check_object(value, rule);
            case JsonKind::array:
                if (!rule.items) { return; }
                for (const Json item : value) { check(item, schema_.rules_[*rule.items]); }
                return;
            case JsonKind::string: return check_string(value.text(), rule);
            case JsonKind::number: return check_number(value.text(), rule);
            case JsonKind::boolean:
            case JsonKind::null: return check_values("", false, rule);
        }
    }

private:
    void refuse(std::string_view code, const Rule& rule, std::string_view what) {
        reasons_.push_back({std::string(code), rule.path, std::string(what), schema_.name_});
    }

    void check_object(const Json& value, const Rule& rule) {
        check_values("", false, rule);
        for (const Property& property : rule.properties) {
            const Json member = value[property.name];
            const Rule& below = schema_.rules_[property.rule];
            if (member) {
                check(member, below);
            } else if (property.required) {
                refuse("required", below, property.name);
            }
        }
        if (rule.others) { return; }
        for (const Json member : value) {
            if (std::ranges::find(rule.properties, member.name(), &Property::name) == rule.properties.end()) {
                return refuse("additionalProperties", rule, "nothing but what is named");
            }
        }
    }

    void check_values(std::string_view text, bool is_string, const Rule& rule) {
        if (rule.values.empty()) { return; }
        if (is_string && std::ranges::find(rule.values, text) != rule.values.end()) { return; }
        refuse("enum", rule, fmt::format("{}", fmt::join(rule.values, "|")));
    }

    void check_string(std::string_view text, const Rule& rule) {
        check_values(text, true, rule);
        if (rule.length_min || rule.length_max) {
            const uint64_t length = letters_in(text);
            if (rule.length_min && length < *rule.length_min) {
                refuse("minLength", rule, std::to_string(*rule.length_min));
            }
            if (rule.length_max && length > *rule.length_max) {
                refuse("maxLength", rule, std::to_string(*rule.length_max));
            }
        }
        if (rule.pattern && !rule.pattern->matches(text)) { refuse("pattern", rule, rule.pattern_text); }
        if (rule.format == Format::date_time) {
            if (const auto moment = parse_moment(text); !moment) { refuse("format", rule, "date-time"); }
        }
        if (rule.format == Format::decimal) { check_limits(text, rule, "format"); }
    }

    void check_number(std::string_view text, const Rule& rule) {
        check_values("", false, rule);
        if (rule.minimum || rule.maximum || rule.whole_numbers) { check_limits(text, rule, "number"); }
    }

    void check_limits(std::string_view text, const Rule& rule, std::string_view code) {
        const auto number = Decimal::parse(text);
        if (!number && number.error().code == Code::too_large) {
            return refuse("digits", rule, "at most 18 digits, and as many decimals");
        }
        if (!number) { return refuse(code, rule, "decimal"); }
        if (rule.whole_numbers && number->scale > 0) { refuse("type", rule, rule.type_names); }
        if (rule.minimum && compare(*number, *rule.minimum) < 0) { refuse("minimum", rule, rule.minimum->text()); }
        if (rule.maximum && compare(*number, *rule.maximum) > 0) { refuse("maximum", rule, rule.maximum->text()); }
    }

    const Schema& schema_;
    std::vector<Reason>& reasons_;
};

void Schema::check(const Json& value, std::vector<Reason>& reasons) const {
    Check(*this, reasons).check(value, rules_.front());
}

// --- schemas -----------------------------------------------------------------------------------------------------------

Result<void> Schemas::add(const std::string& name, std::string_view text) {
    TRY(Schema schema, Schema::compile(name, text));
    if (!schemas_.emplace(name, std::move(schema)).second) { return fail(Code::exists, "schemas.add", name); }
    return {};
}

const Schema* Schemas::find(std::string_view event_type, std::string_view version) const {
    std::string name(event_type);
    name += '/';
    name += version;
    const auto found = schemas_.find(name);
    return found == schemas_.end() ? nullptr : &found->second;
}

}  // namespace flowstone::fintech
