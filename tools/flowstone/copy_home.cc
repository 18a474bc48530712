// From brokers into a directory: each batch is appended as it was fetched, at its own offset, by Topic::append_as_is.
// So the log at home is its own record of progress: it goes on where it ends.

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <flowstone/admin.h>

#include "log/topic_config.h"
#include "storage/batch.h"
#include "storage/clock.h"
#include "storage/try.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/copy.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr char operation[] = "copy";
constexpr char source_config[] = "flowstone.copied.from";
constexpr std::chrono::milliseconds look_around{200};  // also how long Ctrl-C may take
constexpr std::chrono::seconds silence_max{30};        // while there is more to come

class CopyHome {
public:
    CopyHome(Client& client, Log& log, const CopyArguments& arguments)
        : client_(client), log_(log), arguments_(arguments), progress_(system_clock(), arguments.quiet) {}

    Result<Copied> run() {
        TRY(const RemoteTopic source, find_source());
        TRY(Topic home, find_home(source));
        TRY(const auto partitions, partitions_of(source.name, count_of(source), arguments_.partition));
        for (const int32_t partition : partitions) { TRY_VOID(plan(home, partition)); }
        auto copied = copy(home);
        auto flushed = log_.flush();  // what is there is kept, whatever came then
        progress_.clear();
        if (!copied) { return std::unexpected(copied.error()); }
        if (!flushed) { return std::unexpected(flushed.error()); }
        return Copied{parts_, std::ranges::all_of(parts_, &CopiedPart::done)};
    }

private:
    Result<RemoteTopic> find_source() {
        auto found = client_.admin().topic(arguments_.topic, broker_patience);
        if (!found && found.error().code == Code::not_found) {
            return fail(Code::not_found, operation,
                        fmt::format("{} has no topic {}", arguments_.source, arguments_.topic));
        }
        return found;
    }

    static int32_t count_of(const RemoteTopic& topic) { return static_cast<int32_t>(topic.partitions.size()); }

    // What is set on the topic itself.
    Result<ConfigMap> configs_of(const std::string& topic) {
        TRY(const auto all, client_.admin().configs(ConfigOwner::topic(topic), broker_patience));
        ConfigMap configs;
        for (const RemoteConfig& config : all) {
            if (config.source == RemoteConfig::Source::topic && config.value) {
                configs.emplace_back(config.name, *config.value);
            }
        }
        return configs;
    }

    // An offset is that, whether it is there or not.
    Result<Offset> offset_of(const TopicPartition& place, const From& from) {
        if (const auto* const offset = std::get_if<Offset>(&from.value())) { return *offset; }
        return client_.admin().offset_at(place, from, broker_patience, /*read_committed=*/true);
    }

    // The topic at home, which says whose copy it is.
    Result<Topic> find_home(const RemoteTopic& source) {
        const std::string id = source.id.to_string();
        auto home = log_.topic(source.name);
        if (!home && home.error().code != Code::not_found) { return std::unexpected(home.error()); }
        if (!home) {
            TRY(ConfigMap configs, configs_of(source.name));
            std::erase_if(configs, [](const auto& config) {
                if (config.first == source_config) { return true; }
                const bool good = check_topic_config(config.first, config.second).has_value();
                if (!good) {
                    note(fmt::format("{}={} is left out: nothing here knows it", config.first, config.second));
                }
                return !good;
            });
            configs.emplace_back(source_config, id);
            return log_.create_topic(source.name, {.partitions = count_of(source), .configs = std::move(configs)});
        }
        TRY(const TopicInfo info, log_.describe(source.name));
        const auto said = std::ranges::find(info.configs, source_config, &std::pair<std::string, std::string>::first);
        if (said == info.configs.end() || said->second != id) {
            return fail(Code::exists, operation,
                        fmt::format("topic {} of {} is {}, not a copy of {}", source.name, log_.path(),
                                    said == info.configs.end() ? "its own" : "a copy of " + said->second, id));
        }
        if (info.partitions < count_of(source)) {
            TRY_VOID(log_.add_partitions(source.name, count_of(source)));
            home = log_.topic(source.name);
        }
        return home;
    }

    // Where it begins and ends, and what must be found there.
    Result<void> plan(const Topic& home, int32_t partition) {
        const TopicPartition place{home.name(), partition};
        TRY(const auto from, parse_copy_from(arguments_.from));
        TRY(const From to, parse_from(arguments_.to));
        TRY(const PartitionOffsets source, client_.admin().ends(place, broker_patience));
        TRY(const PartitionInfo here, home.partition(partition));
        TRY(const Offset to_offset, offset_of(place, to));
        TRY(const Offset stable_end, offset_of(place, From::end()));
        TRY(Offset begin, offset_of(place, from.value_or(From::beginning())));
        const bool resumes = here.log_end > Offset{0};
        if (resumes && here.log_end > source.high_watermark) {
            return fail(Code::exists, operation,
                        fmt::format("{}-{} ends at {} here and at {} there: it is not a copy of that", place.topic,
                                    partition, here.log_end.value, source.high_watermark.value));
        }
        if (resumes && !from && here.log_end < source.log_start) {
            return fail(Code::out_of_range, operation,
                        fmt::format("offsets {} to {} of {}-{} are gone there; --from beginning goes on behind them",
                                    here.log_end.value, source.log_start.value - 1, place.topic, partition));
        }
        begin = std::max({begin, source.log_start, here.log_end});
        here_[partition].end = here.log_end;
        TRY(const Offset fetch_from, expect_last(home, partition, here, begin));
        TRY_VOID(begin_at(place, std::max(fetch_from, source.log_start)));
        parts_.push_back(
            {.partition = partition, .begin = begin, .next = begin, .end = std::min(to_offset, stable_end)});
        return {};
    }

