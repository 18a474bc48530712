#include "storage/transaction_index.h"

#include "tests/storage/reference.h"
#include "tests/storage/scratch.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

const std::vector<AbortedTransaction> two = {{4000, Offset{10}, Offset{20}, Offset{15}},
                                             {5, Offset{15}, Offset{21}, Offset{22}}};

// By hand from Kafka's AbortedTxn: big endian, without a header.
reference::Wire two_by_hand(int64_t version = 0, int64_t second_last = 21) {
    reference::Wire file;
    file.big(0, 2).big(4000, 8).big(10, 8).big(20, 8).big(15, 8);
    file.big(version, 2).big(5, 8).big(15, 8).big(second_last, 8).big(22, 8);
    return file;
}

TEST(TransactionIndex, IsKafkasFormatByteForByte) {
    const auto file = two_by_hand();
    const Bytes bytes = file.bytes();
    EXPECT_EQ(encode_transaction_index(two), std::vector(bytes.begin(), bytes.end()));
    EXPECT_EQ(value_of(decode_transaction_index(bytes)), two);
    EXPECT_TRUE(value_of(decode_transaction_index({})).empty());
}

TEST(TransactionIndex, HalfEntriesOtherVersionsAndOffsetsThatContradictEachOtherAreRefused) {
    const auto good = two_by_hand();
    for (size_t size = 1; size < good.bytes().size(); ++size) {
        if (size == transaction_index_entry_bytes) { continue; }
        EXPECT_EQ(code_of(decode_transaction_index(Bytes(good.bytes()).first(size))), Code::corrupt) << size;
    }
    EXPECT_EQ(code_of(decode_transaction_index(two_by_hand(1).bytes())), Code::unsupported);
    EXPECT_EQ(code_of(decode_transaction_index(two_by_hand(0, 20).bytes())), Code::corrupt) << "does not grow";
    EXPECT_EQ(code_of(decode_transaction_index(two_by_hand(0, 14).bytes())), Code::corrupt) << "ends before it begins";
}

TEST(TransactionIndex, MergedIsByTheEndAndHasEachOnce) {
    EXPECT_EQ(merged({two[1]}, two), two);
    EXPECT_EQ(merged({}, two), two);
}

using TransactionIndexFile = ScratchTest;

TEST_F(TransactionIndexFile, WhatWasWrittenIsReadAndDamageIsNamedWithItsPath) {
    ASSERT_TRUE(write_transaction_index(*disk_, root_, Offset{7}, two));
    EXPECT_EQ(value_of(read_transaction_index(*disk_, root_, Offset{7})), two);
    EXPECT_EQ(code_of(read_transaction_index(*disk_, root_, Offset{8})), Code::not_found);
    write("00000000000000000007.txnindex", as_bytes("x"));
    const auto bad = read_transaction_index(*disk_, root_, Offset{7});
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().message().find("00000000000000000007.txnindex"), std::string::npos);
}

}  // namespace
}  // namespace flowstone
