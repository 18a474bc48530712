// A JSON pointer, a line break, and JSON of a stranger.

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/check.h"
#include "tools/flowstone/json_line.h"
#include "tools/flowstone/output.h"

using namespace flowstone;
using namespace flowstone::tool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t at = input.find('\n');
    if (at == std::string_view::npos) { return 0; }
    auto field = JsonField::parse(std::string(input.substr(0, at)));
    if (!field) { return 0; }
    const std::string json(input.substr(at + 1));
    const auto once = field->find(json);
    const std::string text = once && *once ? std::string(**once) : std::string();
    CHECK(text.size() <= json.size());
    CHECK(is_utf8(text));
    const auto again = field->find(json);  // the parser is used for line after line
    CHECK(again.has_value() == once.has_value());
    CHECK(!again || again->value_or("") == text);

    std::string line;
    JsonLine(line).text("line", input);
    auto printed = JsonField::parse("/line");
    const auto read_back = printed->find(line);
    // What we print is JSON: text comes back as it was, other bytes are an object with base64.
    CHECK(is_utf8(input) ? read_back && *read_back == input : read_back.error().code == Code::unsupported);
    return 0;
}
