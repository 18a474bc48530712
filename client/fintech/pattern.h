// The regular expressions that schemas of events use: matched in one pass, in time that grows with the text alone.
//
// From ^ to $, and between them letters, classes ([a-z0-9_-], \d) and escaped letters, each with one of + * ? {n} {n,m}.
// ASCII only. Whatever else a regular expression may have is refused when it is compiled.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

namespace flowstone::fintech {

class Pattern {
public:
    static constexpr size_t states_max = 63;

    // Errors: unsupported; too_large (more than states_max letters, repetitions counted).
    static Result<Pattern> compile(std::string_view text);
    bool matches(std::string_view text) const;

private:
    using Letters = std::bitset<256>;
    // One letter of the text: it may be left out, or come again and again.
    struct State {
        Letters letters;
        bool optional = false;
        bool repeats = false;
    };
    struct Count {
        uint32_t min = 1;
        uint32_t max = 1;
        bool endless = false;
    };
    static Result<Letters> take_letters(std::string_view& text);
    static Result<Letters> take_class(std::string_view& text);
    static Result<Count> take_count(std::string_view& text);
    uint64_t with_what_may_be_left_out(uint64_t active) const;

    std::vector<State> states_;
};

}  // namespace flowstone::fintech
