#include "tools/flowstone/json_line.h"

#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

namespace flowstone::tool {
namespace {

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

// Takes the digits off the front; false if there are none.
bool take_digits(std::string_view& text) {
    const size_t before = text.size();
    while (!text.empty() && is_digit(text.front())) { text.remove_prefix(1); }
    return text.size() < before;
}

}  // namespace

struct JsonField::Parser {
    simdjson::ondemand::parser parser;
    std::string padded;  // simdjson reads past the end of the text
};

JsonField::JsonField(std::string pointer, std::unique_ptr<Parser> parser)
    : pointer_(std::move(pointer)), parser_(std::move(parser)) {}
JsonField::JsonField(JsonField&&) noexcept = default;
JsonField& JsonField::operator=(JsonField&&) noexcept = default;
JsonField::~JsonField() = default;

bool is_json_number(std::string_view text) {
    if (text.starts_with('-')) { text.remove_prefix(1); }
    const bool zero = text.starts_with('0');
    const size_t whole = text.size();
    if (!take_digits(text) || (zero && whole - text.size() > 1)) { return false; }
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        if (!take_digits(text)) { return false; }
    }
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        if (text.starts_with('+') || text.starts_with('-')) { text.remove_prefix(1); }
        if (!take_digits(text)) { return false; }
    }
    return text.empty();
}

Result<JsonField> JsonField::parse(std::string pointer) {
    if (!pointer.starts_with('/')) {
        return fail(Code::invalid, "json_pointer", fmt::format("'{}' does not begin with /", pointer));
    }
    for (size_t at = 0; at < pointer.size(); ++at) {
        if (pointer[at] != '~') { continue; }
        const char next = at + 1 < pointer.size() ? pointer[at + 1] : '\0';
        if (next != '0' && next != '1') {
            return fail(Code::invalid, "json_pointer", fmt::format("'{}' has a ~ that is neither ~0 nor ~1", pointer));
        }
    }
    return JsonField(std::move(pointer), std::make_unique<Parser>());
}

Result<std::optional<std::string_view>> JsonField::find(std::string_view json) {
    namespace ondemand = simdjson::ondemand;
    const auto no_json = [&](simdjson::error_code error) {
        return fail(Code::invalid, "json.find", fmt::format("no JSON: {}", simdjson::error_message(error)));
    };
    parser_->padded.assign(json);
    parser_->padded.reserve(json.size() + simdjson::SIMDJSON_PADDING);
    ondemand::document document;
    if (auto error = parser_->parser.iterate(parser_->padded).get(document)) { return no_json(error); }
    // Only objects and lists have fields; simdjson takes a scalar at the top for an error of another kind.
    ondemand::json_type top{};
    if (auto error = document.type().get(top)) { return no_json(error); }
    if (top != ondemand::json_type::object && top != ondemand::json_type::array) {
        return fail(Code::not_found, "json.find", pointer_);
    }
    ondemand::value value;
    if (auto error = document.at_pointer(pointer_).get(value)) {
        switch (error) {
            case simdjson::NO_SUCH_FIELD:
            case simdjson::INDEX_OUT_OF_BOUNDS:
            case simdjson::INVALID_JSON_POINTER:  // the path goes through a scalar, or a name into a list
            case simdjson::INCORRECT_TYPE: return fail(Code::not_found, "json.find", pointer_);
            default: return no_json(error);
        }
    }
    ondemand::json_type type{};
    if (auto error = value.type().get(type)) { return no_json(error); }
    switch (type) {
        case ondemand::json_type::string: {
            std::string_view text;
            if (auto error = value.get_string().get(text)) { return no_json(error); }
            return text;
        }
        case ondemand::json_type::object:
        case ondemand::json_type::array:
            return fail(Code::unsupported, "json.find", fmt::format("{} is an object or a list", pointer_));
        case ondemand::json_type::number:
        case ondemand::json_type::boolean:
        case ondemand::json_type::null: break;
    }
    // simdjson ends the token where the next one begins, blanks included.
    std::string_view token = value.raw_json_token();
    while (!token.empty() && std::string_view(" \t\r\n").find(token.back()) != std::string_view::npos) {
        token.remove_suffix(1);
    }
    if (token == "null") { return std::nullopt; }
    if (token != "true" && token != "false" && !is_json_number(token)) {
        return fail(Code::invalid, "json.find", fmt::format("{} is no JSON value", pointer_));
    }
    return token;
}

}  // namespace flowstone::tool