    // The last batch here must be the one there, unless compaction has been at it. Returns where it begins.
    Result<Offset> expect_last(const Topic& home, int32_t partition, const PartitionInfo& here, Offset begin) {
        TRY(const bool compacts, is_compacted());
        if (here.log_end == here.log_start || begin != here.log_end || compacts) { return begin; }
        TRY(Reader reader, home.read({.partition = partition, .from = Offset{here.log_end.value - 1}}));
        TRY(const Batch last, reader.next());
        if (last.empty()) { return begin; }  // a marker
        const auto bytes = last.bytes();
        TRY(const BatchView batch, BatchView::parse(bytes));
        here_[partition].last.assign(bytes.begin(), bytes.end());
        return batch.base_offset();
    }

    Result<bool> is_compacted() const {
        TRY(const TopicInfo info, log_.describe(arguments_.topic));
        return std::ranges::any_of(info.configs, [](const auto& config) {
            return config.first == "cleanup.policy" && config.second.find("compact") != std::string::npos;
        });
    }

    Result<void> begin_at(const TopicPartition& place, Offset offset) {
        if (!consumer_) {
            const ConsumerOptions usual{
                .fetch_bytes_max = 32u << 20, .partition_bytes_max = 4u << 20, .check_crcs = false};  // the log does
            ConsumerOptions options = with_settings(arguments_.settings, usual);
            options.read_committed = true;
            options.whole_batches = true;
            TRY(Consumer consumer, client_.consumer(std::move(options)));
            consumer_.emplace(std::move(consumer));
        }
        places_.push_back(place);
        return consumer_->assign(places_, From(offset));
    }

    Result<void> copy(Topic& home) {
        for (const CopiedPart& part : parts_) { pause_if_done(part); }
        int64_t heard_ns = system_clock().monotonic_ns();
        while (!interrupted() && !std::ranges::all_of(parts_, &CopiedPart::done)) {
            TRY(const ConsumedBatch batch, consumer_->poll(look_around));
            const int64_t now_ns = system_clock().monotonic_ns();
            if (batch.empty()) {
                if (now_ns - heard_ns > std::chrono::nanoseconds(silence_max).count()) {
                    return fail(Code::timed_out, operation, fmt::format("{} has fallen silent", arguments_.source));
                }
                continue;
            }
            heard_ns = now_ns;
            const auto part = std::ranges::find(parts_, batch.partition(), &CopiedPart::partition);
            if (part == parts_.end() || part->done()) { continue; }
            TRY_VOID(take(home, *part, batch.bytes()));
            pause_if_done(*part);
            progress_.show(parts_);
        }
        return {};
    }

    Result<void> take(Topic& home, CopiedPart& part, std::span<const std::byte> bytes) {
        TRY(const BatchView batch, BatchView::parse(bytes));
        Here& here = here_[part.partition];
        if (const auto expected = std::exchange(here.last, {}); !expected.empty()) {
            const bool there = batch.next_offset() <= part.begin;
            if (there && !std::ranges::equal(expected, bytes)) { return differs(part, batch.base_offset()); }
        }
        if (batch.next_offset() <= part.next) { return {}; }
        if (batch.base_offset() >= part.end) {
            part.next = part.end;  // nothing is left in front of it
            return {};
        }
        if (batch.base_offset() < here.end) { return differs(part, batch.base_offset()); }
        TRY_VOID(home.append_as_is(part.partition, bytes));
        here.end = batch.next_offset();
        if (part.records == 0) { part.begin = std::min(part.begin, batch.base_offset()); }
        part.next = batch.next_offset();
        part.bytes += bytes.size();
        if (!batch.control()) { part.records += static_cast<uint64_t>(batch.record_count()); }
        return {};
    }

    std::unexpected<Error> differs(const CopiedPart& part, Offset offset) const {
        return fail(Code::exists, operation,
                    fmt::format("{}-{} is not a copy of that: it holds something else at offset {}", arguments_.topic,
                                part.partition, offset.value));
    }

    void pause_if_done(const CopiedPart& part) {
        if (part.done()) { consumer_->pause({arguments_.topic, part.partition}); }
    }

    Client& client_;
    Log& log_;
    const CopyArguments& arguments_;
    CopyProgress progress_;
    std::optional<Consumer> consumer_;
    std::vector<TopicPartition> places_;
    std::vector<CopiedPart> parts_;
    struct Here {
        Offset end{0};
        std::vector<std::byte> last{};  // batch, until the source has shown its own
    };
    std::map<int32_t, Here> here_;  // by partition
};

}  // namespace

Result<Copied> copy_home(Client& client, Log& log, const CopyArguments& arguments) {
    return CopyHome(client, log, arguments).run();
}

}  // namespace flowstone::tool
