// JSON as events have it: the whole text checked at once, strictly and within bounds, and then nodes to look at.
//
// Strict: RFC 8259, UTF-8, no second member of a name in an object, nothing behind the value. Numbers stay the digits that
// they are written with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

namespace flowstone::fintech {

enum class JsonKind : uint8_t { object, array, string, number, boolean, null };

struct JsonNode {
    JsonKind kind = JsonKind::null;
    std::string_view name{};  // in an object; escapes resolved
    std::string_view text{};  // of a string with its escapes resolved; of numbers and booleans as written
    uint32_t end = 0;         // behind the last node within this one
};

// A value and all that is in it. Views live as long as the text and the reader's nodes.
class Json {
public:
    Json() = default;
    Json(std::span<const JsonNode> nodes, uint32_t at) : nodes_(nodes), at_(at) {}

    explicit operator bool() const { return at_ < nodes_.size(); }  // false: there is no such member
    JsonKind kind() const { return nodes_[at_].kind; }
    bool is(JsonKind kind) const { return *this && this->kind() == kind; }
    std::string_view name() const { return nodes_[at_].name; }
    std::string_view text() const { return nodes_[at_].text; }
    std::string_view string() const { return is(JsonKind::string) ? text() : std::string_view(); }  // empty: none
    // The member of an object; of anything else there is none.
    Json operator[](std::string_view name) const;

    // The values in an object or array.
    class Iterator {
    public:
        Iterator(std::span<const JsonNode> nodes, uint32_t at) : nodes_(nodes), at_(at) {}
        Json operator*() const { return {nodes_, at_}; }
        Iterator& operator++() {
            at_ = nodes_[at_].end;
            return *this;
        }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

    private:
        std::span<const JsonNode> nodes_;
        uint32_t at_;
    };
    Iterator begin() const { return {nodes_, at_ + 1}; }
    Iterator end() const { return {nodes_, nodes_[at_].end}; }

private:
    std::span<const JsonNode> nodes_{};
    uint32_t at_ = 0;
};

struct JsonLimits {
    size_t bytes_max = 256u << 10;
    size_t nodes_max = 4'096;
    size_t members_max = 256;  // of one object
    size_t depth_max = 32;
};

class JsonReader {
public:
    explicit JsonReader(JsonLimits limits = {});
    JsonReader(JsonReader&&) noexcept;
    JsonReader& operator=(JsonReader&&) noexcept;
    ~JsonReader();

    // Valid until the next call. Errors: invalid (not JSON; a name that comes twice), too_large (a limit). What the detail
    // says holds nothing of the text.
    Result<Json> read(std::string_view text);

private:
    struct Parser;
    JsonLimits limits_;
    std::unique_ptr<Parser> parser_;
};

// Whether all of it is UTF-8.
bool is_utf8(std::string_view text);
// A JSON string with quotes. `text` must be UTF-8.
void append_json_string(std::string& out, std::string_view text);

}  // namespace flowstone::fintech
