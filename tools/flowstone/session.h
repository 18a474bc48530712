// One command's use of a log: opened as -L says, closed when the work is done.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/admin.h>
#include <flowstone/client.h>
#include <flowstone/log.h>

#include "tools/flowstone/command_line.h"

namespace flowstone::tool {

enum class Access : uint8_t {
    read,    // beside a writer or alone; nothing on disk is changed
    write,   // the log must be there
    create,  // the log is made if it is not there
    accept,  // as write, and losses that an earlier opening found are accepted
    adopt,   // as write, and what Kafka wrote becomes ours
};

// Errors: those of Log::open, where `locked` says what to do about the holder; invalid and unsupported for the endpoint.
Result<Log> open_log(const Invocation& invocation, Access access, uint32_t threads = 0);

// Opens the log, does the work, closes the log. Complains itself when the log cannot be opened or closed.
Exit with_log(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& work, uint32_t threads = 0);

// The same for openings that may read much: on a terminal how far it is is shown meanwhile.
Exit with_watched_log(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& work);

// That brokers have to answer one question.
constexpr std::chrono::milliseconds broker_patience{5'000};

// A client of the tool's. Errors: as Client::open.
Result<Client> open_client(const std::string& endpoint, const std::vector<std::string>& settings);

// The same for what works on all endpoints: `remote` where -L names brokers, or a log that another process holds.
Exit with_endpoint(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& local,
                   const std::function<Exit(Client&)>& remote);

// Where each begins and ends; for who reads only what is `committed`, an open transaction ends it.
std::vector<Result<PartitionOffsets>> visible_ends(Admin& admin, const std::vector<TopicPartition>& places,
                                                   bool committed);

// "beginning", "end", an offset, or a time as RFC 3339 has it. Errors: invalid.
Result<From> parse_from(std::string_view text);

// Where in a partition that is: an offset from the log start to the high watermark. Errors: out_of_range; the log's.
Result<Offset> resolve(const Topic& topic, int32_t partition, const From& from);

// "NAME=VALUE", each. Errors: invalid.
Result<ConfigMap> parse_pairs(const std::vector<std::string>& texts);

// The partition asked for, or all that the topic has. Errors: out_of_range.
Result<std::vector<int32_t>> partitions_of(std::string_view topic, int32_t count, const std::optional<int32_t>& asked);

}  // namespace flowstone::tool
