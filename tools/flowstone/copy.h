// What `copy` was asked for, and what it tells: in copy_home.cc from brokers into a directory, in copy_away.cc the other
// way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flowstone/client.h>
#include <flowstone/log.h>

#include "tools/flowstone/progress.h"

namespace flowstone::tool {

struct CopyArguments {
    std::string source;
    std::string topic;
    std::optional<int32_t> partition;
    std::string from;  // empty: where an earlier run of this command stopped, else the beginning
    std::string to = "end";
    std::vector<std::string> settings;  // -X
    bool json = false;
    bool quiet = false;
};

// One partition on its way. Offsets are the source's.
struct CopiedPart {
    int32_t partition = 0;
    Offset begin;  // of what this run copies; behind what an earlier run did
    Offset next;   // everything before it has been handed over
    Offset end;    // where it stops
    uint64_t records = 0;
    uint64_t bytes = 0;
    bool done() const { return next >= end; }
};

class CopyProgress {
public:
    CopyProgress(Clock& clock, bool quiet) : progress_(clock, quiet) {}
    void show(const std::vector<CopiedPart>& parts);
    void clear() { progress_.clear(); }

private:
    Progress progress_;
};

struct Copied {
    std::vector<CopiedPart> parts;
    bool complete = false;  // not interrupted
};

// `from` of the arguments; none when it was not given. Errors: invalid.
Result<std::optional<From>> parse_copy_from(const std::string& text);

// Whole batches, as they are. Errors: the log's and the client's; invalid: what is at home is not a copy of that topic.
Result<Copied> copy_home(Client& client, Log& log, const CopyArguments& arguments);
// Records, one by one. Errors likewise.
Result<Copied> copy_away(Log& log, Client& client, const CopyArguments& arguments);

}  // namespace flowstone::tool
