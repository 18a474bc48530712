// Real SIGKILL of the whole platform at random moments: nothing is lost, nothing is made twice, the books balance, by the word
// of the auditor, who reads the topics alone.
//
// FLOWSTONE_KILL_CYCLES sets how often (20), FLOWSTONE_KILL_SEED the moments. Only processes of its own are ended.
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/client/served_log.h"
#include "tests/faults/kill_cycles.h"
#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::fintech {
namespace {

constexpr int rows_of_a_cycle = 400;
constexpr int life_us_max = 30'000;  // after it has said that it runs

std::string rows(int count) {
    std::string csv = "date,card,shop,amount,currency,billed,billed in\n";
    for (int row = 0; row < count; ++row) {
        const bool bad = row % 10 == 3;
        const bool foreign = row % 10 == 5;
        csv +=
            fmt::format("2014-04-{:02},{},shop {},{}{}.{},{},{},{}\n", row % 28 + 1, row % 37, row % 11,
                        row % 7 == 0 ? "-" : "", row + 1, bad ? "505" : "50", foreign ? "EUR" : "",
                        foreign ? fmt::format("{}{}.40", row % 7 == 0 ? "-" : "", row + 1) : "", foreign ? "GBP" : "");
    }
    return csv;
}

class FintechKillTest : public testing::Test {
protected:
    std::vector<std::string> words(std::vector<std::string> call) const {
        call.insert(call.begin(), {"-L", "dir:" + directory_.log()});
        return call;
    }
    // A cycle has a table of its own.
    void ingest(int cycle) {
        const std::string file = directory_.path() + "/rows.csv";
        std::ofstream(file) << rows(rows_of_a_cycle);
        std::vector<std::string> call{"ingest", file, "--source", fmt::format("bank{}", cycle)};
        for (const char* column : {"accountId=card", "merchantId=shop", "amount=amount", "currency=currency",
                                   "timestamp=date", "billedAmount=billed", "billedCurrency=billed in"}) {
            call.insert(call.end(), {"--column", column});
        }
        call.insert(call.end(), {"--default", "currency=GBP"});
        tool::Process process(fintech_path(), words(call));
        ASSERT_EQ(process.wait(), 0) << process.complaint();
    }
    TestDirectory directory_;
};

TEST_F(FintechKillTest, NothingIsLostOrMadeTwice) {
    const int cycles = kill_cycles(20);
    std::mt19937_64 random(kill_seed());
    for (int cycle = 1; cycle <= cycles; ++cycle) {
        ASSERT_NO_FATAL_FAILURE(ingest(cycle));
        if (cycle > 1) { ASSERT_NO_FATAL_FAILURE(ingest(cycle - 1)); }  // comes a second time, and is filtered
        tool::Process process(fintech_path(), words({"run", "--fee", "interchange=0.002", "--fee", "scheme=0.0005"}));
        ASSERT_EQ(process.read_line(), "running: validate, journal");
        std::this_thread::sleep_for(std::chrono::microseconds(random() % life_us_max));
        process.signal(SIGKILL);
        ASSERT_EQ(process.wait(), -SIGKILL) << process.complaint();
    }
    tool::Process rest(fintech_path(),
                       words({"run", "--drain", "--fee", "interchange=0.002", "--fee", "scheme=0.0005"}));
    ASSERT_EQ(rest.wait(), 0) << rest.complaint();
    tool::Process audit(fintech_path(), words({"audit"}));
    EXPECT_EQ(audit.wait(), 0) << audit.out() << audit.complaint();
    const int good = rows_of_a_cycle * cycles / 10 * 9;
    const int failed = rows_of_a_cycle * (2 * cycles - 1) / 10;  // each time that they came
    const int filtered = rows_of_a_cycle * (cycles - 1) / 10 * 9;
    EXPECT_NE(audit.out().find(fmt::format("became                       {} validated, {} failed, 0 dead letters, {} "
                                           "filtered\n",
                                           good, failed, filtered)),
              std::string::npos)
        << audit.out();
    EXPECT_NE(audit.out().find(fmt::format("booked                       {} transfers", good)), std::string::npos)
        << audit.out();
}

}  // namespace
}  // namespace flowstone::fintech
