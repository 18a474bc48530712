#include <flowstone/ids.h>

#include <cstring>

namespace flowstone {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string Uuid::to_string() const noexcept {
    std::string text;
    text.reserve(22);
    uint32_t bits = 0;
    int held = 0;
    for (const std::byte byte : bytes) {
        bits = (bits << 8) | static_cast<uint32_t>(byte);
        held += 8;
        while (held >= 6) {
            held -= 6;
            text += alphabet[(bits >> held) & 63];
        }
    }
    text += alphabet[(bits << (6 - held)) & 63];  // 128 bits leave two over
    return text;
}

Result<Uuid> Uuid::parse(std::string_view text) noexcept {
    if (text.size() != 22) { return fail(Code::invalid, "uuid.parse", text); }
    Uuid uuid;
    uint32_t bits = 0;
    int held = 0;
    size_t filled = 0;
    for (const char letter : text) {
        const size_t value = alphabet.find(letter);
        if (value == std::string_view::npos) { return fail(Code::invalid, "uuid.parse", text); }
        bits = (bits << 6) | static_cast<uint32_t>(value);
        held += 6;
        if (held >= 8 && filled < uuid.bytes.size()) {
            held -= 8;
            uuid.bytes[filled++] = static_cast<std::byte>(bits >> held);
        }
    }
    if (uuid.to_string() != text) { return fail(Code::invalid, "uuid.parse", text); }  // the four spare bits are zero
    return uuid;
}

}  // namespace flowstone
