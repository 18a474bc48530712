#include "storage/sha256.h"

#include <openssl/evp.h>

#include "storage/check.h"

namespace flowstone {

struct Sha256Stream::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~State() { EVP_MD_CTX_free(context); }
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
    CHECK(state_->context != nullptr);
    CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

void Sha256Stream::update(Bytes bytes) { CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1); }

Sha256 Sha256Stream::finish() {
    Sha256 digest;
    unsigned int size = 0;
    CHECK(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
    CHECK(size == digest.size());
    return digest;
}

Sha256 sha256(Bytes bytes) {
    Sha256Stream stream;
    stream.update(bytes);
    return stream.finish();
}

std::string to_hex(Bytes bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        text += digits[static_cast<uint8_t>(byte) >> 4];
        text += digits[static_cast<uint8_t>(byte) & 15];
    }
    return text;
}

bool parse_hex(std::string_view text, MutableBytes out) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (text.size() != out.size() * 2) { return false; }
    for (size_t i = 0; i < out.size(); ++i) {
        const size_t high = digits.find(text[2 * i]);
        const size_t low = digits.find(text[2 * i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) { return false; }
        out[i] = static_cast<std::byte>(high << 4 | low);
    }
    return true;
}

}  // namespace flowstone
