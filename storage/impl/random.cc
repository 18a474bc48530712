#include "storage/random.h"

#include <sys/random.h>

#include <algorithm>

#include "storage/check.h"

namespace flowstone {
namespace {

class SystemRandom final : public Random {
public:
    void fill(MutableBytes out) override {
        while (!out.empty()) {
            const ssize_t got = getrandom(out.data(), std::min<size_t>(out.size(), 256), 0);
            CHECK(got > 0);  // without flags and below 257 bytes the call cannot fail or be interrupted
            out = out.subspan(static_cast<size_t>(got));
        }
    }
};

}  // namespace

Uuid Random::uuid() {
    Uuid uuid;
    fill(uuid.bytes);
    uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

uint64_t Random::next() {
    uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

Random& system_random() {
    static SystemRandom random;
    return random;
}

}  // namespace flowstone
