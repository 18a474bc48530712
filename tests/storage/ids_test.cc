#include <gtest/gtest.h>

#include <flowstone/ids.h>

#include "storage/random.h"

namespace flowstone {
namespace {

TEST(Uuid, PrintsAndParsesAsKafkaDoes) {
    Uuid uuid;
    for (size_t i = 0; i < uuid.bytes.size(); ++i) { uuid.bytes[i] = static_cast<std::byte>(i * 17); }
    EXPECT_EQ(uuid.to_string(), "ABEiM0RVZneImaq7zN3u_w");  // java.util.Base64 url encoder without padding
    auto parsed = Uuid::parse("ABEiM0RVZneImaq7zN3u_w");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, uuid);
}

TEST(Uuid, RefusesWhatIsNoUuid) {
    EXPECT_FALSE(Uuid::parse(""));
    EXPECT_FALSE(Uuid::parse("ABEiM0RVZneImaq7zN3u_"));
    EXPECT_FALSE(Uuid::parse("ABEiM0RVZneImaq7zN3u+w"));
    EXPECT_FALSE(Uuid::parse("ABEiM0RVZneImaq7zN3u_x"));  // spare bits set
}

}  // namespace
}  // namespace flowstone
