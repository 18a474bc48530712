// What holds for every message in every version. That the bytes are Kafka's is schema_oracle.py's to prove.
#include "tests/net/kafka/all_messages.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace flowstone::kafka {
namespace {

std::vector<std::byte> encoded(const MessageType& type, int16_t version, const void* message) {
    Gather out;
    encode_message(type, version, message, out);
    EXPECT_EQ(out.size(), message_size(type, version, message)) << type.name << version;
    return out.flat();
}

TEST(AllMessages, WithTheirDefaultsDecodeAsTheyWereEncoded) {
    for (const AnyMessage& any : all_messages) {
        const MessageType type = any.type();
        const Versions versions = find_api(type.api_key)->versions;
        for (int16_t version = versions.min; version <= versions.max; ++version) {
            const auto message = any.make();
            const auto bytes = encoded(type, version, message.get());
            const auto again = any.make();
            const auto decoded = decode_message(type, version, bytes, decode_bytes_max(bytes.size()), again.get());
            ASSERT_TRUE(decoded) << decoded.error().message();
            EXPECT_EQ(encoded(type, version, again.get()), bytes) << type.name << version;
            EXPECT_TRUE(check_message_encodable(type, version, again.get())) << type.name << version;
        }
    }
}

void expect_sound(const std::string& where, const FieldTable& table, Versions versions, int16_t flexible_since) {
    std::set<std::string> names;
    for (const auto* list : {&table.fields, &table.tagged}) {
        for (const Field& field : *list) {
            const std::string name = where + "." + field.name;
            EXPECT_TRUE(names.insert(field.name).second) << name;
            EXPECT_LE(field.rule.versions.min, field.rule.versions.max) << name;
            EXPECT_LE(field.rule.versions.min, versions.max) << name;
            EXPECT_TRUE(!field.is_tagged() || field.rule.versions.min >= flexible_since) << name;
            const bool can_be_null = field.type.optional != nullptr || field.type.kind == Kind::records;
            EXPECT_TRUE(can_be_null || field.rule.nullable.min > field.rule.nullable.max) << name;
            if (field.structure != nullptr) { expect_sound(name, *field.structure, versions, flexible_since); }
        }
    }
}

TEST(AllMessages, HaveSoundTables) {
    std::set<std::string> names;
    for (const AnyMessage& any : all_messages) {
        const MessageType type = any.type();
        EXPECT_TRUE(names.insert(type.name).second) << type.name;
        EXPECT_TRUE(std::string_view(type.name).starts_with(name(type.api_key))) << type.name;
        const Api& api = *find_api(type.api_key);
        expect_sound(type.name, type.table, api.versions, api.flexible_since);
    }
    EXPECT_EQ(names.size(), 2 * 72u);
}

}  // namespace
}  // namespace flowstone::kafka
