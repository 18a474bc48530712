#include "tools/flowstone/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowstone::tool {
namespace {

using testing::HasSubstr;

TEST(CommandLine, VersionAndHelpAreAnswersNotComplaints) {
    EXPECT_EQ(parse_command_line({"--version"}).text, "flowstone 0.1.0\n");
    EXPECT_EQ(parse_command_line({"--version"}).exit, Exit::done);
    const CommandLine help = parse_command_line({"completion", "bash", "--help"});
    EXPECT_EQ(help.exit, Exit::done);
    EXPECT_FALSE(help.run);
    EXPECT_EQ(help.text,
              "For bash: put it in ~/.bashrc, or source it\n"
              "Usage: flowstone completion bash [OPTIONS]\n"
              "\n"
              "Options:\n"
              "  -h,--help                   Print this help message and exit\n"
              "\n"
              "Examples:\n"
              "  source <(flowstone completion bash)\n");
}

TEST(CommandLine, WrongUsageIsOneLineThatNamesTheHelp) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {}, {"fly"}, {"--fly"}, {"completion"}, {"completion", "csh"}, {"completion", "bash", "extra"}, {"-L"}}) {
        const CommandLine wrong = parse_command_line(arguments);
        EXPECT_EQ(wrong.exit, Exit::usage);
        EXPECT_FALSE(wrong.run);
        EXPECT_EQ(wrong.text.find('\n'), std::string::npos) << wrong.text;
        EXPECT_THAT(wrong.text, HasSubstr("--help"));
    }
    EXPECT_EQ(parse_command_line({"fly"}).text, "there is no command 'fly'; see flowstone --help");
    EXPECT_EQ(parse_command_line({"completion", "csh"}).text,
              "there is no command 'csh'; see flowstone completion --help");
}

TEST(CommandLine, TheLogMayBeNamedBeforeOrBehindTheCommand) {
    EXPECT_TRUE(parse_command_line({"-L", "dir:a", "completion", "bash"}).run);
    EXPECT_TRUE(parse_command_line({"completion", "bash", "-L", "dir:a"}).run);
}

}  // namespace
}  // namespace flowstone::tool
