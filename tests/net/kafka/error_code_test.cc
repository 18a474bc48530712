#include "net/kafka/error_code.h"

#include <set>

#include <gtest/gtest.h>

namespace flowstone::kafka {
namespace {

TEST(ErrorCode, HasKafkasNumberAndName) {
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::unknown_server_error), -1);
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::offset_out_of_range), 1);
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::unsupported_version), 35);
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::kafka_storage_error), 56);
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::unknown_topic_id), 100);
    EXPECT_EQ(static_cast<int16_t>(ErrorCode::share_session_limit_reached), 133);

    EXPECT_EQ(name(ErrorCode::unknown_server_error), "UNKNOWN_SERVER_ERROR");
    EXPECT_EQ(name(ErrorCode::none), "NONE");
    EXPECT_EQ(name(ErrorCode::invalid_topic_exception), "INVALID_TOPIC_EXCEPTION");
    EXPECT_EQ(name(ErrorCode::share_session_limit_reached), "SHARE_SESSION_LIMIT_REACHED");
}

TEST(ErrorCode, OfALaterReleaseHasNoName) {
    for (const int16_t number : {int16_t{-32768}, int16_t{-2}, int16_t{134}, int16_t{32767}}) {
        EXPECT_EQ(name(static_cast<ErrorCode>(number)), "UNKNOWN");
        EXPECT_FALSE(is_retriable(static_cast<ErrorCode>(number)));
    }
}

TEST(ErrorCode, IsFoundByItsName) {
    for (int16_t number = -1; number <= 133; ++number) {
        const auto code = static_cast<ErrorCode>(number);
        EXPECT_EQ(error_code_named(name(code)), code) << number;
    }
    EXPECT_EQ(error_code_named("offset_out_of_range"), std::nullopt);
    EXPECT_EQ(error_code_named("UNKNOWN"), std::nullopt);
    EXPECT_EQ(error_code_named(""), std::nullopt);
}

TEST(ErrorCode, IsRetriableWhereKafkasClientsTryAgain) {
    const std::set<int16_t> retriable = {2,  3,  5,  6,  7,  9,  13, 14, 15, 16, 19,  20,  41,  51,  56,  70,
                                         71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106, 122, 123, 133};
    for (int16_t number = -1; number <= 133; ++number) {
        EXPECT_EQ(is_retriable(static_cast<ErrorCode>(number)), retriable.contains(number)) << number;
    }
}

}  // namespace
}  // namespace flowstone::kafka
