#include "client/fintech/json.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "client/fintech/decimal.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

namespace ondemand = simdjson::ondemand;

std::unexpected<Error> not_json(simdjson::error_code error) {
    return fail(Code::invalid, "json.read", fmt::format("not JSON: {}", simdjson::error_message(error)));
}

std::unexpected<Error> above(std::string_view what, size_t limit) {
    return fail(Code::too_large, "json.read", fmt::format("more than {} {}", limit, what));
}

// simdjson ends a token where the next one begins, blanks included.
std::string_view without_blanks(std::string_view token) {
    const size_t last = token.find_last_not_of(" \t\r\n");
    return token.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool is_number(std::string_view token) {
    const auto number = Decimal::parse(token);
    return number || number.error().code == Code::too_large;  // a number all the same
}

}  // namespace

Json Json::operator[](std::string_view name) const {
    if (!is(JsonKind::object)) { return {}; }
    for (const Json member : *this) {
        if (member.name() == name) { return member; }
    }
    return {};
}

struct JsonReader::Parser {
    ondemand::parser parser;
    std::string padded;  // simdjson reads past the end of the text
    std::vector<JsonNode> nodes;

    Result<void> add_scalar(ondemand::json_type type, std::string_view token);
    Result<void> add_object(ondemand::value& value, size_t depth, const JsonLimits& limits);
    Result<void> add_array(ondemand::value& value, size_t depth, const JsonLimits& limits);
    Result<void> add(ondemand::value& value, std::string_view name, size_t depth, const JsonLimits& limits);
};

JsonReader::JsonReader(JsonLimits limits) : limits_(limits), parser_(std::make_unique<Parser>()) {}
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;
JsonReader::~JsonReader() = default;

Result<void> JsonReader::Parser::add_scalar(ondemand::json_type type, std::string_view token) {
    JsonNode& node = nodes.back();
    node.text = without_blanks(token);
    switch (type) {
        case ondemand::json_type::number:
            node.kind = JsonKind::number;
            if (!is_number(node.text)) { return not_json(simdjson::NUMBER_ERROR); }
            return {};
        case ondemand::json_type::boolean:
            node.kind = JsonKind::boolean;
            if (node.text != "true" && node.text != "false") { return not_json(simdjson::T_ATOM_ERROR); }
            return {};
        default:
            node.kind = JsonKind::null;
            if (node.text != "null") { return not_json(simdjson::N_ATOM_ERROR); }
            return {};
    }
}

Result<void> JsonReader::Parser::add_object(ondemand::value& value, size_t depth, const JsonLimits& limits) {
    const size_t at = nodes.size() - 1;
    nodes[at].kind = JsonKind::object;
    ondemand::object object;
    if (const auto error = value.get_object().get(object)) { return not_json(error); }
    size_t members = 0;
    for (auto member : object) {
        ondemand::field field;
        if (const auto error = std::move(member).get(field)) { return not_json(error); }
        std::string_view name;
        if (const auto error = field.unescaped_key().get(name)) { return not_json(error); }
        if (++members > limits.members_max) { return above("members of one object", limits.members_max); }
        for (size_t other = at + 1; other < nodes.size(); other = nodes[other].end) {
            if (nodes[other].name == name) {
                return fail(Code::invalid, "json.read", "a name comes twice in an object");
            }
        }
        TRY_VOID(add(field.value(), name, depth + 1, limits));
    }
    return {};
}

Result<void> JsonReader::Parser::add_array(ondemand::value& value, size_t depth, const JsonLimits& limits) {
    nodes.back().kind = JsonKind::array;
    ondemand::array array;
    if (const auto error = value.get_array().get(array)) { return not_json(error); }
    for (auto element : array) {
        ondemand::value inner;
        if (const auto error = std::move(element).get(inner)) { return not_json(error); }
        TRY_VOID(add(inner, {}, depth + 1, limits));
    }
    return {};
}

Result<void> JsonReader::Parser::add(ondemand::value& value, std::string_view name, size_t depth,
                                     const JsonLimits& limits) {
    if (depth > limits.depth_max) { return above("levels", limits.depth_max); }
    if (nodes.size() == limits.nodes_max) { return above("values", limits.nodes_max); }
    const size_t at = nodes.size();
    nodes.push_back({.name = name});
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) { return not_json(error); }
    switch (type) {
        case ondemand::json_type::object: TRY_VOID(add_object(value, depth, limits)); break;
        case ondemand::json_type::array: TRY_VOID(add_array(value, depth, limits)); break;
        case ondemand::json_type::string:
            nodes[at].kind = JsonKind::string;
            if (const auto error = value.get_string().get(nodes[at].text)) { return not_json(error); }
            break;
        case ondemand::json_type::number:
        case ondemand::json_type::boolean:
        case ondemand::json_type::null: TRY_VOID(add_scalar(type, value.raw_json_token())); break;
    }
    nodes[at].end = static_cast<uint32_t>(nodes.size());
    return {};
}

Result<Json> JsonReader::read(std::string_view text) {
    if (text.size() > limits_.bytes_max) { return above("bytes", limits_.bytes_max); }
    Parser& own = *parser_;
    own.padded.assign(text);
    own.padded.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    own.nodes.clear();
    ondemand::document document;
    if (const auto error = own.parser.iterate(own.padded).get(document)) { return not_json(error); }
    // simdjson has another kind of value for a scalar at the top; an event is none.
    ondemand::json_type type{};
    if (const auto error = document.type().get(type)) { return not_json(error); }
    if (type != ondemand::json_type::object && type != ondemand::json_type::array) {
        return fail(Code::invalid, "json.read", "neither an object nor an array");
    }
    ondemand::value value;
    if (const auto error = document.get_value().get(value)) { return not_json(error); }
    TRY_VOID(own.add(value, {}, 1, limits_));
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {  // which is what the end has
        return not_json(simdjson::TRAILING_CONTENT);
    }
    return Json(own.nodes, 0);
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text); }

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char letter : text) {
        switch (letter) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (static_cast<unsigned char>(letter) < 0x20) {
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(letter));
                } else {
                    out += letter;
                }
        }
    }
    out += '"';
}

}  // namespace flowstone::fintech
