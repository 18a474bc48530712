#include "log/log_directories.h"

#include <algorithm>

#include <fmt/format.h>

#include "log/impl/directories.h"
#include "log/impl/log_access.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// A disk that fails, or that was mounted read-only because it did. Everything else is somebody's to decide.
bool is_failed_disk(const Error& error) { return error.code == Code::io || error.code == Code::read_only; }

}  // namespace

LogDirectories::LogDirectories(LogDirectories&&) noexcept = default;
LogDirectories::~LogDirectories() = default;

Result<LogDirectories> LogDirectories::open(std::span<const std::string> paths, const Options& options) {
    return open_each(paths, options, [&](const std::optional<Uuid>& cluster, const std::string& path) {
        return open_log_of(cluster, path, options);
    });
}

Result<LogDirectories> LogDirectories::open(const Environment& environment, std::span<const std::string> paths,
                                            const Options& options) {
    return open_each(paths, options, [&](const std::optional<Uuid>& cluster, const std::string& path) {
        Environment world = environment;
        world.cluster = cluster;
        return open_log(world, path, options);
    });
}

Result<LogDirectories> LogDirectories::open_each(std::span<const std::string> paths, const Options& options,
                                                 const Open& open) {
    LogDirectories opened;
    std::vector<LogDirectory> missing;
    std::optional<Uuid> cluster;
    for (const std::string& path : paths) {
        auto log = open(cluster, path);
        if (!log && cluster && is_failed_disk(log.error())) {
            if (options.on_log) { options.on_log(fmt::format("{} is gone without: {}", path, log.error().message())); }
            missing.push_back({path, log.error()});
            continue;
        }
        if (!log) { return std::unexpected(log.error()); }
        if (!cluster) { cluster = LogAccess::store(*log).cluster(); }
        opened.logs_.push_back(std::move(*log));
    }
    if (auto joined = opened.join(std::move(missing)); !joined) {
        (void)opened.close();
        return std::unexpected(joined.error());
    }
    return opened;
}

Result<void> LogDirectories::join(std::vector<LogDirectory> missing) {
    std::vector<Store*> stores;
    for (Log& log : logs_) { stores.push_back(&LogAccess::store(log)); }
    const bool alone = stores.size() == 1 && missing.empty() && stores.front()->role() == Store::Role::alone;
    if (alone) { return {}; }
    TRY(together_, Directories::join(std::move(stores), std::move(missing)));
    return {};
}

Result<void> LogDirectories::close(std::chrono::milliseconds timeout) {
    if (logs_.empty()) { return {}; }
    Clock& clock = LogAccess::store(logs_.front()).clock();
    const auto now = [&] { return std::chrono::nanoseconds(clock.monotonic_ns()); };
    const auto end = now() + std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));
    Result<void> done;
    for (size_t i = 0; i < logs_.size(); ++i) {
        const auto share = std::max(end - now(), std::chrono::nanoseconds(0)) / (logs_.size() - i);
        auto closed = logs_[i].close(std::chrono::duration_cast<std::chrono::milliseconds>(share));
        if (done) { done = std::move(closed); }
    }
    return done;
}

}  // namespace flowstone
