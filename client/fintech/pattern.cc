#include "client/fintech/pattern.h"

#include <charconv>

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr std::string_view special = "^$.|?*+()[]{}\\";

std::unexpected<Error> unsupported(std::string_view what) { return fail(Code::unsupported, "pattern.compile", what); }

uint8_t byte_of(char letter) { return static_cast<uint8_t>(letter); }

void add_range(std::bitset<256>& letters, char first, char last) {
    for (uint32_t letter = byte_of(first); letter <= byte_of(last); ++letter) { letters.set(letter); }
}

// A letter behind a backslash. Zero: it has a meaning that is not ours.
char escaped(char letter) {
    return (special.find(letter) != std::string_view::npos || letter == '-' || letter == '/') ? letter : '\0';
}

bool take_uint(std::string_view& text, uint32_t& number) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc()) { return false; }
    text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
    return true;
}

}  // namespace

Result<Pattern::Letters> Pattern::take_class(std::string_view& text) {
    Letters letters;
    if (text.starts_with('^')) { return unsupported("a class of what must not be there"); }
    while (!text.empty() && text.front() != ']') {
        char first = text.front();
        text.remove_prefix(1);
        if (first == '\\') {
            if (text.empty()) { break; }
            if (text.front() == 'd') {
                text.remove_prefix(1);
                add_range(letters, '0', '9');
                continue;
            }
            first = escaped(text.front());
            if (first == '\0') { return unsupported("this letter behind a backslash"); }
            text.remove_prefix(1);
        }
        char last = first;
        if (text.size() >= 2 && text[0] == '-' && text[1] != ']') {
            last = text[1];
            text.remove_prefix(2);
            if (last == '\\' || byte_of(last) < byte_of(first)) { return unsupported("this range"); }
        }
        add_range(letters, first, last);
    }
    if (text.empty()) { return unsupported("a class that does not end"); }
    text.remove_prefix(1);
    return letters;
}

Result<Pattern::Letters> Pattern::take_letters(std::string_view& text) {
    Letters letters;
    const char letter = text.front();
    text.remove_prefix(1);
    if (letter == '[') { return take_class(text); }
    if (letter == '\\' && !text.empty()) {
        const char behind = text.front();
        text.remove_prefix(1);
        if (behind == 'd') {
            add_range(letters, '0', '9');
        } else if (escaped(behind) != '\0') {
            letters.set(byte_of(behind));
        } else {
            return unsupported("this letter behind a backslash");
        }
        return letters;
    }
    if (special.find(letter) != std::string_view::npos || byte_of(letter) >= 0x80) {
        return unsupported("a letter that means more than itself");
    }
    letters.set(byte_of(letter));
    return letters;
}

Result<Pattern::Count> Pattern::take_count(std::string_view& text) {
    Count count;
    if (text.empty()) { return count; }
    switch (text.front()) {
        case '?': count = {.min = 0, .max = 1}; break;
        case '*': count = {.min = 0, .max = 0, .endless = true}; break;
        case '+': count = {.min = 1, .max = 1, .endless = true}; break;
        case '{': break;
        default: return count;
    }
    const bool braces = text.front() == '{';
    text.remove_prefix(1);
    if (!braces) { return count; }
    if (!take_uint(text, count.min)) { return unsupported("a count without a number"); }
    count.max = count.min;
    if (text.starts_with(',')) {
        text.remove_prefix(1);
        count.endless = text.starts_with('}');
        if (!count.endless && !take_uint(text, count.max)) { return unsupported("a count without a number"); }
    }
    if (!text.starts_with('}') || count.max < count.min) { return unsupported("this count"); }
    text.remove_prefix(1);
    return count;
}

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() < 2 || !text.starts_with('^') || !text.ends_with('$')) {
        return unsupported("an expression that does not go from ^ to $");
    }
    text = text.substr(1, text.size() - 2);
    Pattern pattern;
    while (!text.empty()) {
        TRY(const Letters letters, take_letters(text));
        TRY(const Count count, take_count(text));
        if (count.max >= states_max || pattern.states_.size() + count.max + 1 > states_max) {
            return fail(Code::too_large, "pattern.compile", "more letters than an expression may have");
        }
        for (uint32_t i = 0; i < count.max; ++i) {
            pattern.states_.push_back({.letters = letters, .optional = i >= count.min});
        }
        if (count.endless) { pattern.states_.push_back({.letters = letters, .optional = true, .repeats = true}); }
    }
    return pattern;
}

uint64_t Pattern::with_what_may_be_left_out(uint64_t active) const {
    for (size_t state = 0; state < states_.size(); ++state) {
        if (states_[state].optional && (active >> state & 1) != 0) { active |= uint64_t{1} << (state + 1); }
    }
    return active;
}

// Bit n of `active`: the n-th letter may come next. The bit behind the last: the text may end here.
bool Pattern::matches(std::string_view text) const {
    uint64_t active = with_what_may_be_left_out(1);
    for (const char letter : text) {
        uint64_t next = 0;
        for (size_t state = 0; state < states_.size(); ++state) {
            if ((active >> state & 1) == 0 || !states_[state].letters.test(byte_of(letter))) { continue; }
            next |= uint64_t{1} << (states_[state].repeats ? state : state + 1);
        }
        active = with_what_may_be_left_out(next);
        if (active == 0) { return false; }
    }
    return (active >> states_.size() & 1) != 0;
}

}  // namespace flowstone::fintech
