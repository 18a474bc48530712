// The directories of one broker, opened together: Kafka's log.dirs.
//
//   auto directories = LogDirectories::open({"/disk1/log", "/disk2/log"}, options);
//   ServedLog served(*directories);
//   ...
//   directories->close();
//
// Each is a log of its own: its journal, its checkpoints, its lock, its failures, and it can be opened alone. The first is
// the home of what there is once: topics, their configs, producer ids, committed offsets. A partition lies whole in one
// of them, where its topic's records in the home's metadata log say, as Kafka's controller notes it (docs/BROKER.md).
//
// Not installed: programs call Log::open.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/environment.h"

namespace flowstone {

class Directories;
struct LogDirectory;

class LogDirectories {
public:
    // One that does not exist is made, of the first one's cluster. One but the first whose disk fails is gone without,
    // which a line of `on_log` says.
    // Errors: those of Log::open; invalid, too: a directory of another cluster, in another role than before, with topics
    // that the first never had, or with records of a partition that another one has too. Such are refused before
    // anything is changed in them, but for what opening them changes.
    static Result<LogDirectories> open(std::span<const std::string> paths, const Options& options);
    static Result<LogDirectories> open(const Environment& environment, std::span<const std::string> paths,
                                       const Options& options);
    LogDirectories(LogDirectories&&) noexcept;
    ~LogDirectories();

    std::span<Log> logs() { return logs_; }  // that are open, the home first
    // All of them within one time, each in a fair part of what is left of it; also when one fails. The first error.
    Result<void> close(std::chrono::milliseconds timeout = std::chrono::seconds(30));

private:
    friend class ServedLog;
    using Open = std::function<Result<Log>(const std::optional<Uuid>& cluster, const std::string& path)>;
    LogDirectories() = default;
    static Result<LogDirectories> open_each(std::span<const std::string> paths, const Options& options,
                                            const Open& open);
    Result<void> join(std::vector<LogDirectory> missing);

    std::vector<Log> logs_;
    std::unique_ptr<Directories> together_;  // null: there is one, and there never were more
};

}  // namespace flowstone
