#include "storage/sha256.h"

#include <gtest/gtest.h>

namespace flowstone {
namespace {

// FIPS 180-4, examples of the standard.
TEST(Sha256, KnownVectors) {
    EXPECT_EQ(to_hex(sha256(as_bytes(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesMakeTheSameSum) {
    Sha256Stream stream;
    stream.update(as_bytes("a"));
    stream.update({});
    stream.update(as_bytes("bc"));
    EXPECT_EQ(stream.finish(), sha256(as_bytes("abc")));
}

TEST(Hex, OnlyWholeLowerCaseBytesParse) {
    std::byte out[2];
    EXPECT_TRUE(parse_hex("00ff", out));
    EXPECT_EQ(to_hex(out), "00ff");
    EXPECT_FALSE(parse_hex("00f", out));
    EXPECT_FALSE(parse_hex("00ff00", out));
    EXPECT_FALSE(parse_hex("00fg", out));
    EXPECT_FALSE(parse_hex("00FF", out));
}

}  // namespace
}  // namespace flowstone
