#include "tools/flowstone/session.h"

#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "log/environment.h"
#include "storage/clock.h"
#include "storage/random.h"
#include "storage/try.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/endpoint.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/segment_progress.h"
#include "tools/flowstone/standard_streams.h"
#include "tools/flowstone/watched_disk.h"

namespace flowstone::tool {
namespace {

// What to do about a log that another process holds.
std::string way_out(const Invocation& invocation, const std::string& directory) {
    if (!is_served(directory)) { return "it serves nobody: end it, or wait for its end"; }
    if (!invocation.through_holder) { return "this works on a directory itself: end that process first"; }
    return fmt::format("shm:{} goes through it", directory);
}

Options options_for(const Invocation& invocation, Access access, uint32_t threads) {
    Options options;
    options.read_only = access == Access::read;
    options.create = access == Access::create;
    options.accept_loss = access == Access::accept;
    options.adopt = access == Access::adopt;
    options.threads = threads;
    if (invocation.verbose) {
        options.on_log = [](std::string_view line) { note(line); };
    }
    return options;
}

// The error of a log that another process holds says what to do about that.
Result<Log> explained(Result<Log> log, const Invocation& invocation, const std::string& directory) {
    if (log || log.error().code != Code::locked) { return log; }
    return std::unexpected(
        log.error().with_detail(fmt::format("{}; {}", log.error().detail, way_out(invocation, directory))));
}

Exit work_and_close(Result<Log>& log, const std::function<Exit(Log&)>& work) {
    // Whatever is wrong with a directory, the command line was right.
    if (!log) { return complain(log.error().message(), Exit::failed); }
    const Exit exit = work(*log);
    if (auto closed = log->close(); !closed && exit == Exit::done) { return complain(closed.error()); }
    return exit;
}

// What an opening reads of a directory: of one that Kafka wrote the segments, of ours the journal.
uint64_t bytes_to_open(Disk& disk, const std::string& directory, Access access) {
    const auto targets = resolve_segment_path(disk, directory);
    if (!targets) { return 0; }
    uint64_t bytes = 0;
    for (const SegmentTarget& target : *targets) {
        if (target.journal == (access != Access::adopt)) { bytes += bytes_of(disk, target).value_or(0); }
    }
    return bytes;
}

}  // namespace

Result<Log> open_log(const Invocation& invocation, Access access, uint32_t threads) {
    TRY(const std::string directory, log_directory(invocation.endpoint));
    return explained(Log::open(directory, options_for(invocation, access, threads)), invocation, directory);
}

Exit with_log(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& work, uint32_t threads) {
    if (auto directory = log_directory(invocation.endpoint); !directory) { return complain(directory.error()); }
    auto log = open_log(invocation, access, threads);
    return work_and_close(log, work);
}

Exit with_watched_log(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& work) {
    const auto directory = log_directory(invocation.endpoint);
    if (!directory) { return complain(directory.error()); }
    auto below = open_best_disk();
    const uint64_t bytes = bytes_to_open(*below, *directory, access);
    WatchedDisk disk(std::move(below), bytes);
    Options options = options_for(invocation, access, 0);
    if (options.on_log) {
        options.on_log = [&disk](std::string_view line) {
            disk.clear();
            note(line);
        };
    }
    const Environment environment{.disk = &disk, .clock = &system_clock(), .random = &system_random()};
    auto log = explained(flowstone::open_log(environment, *directory, std::move(options)), invocation, *directory);
    disk.clear();
    return work_and_close(log, work);
}

Result<Client> open_client(const std::string& endpoint, const std::vector<std::string>& settings) {
    return Client::open(endpoint, with_settings(settings, ClientOptions{.client_id = "flowstone-tool"}));
}

Exit with_endpoint(const Invocation& invocation, Access access, const std::function<Exit(Log&)>& local,
                   const std::function<Exit(Client&)>& remote) {
    const auto endpoint = choose_endpoint(invocation.endpoint);
    if (!endpoint) { return complain(endpoint.error()); }
    if (endpoint->kind == Endpoint::Kind::dir) {
        Invocation here = invocation;
        here.through_holder = true;
        return with_log(here, access, local);
    }
    auto client = open_client(for_client(*endpoint), invocation.settings);
    if (!client) { return complain(client.error()); }
    const Exit exit = remote(*client);
    if (auto closed = client->close(); !closed && exit == Exit::done) { return complain(closed.error()); }
    return exit;
}

std::vector<Result<PartitionOffsets>> visible_ends(Admin& admin, const std::vector<TopicPartition>& places,
                                                   bool committed) {
    auto ends = admin.ends(places, broker_patience);
    if (!committed) { return ends; }
    const auto stable = admin.offsets_at(places, From::end(), broker_patience, true);
    for (size_t i = 0; i < ends.size(); ++i) {
        if (!ends[i]) { continue; }
        if (stable[i]) {
            ends[i]->high_watermark = *stable[i];
        } else {
            ends[i] = std::unexpected(stable[i].error());
        }
    }
    return ends;
}

Result<From> parse_from(std::string_view text) {
    if (text == "beginning") { return From::beginning(); }
    if (text == "end") { return From::end(); }
    if (const auto offset = parse_integer(text); offset && *offset >= 0) { return From(Offset{*offset}); }
    if (const auto time_ms = parse_time(text)) { return From::time_ms(*time_ms); }
    return fail(Code::invalid, "position",
                fmt::format("'{}' is neither beginning, end, an offset, nor a time like 2014-04-01T09:30:00Z", text));
}

Result<Offset> resolve(const Topic& topic, int32_t partition, const From& from) {
    TRY(const PartitionInfo info, topic.partition(partition));
    if (std::holds_alternative<From::Beginning>(from.value())) { return info.log_start; }
    if (std::holds_alternative<From::End>(from.value())) { return info.high_watermark; }
    if (const auto* time = std::get_if<From::Time>(&from.value())) {
        return topic.offset_for_time(partition, time->ms);
    }
    const Offset offset = std::get<Offset>(from.value());
    if (offset < info.log_start || offset > info.high_watermark) {
        return fail(Code::out_of_range, "position",
                    fmt::format("offset {} of {}-{}: there are {} to {}", offset.value, topic.name(), partition,
                                info.log_start.value, info.high_watermark.value));
    }
    return offset;
}

Result<ConfigMap> parse_pairs(const std::vector<std::string>& texts) {
    ConfigMap pairs;
    for (const std::string& text : texts) {
        const size_t at = text.find('=');
        if (at == std::string::npos || at == 0) {
            return fail(Code::invalid, "arguments", fmt::format("'{}' is not NAME=VALUE", text));
        }
        pairs.emplace_back(text.substr(0, at), text.substr(at + 1));
    }
    return pairs;
}

Result<std::vector<int32_t>> partitions_of(std::string_view topic, int32_t count, const std::optional<int32_t>& asked) {
    if (asked && *asked >= count) {
        return fail(Code::out_of_range, "partition", fmt::format("{} of {}: it has 0 to {}", *asked, topic, count - 1));
    }
    if (asked) { return std::vector{*asked}; }
    std::vector<int32_t> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

}  // namespace flowstone::tool
