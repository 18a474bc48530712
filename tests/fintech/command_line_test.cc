// flowstone-fintech as people run it.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/client/served_log.h"
#include "tests/paths.h"
#include "tests/tools/process.h"

namespace flowstone::fintech {
namespace {

class FintechCommand : public testing::Test {
protected:
    struct Answer {
        int exit = -1;
        std::string out;
        std::string complaint;
    };
    Answer call(std::vector<std::string> words, const std::string& input = {}) {
        words.insert(words.begin(), {"-L", "dir:" + directory_.log()});
        tool::Process process(fintech_path(), words);
        if (!input.empty()) { process.write(input); }
        const int exit = process.wait();
        return {exit, process.out(), process.complaint()};
    }
    const std::vector<std::string> table_{"ingest",    "-",
                                          "--source",  "bank",
                                          "--column",  "accountId=card",
                                          "--column",  "merchantId=shop",
                                          "--column",  "amount=amount",
                                          "--column",  "currency=currency",
                                          "--column",  "timestamp=date",
                                          "--default", "currency=GBP"};
    const std::string rows_ =
        "date,card,shop,amount,currency\n"
        "2014-04-01,7557,bp,98.33,\n"
        "2014-04-01,7557,asda,-10.54,GBP\n"
        "2014-04-02,5353,hotel,1000,JPY\n"
        "2014-04-02,5353,hotel,1000.50,JPY\n";
    TestDirectory directory_;
};

TEST_F(FintechCommand, ATableIsTakenInBookedAndAudited) {
    const Answer taken = call(table_, rows_);
    EXPECT_EQ(taken.exit, 0) << taken.complaint;
    EXPECT_EQ(taken.complaint, "4 events in transactions.raw\n");
    EXPECT_EQ(call(table_, rows_).exit, 0);  // the same rows are the same events

    const Answer run = call({"run", "--drain", "--fee", "interchange=0.002"});
    EXPECT_EQ(run.exit, 0) << run.complaint;
    EXPECT_NE(run.complaint.find("validate: 8 records"), std::string::npos) << run.complaint;

    const Answer audit = call({"audit"});
    EXPECT_EQ(audit.exit, 0) << audit.out << audit.complaint;
    for (const char* line : {"taken in                     8 (and 0 that no stage has taken yet)\n",
                             "became                       3 validated, 2 failed, 0 dead letters, 3 filtered\n",
                             "ledger sum GBP               0\n", "ledger sum JPY               0\n",
                             "balance customer GBP         -8779\n", "balance customer JPY         -1000\n",
                             "faults                       0\n"}) {
        EXPECT_NE(audit.out.find(line), std::string::npos) << line << audit.out;
    }
}

TEST_F(FintechCommand, LinesAreTakenInAsTheyAre) {
    const Answer taken = call({"ingest", "-", "--ndjson"}, "nonsense\n{\"data\":{\"accountId\":\"acct_7\"}}\n");
    EXPECT_EQ(taken.exit, 0) << taken.complaint;
    EXPECT_EQ(call({"run", "--drain"}).exit, 0);
    const Answer audit = call({"audit"});
    EXPECT_EQ(audit.exit, 0) << audit.out;
    EXPECT_NE(audit.out.find("0 validated, 2 failed"), std::string::npos) << audit.out;
}

TEST_F(FintechCommand, EndsWithinItsTimeWhenItIsAsked) {
    ASSERT_EQ(call(table_, rows_).exit, 0);
    tool::Process process(fintech_path(), {"-L", "dir:" + directory_.log(), "run"});
    EXPECT_EQ(process.read_line(), "running: validate, journal");
    EXPECT_EQ(call({"audit"}).exit, 3);  // it holds the log
    process.signal(SIGTERM);
    EXPECT_EQ(process.wait(), 0) << process.complaint();
    EXPECT_EQ(call({"audit"}).exit, 0);
}

TEST_F(FintechCommand, WrongUsageIsSaidInALine) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"imagined"},
                                                  {"run", "--stages", "imagined"},
                                                  {"run", "--fee", "x"},
                                                  {"run", "--fee", "x=2"},
                                                  {"run", "--fee", "=0.1"},
                                                  {"run", "--reporting", "XXX"},
                                                  {"ingest"},
                                                  {"ingest", "-"},
                                                  {"ingest", "-", "--column", "accountId"}}) {
        const Answer answer = call(words);
        EXPECT_EQ(answer.exit, 2) << answer.complaint;
        EXPECT_EQ(answer.complaint.find("flowstone-fintech: "), 0u) << answer.complaint;
        EXPECT_EQ(answer.complaint.find('\n'), answer.complaint.size() - 1) << answer.complaint;
    }
    const Answer nobody = call({"ingest", "-", "--source", "bank", "--column", "accountId=nobody"}, rows_);
    EXPECT_EQ(nobody.exit, 2);
    EXPECT_NE(nobody.complaint.find("there is no column nobody"), std::string::npos) << nobody.complaint;
    EXPECT_EQ(call({"ingest", "/no/such/file", "--source", "bank"}).exit, 3);
    EXPECT_EQ(call({"--version"}).exit, 0);
    EXPECT_NE(call({"--help"}).out.find("ingest"), std::string::npos);
}

}  // namespace
}  // namespace flowstone::fintech
