// One field of a JSON text, found by a JSON pointer, as the text that a key is made of.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <flowstone/result.h>

namespace flowstone::tool {

class JsonField {
public:
    // `pointer` as RFC 6901 has it: "/data/accountId". Names are compared as the JSON text spells them, before escapes
    // are resolved. Errors: invalid.
    static Result<JsonField> parse(std::string pointer);
    JsonField(JsonField&&) noexcept;
    JsonField& operator=(JsonField&&) noexcept;
    ~JsonField();

    // The field of `json`: a string with its escapes resolved, any other scalar exactly as it is written (a number is
    // never converted), nothing if it is null. Valid until the next call. Only what is needed to find it is checked.
    // Errors: invalid (no JSON), not_found, unsupported (an object or a list).
    Result<std::optional<std::string_view>> find(std::string_view json);

private:
    struct Parser;
    JsonField(std::string pointer, std::unique_ptr<Parser> parser);
    std::string pointer_;
    std::unique_ptr<Parser> parser_;
};

// Whether the whole of `text` is a number as RFC 8259 spells it.
bool is_json_number(std::string_view text);

}  // namespace flowstone::tool
