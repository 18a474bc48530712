// consume: records to standard output.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/admin.h>

#include "storage/try.h"
#include "tools/flowstone/client_settings.h"
#include "tools/flowstone/command_line.h"
#include "tools/flowstone/output.h"
#include "tools/flowstone/progress.h"
#include "tools/flowstone/record_output.h"
#include "tools/flowstone/session.h"
#include "tools/flowstone/standard_streams.h"

namespace flowstone::tool {
namespace {

constexpr std::chrono::milliseconds follow_wait{100};  // also how long Ctrl-C may take
constexpr int64_t commit_every_ns = 1'000'000'000;
// What another process appends is seen by opening the log again. That takes longer the more there is to replay, so the
// time between is never less than so many times the last opening took.
constexpr int64_t reopen_every_ns = 200'000'000;
constexpr int64_t reopen_share = 10;

struct ConsumeArguments {
    std::string topic;
    std::optional<int32_t> partition;
    std::string from = "beginning";
    std::optional<uint64_t> max;
    bool follow = false;
    std::string group;
    std::string format = "%v";
    bool json = false;
    bool quiet = false;
    std::vector<std::string> settings{};  // -X
};

// Where records go to, and how many went.
class Printer {
public:
    Printer(const ConsumeArguments& arguments, RecordFormat format, Clock& clock)
        : arguments_(arguments),
          format_(std::move(format)),
          progress_(clock, arguments.quiet || output_is_terminal()) {}

    // Nobody wants any more.
    bool done() const { return interrupted() || output_.closed() || (arguments_.max && records_ >= *arguments_.max); }
    Result<void> print(const RecordPlace& place, const RecordView& record) {
        if (arguments_.json) {
            append_record_json(output_.buffer(), place, record);
        } else {
            format_.append(output_.buffer(), place, record);
        }
        ++records_;
        bytes_ += record.value.value_or("").size();
        return output_.wrote();
    }
    // `total`: how many there are to be read, as far as that is known.
    void show_progress(uint64_t total) {
        std::optional<uint64_t> work = arguments_.max;
        if (!arguments_.follow) { work = std::min(total, arguments_.max.value_or(UINT64_MAX)); }
        progress_.show({.records = records_, .bytes = bytes_, .work_done = records_, .work_total = work});
    }
    Result<void> flush() {
        progress_.clear();
        return output_.flush();
    }
    bool closed() const { return output_.closed(); }

private:
    const ConsumeArguments& arguments_;
    RecordFormat format_;
    Progress progress_;
    StandardOutput output_;
    uint64_t records_ = 0;
    uint64_t bytes_ = 0;
};

// One partition being read.
struct Source {
    int32_t partition = 0;
    Reader reader;
    Offset end;        // where it ends, unless new records are followed
    Offset printed;    // everything before is in the output
    Offset committed;  // as of the last commit
};

class Consumption {
public:
    // `reopen` opens the same log once more; not set if `log` itself sees everything.
    Consumption(Log& log, Topic topic, const ConsumeArguments& arguments, RecordFormat format, Clock& clock,
                std::function<Result<Log>()> reopen)
        : log_(log),
          reopen_log_(std::move(reopen)),
          topic_(std::move(topic)),
          arguments_(arguments),
          clock_(clock),
          printer_(arguments, std::move(format), clock),
          committed_ns_(clock.monotonic_ns()),
          reopen_ns_(committed_ns_ + reopen_every_ns) {}

    // Commits what was printed also when it ends with an error.
    Result<void> run(const From& from) {
        TRY_VOID(open(from));
        auto read = arguments_.follow ? follow() : read_to_end();
        auto committed = flush_and_commit();
        return read ? committed : read;
    }

private:
    Result<void> open(const From& from) {
        TRY(const auto partitions, partitions_of(topic_.name(), topic_.partitions(), arguments_.partition));
        std::vector<GroupOffset> offsets;
        if (!arguments_.group.empty()) { TRY(offsets, log_.fetch_offsets(arguments_.group)); }
        for (const int32_t partition : partitions) {
            From start = from;
            for (const GroupOffset& offset : offsets) {
                if (offset.topic == topic_.name() && offset.partition == partition) { start = From(offset.offset); }
            }
            TRY(const Offset begin, resolve(topic_, partition, start));
            TRY(const PartitionInfo info, topic_.partition(partition));
            TRY(Reader reader, topic_.read({.partition = partition, .from = begin}));
            sources_.push_back({.partition = partition,
                                .reader = std::move(reader),
                                .end = info.high_watermark,
                                .printed = begin,
                                .committed = begin});
            total_ += static_cast<uint64_t>(std::max<int64_t>(0, info.high_watermark - begin));
        }
        return {};
    }

    bool done() const { return printer_.done(); }

    Result<void> read_to_end() {
        for (Source& source : sources_) {
            while (!done() && source.reader.position() < source.end) {
                TRY(const bool more, print_next(source, {}));
                if (!more) { break; }
            }
        }
        return {};
    }

    // All partitions in turn; when none has anything, one of them is waited for a little.
    Result<void> follow() {
        for (size_t waited = 0; !done(); ++waited) {
            bool any = false;
            for (Source& source : sources_) {
                if (done()) { return {}; }
                TRY(const bool more, print_next(source, {}));
                any = any || more;
            }
            if (any) { continue; }
            TRY_VOID(printer_.flush());
            TRY_VOID(commit_when_due());
            TRY_VOID(reopen_when_due());
            TRY(const bool more, print_next(sources_[waited % sources_.size()], wait_for_one()));
            static_cast<void>(more);
        }
        return {};
    }

    Result<void> reopen_when_due() {
        if (!reopen_log_ || clock_.monotonic_ns() < reopen_ns_) { return {}; }
        const int64_t began_ns = clock_.monotonic_ns();
        TRY(Log log, reopen_log_());
        TRY(const Topic topic, log.topic(topic_.name()));
        TRY(const TopicInfo before, log_.describe(topic_.name()));
        TRY(const TopicInfo now, log.describe(topic_.name()));
        if (before.id != now.id) {
            return fail(Code::not_found, "consume", fmt::format("{} was deleted and made anew", topic_.name()));
        }
        std::vector<Source> sources;
        for (const Source& source : sources_) {
            TRY(Reader reader, topic.read({.partition = source.partition, .from = source.printed}));
            sources.push_back({source.partition, std::move(reader), source.end, source.printed, source.committed});
        }
        for (int32_t added = topic_.partitions(); !arguments_.partition && added < topic.partitions(); ++added) {
            TRY(const PartitionInfo info, topic.partition(added));
            TRY(Reader reader, topic.read({.partition = added, .from = From::beginning()}));
            sources.push_back({added, std::move(reader), info.high_watermark, info.log_start, info.log_start});
        }
        sources_ = std::move(sources);  // the old readers go before their log
        topic_ = topic;
        log_ = std::move(log);
        const int64_t now_ns = clock_.monotonic_ns();
        reopen_ns_ = now_ns + std::max(reopen_every_ns, reopen_share * (now_ns - began_ns));
        return {};
    }

    // With many partitions each wait is short, so that all are looked at often.
    std::chrono::milliseconds wait_for_one() const {
        return sources_.size() == 1 ? follow_wait : std::min(follow_wait, std::chrono::milliseconds(10));
    }

    // False when the partition has nothing more now.
    Result<bool> print_next(Source& source, std::chrono::milliseconds wait) {
        const Result<Batch> batch = source.reader.next(wait);
        if (!batch) { return std::unexpected(batch.error()); }
        if (batch->empty()) { return false; }
        const RecordPlace place{.topic = topic_.name(), .partition = source.partition};
        for (const RecordView& record : *batch) {
            if (!arguments_.follow && record.offset >= source.end) { return false; }
            source.printed = record.offset + 1;
            TRY_VOID(printer_.print(place, record));
            if (done()) { return true; }
        }
        source.printed = std::max(source.printed, batch->next_offset());  // no record may be left in a batch
        printer_.show_progress(total_);
        TRY_VOID(commit_when_due());
        return true;
    }

    Result<void> commit_when_due() {
        if (arguments_.group.empty()) { return {}; }
        const int64_t now_ns = clock_.monotonic_ns();
        if (now_ns - committed_ns_ < commit_every_ns) { return {}; }
        committed_ns_ = now_ns;
        return flush_and_commit();
    }

    // Only what has left the process is committed: a reader that went away did not get the rest.
    Result<void> flush_and_commit() {
        TRY_VOID(printer_.flush());
        if (arguments_.group.empty() || printer_.closed()) { return {}; }
        std::vector<GroupOffset> offsets;
        for (Source& source : sources_) {
            if (source.printed == source.committed) { continue; }
            offsets.push_back({.topic = topic_.name(), .partition = source.partition, .offset = source.printed});
        }
        if (offsets.empty()) { return {}; }
        TRY_VOID(log_.commit_offsets(arguments_.group, offsets));
        for (Source& source : sources_) { source.committed = source.printed; }
        return {};
    }

    Log& log_;
    std::function<Result<Log>()> reopen_log_;
    Topic topic_;
    const ConsumeArguments& arguments_;
    Clock& clock_;
    Printer printer_;
    std::vector<Source> sources_;
    uint64_t total_ = 0;  // offsets to be read
    int64_t committed_ns_;
    int64_t reopen_ns_;  // when it is due again
};

Exit consume(Log& log, const Invocation& invocation, const ConsumeArguments& arguments, const From& from,
             const RecordFormat& format) {
    auto topic = log.topic(arguments.topic);
    if (!topic) { return complain(topic.error()); }
    std::function<Result<Log>()> reopen;
    if (log.read_only()) {
        reopen = [&] { return open_log(invocation, Access::read); };
    }
    Consumption consumption(log, std::move(*topic), arguments, format, system_clock(), reopen);
    auto consumed = consumption.run(from);
    return consumed ? Exit::done : complain(consumed.error().message());
}

ConsumerOptions consumer_options(const ConsumeArguments& arguments) {
    return with_settings(arguments.settings, ConsumerOptions{.group = arguments.group});
}

// From brokers: a partition after the other up to where it ended when its turn came, or all of them for ever.
class RemoteConsumption {
public:
    RemoteConsumption(Client& client, Consumer& consumer, const ConsumeArguments& arguments, RecordFormat format,
                      Clock& clock)
        : admin_(client.admin()),
          consumer_(consumer),
          arguments_(arguments),
          committed_(consumer_options(arguments).read_committed),
          printer_(arguments, std::move(format), clock) {}

    Result<void> run(const From& from) {
        TRY(const RemoteTopic topic, admin_.topic(arguments_.topic, broker_patience));
        const auto count = static_cast<int32_t>(topic.partitions.size());
        TRY(const auto partitions, partitions_of(topic.name, count, arguments_.partition));
        for (const int32_t partition : partitions) { places_.push_back({topic.name, partition}); }
        auto read = arguments_.follow ? follow(from) : read_to_end(from);
        auto flushed = printer_.flush();
        return read ? flushed : read;
    }

private:
    Result<void> follow(const From& from) {
        TRY_VOID(consumer_.assign(places_, from));
        while (!printer_.done()) {
            TRY(const bool any, print_next({}));
            if (!any) { TRY_VOID(printer_.flush()); }
        }
        return {};
    }

    Result<void> read_to_end(const From& from) {
        for (const TopicPartition& place : places_) {
            TRY(const PartitionOffsets ends, visible_ends(admin_, {place}, committed_).front());
            TRY_VOID(consumer_.assign({place}, from));
            if (ends.log_start == ends.high_watermark) { continue; }
            while (!printer_.done()) {
                const auto position = consumer_.position(place);
                if (position && *position >= ends.high_watermark) { break; }
                TRY_VOID(print_next(ends.high_watermark));
            }
        }
        return {};
    }

    // False when nothing came for a while.
    Result<bool> print_next(const std::optional<Offset>& end) {
        TRY(const ConsumedBatch batch, consumer_.poll(follow_wait));
        if (batch.empty()) { return false; }
        const RecordPlace place{.topic = batch.topic(), .partition = batch.partition()};
        uint64_t printed = 0;
        for (const RecordView& record : batch) {
            if (printer_.done() || (end && record.offset >= *end)) { break; }
            TRY_VOID(printer_.print(place, record));
            ++printed;
        }
        total_ += printed;
        printer_.show_progress(total_);
        return true;
    }

    Admin admin_;
    Consumer& consumer_;
    const ConsumeArguments& arguments_;
    const bool committed_;  // only that is read
    Printer printer_;
    std::vector<TopicPartition> places_;
    uint64_t total_ = 0;
};

// From brokers, as a member of a group: what the group gives it, up to where that ended when it was given, or for ever.
// What was printed is committed every second, and before a partition goes.
class GroupConsumption {
public:
    GroupConsumption(Client& client, Consumer& consumer, const ConsumeArguments& arguments, RecordFormat format,
                     Clock& clock, const From& from)
        : admin_(client.admin()),
          consumer_(consumer),
          arguments_(arguments),
          committed_(consumer_options(arguments).read_committed),
          clock_(clock),
          printer_(arguments, std::move(format), clock),
          from_(from),
          committed_ns_(clock.monotonic_ns()) {}

    Result<void> run() {
        TRY_VOID(admin_.topic(arguments_.topic, broker_patience));
        const auto let_go = [this](Consumer&, const std::vector<TopicPartition>& places) { on_revoked(places); };
        const auto forget = [this](Consumer&, const std::vector<TopicPartition>& places) { on_lost(places); };
        TRY_VOID(consumer_.subscribe({arguments_.topic},
                                     {.assigned = [this](Consumer&, const auto& places) { on_assigned(places); },
                                      .revoked = let_go,
                                      .lost = forget}));
        auto read = read_on();
        auto flushed = printer_.flush();
        auto left = consumer_.close(broker_patience);  // revokes, and so commits
        if (!read) { return read; }
        if (!flushed) { return flushed; }
        if (error_) { return std::unexpected(*error_); }
        return left;
    }

private:
    struct Place {
        std::optional<Offset> end;      // where it ends, unless new records are followed
        std::optional<Offset> printed;  // everything before is in the output; nothing: as it was committed
        std::optional<Offset> committed;
    };

    // The group may have fewer partitions than members; or others are still to let go of some.
    bool at_the_end() const {
        if (arguments_.follow || !assigned_ns_) { return false; }
        if (places_.empty()) { return clock_.monotonic_ns() > *assigned_ns_ + nothing_patience_ns; }
        return std::ranges::all_of(places_, [&](const auto& entry) {
            const auto position = consumer_.position(entry.first);
            return position && entry.second.end && *position >= *entry.second.end;
        });
    }

    Result<void> read_on() {
        while (!printer_.done() && !error_ && !at_the_end()) {
            TRY(const ConsumedBatch batch, consumer_.poll(follow_wait));
            if (!batch.empty()) { TRY_VOID(print(batch)); }
            if (batch.empty() || clock_.monotonic_ns() - committed_ns_ >= commit_every_ns) {
                TRY_VOID(printer_.flush());
                commit_when_due();
            }
        }
        return {};
    }

    Result<void> print(const ConsumedBatch& batch) {
        Place& state = places_[{batch.topic(), batch.partition()}];
        const RecordPlace place{.topic = batch.topic(), .partition = batch.partition()};
        for (const RecordView& record : batch) {
            if (printer_.done() || (state.end && !arguments_.follow && record.offset >= *state.end)) { return {}; }
            TRY_VOID(printer_.print(place, record));
            state.printed = record.offset + 1;
            ++total_;
        }
        state.printed = batch.next_offset();
        printer_.show_progress(total_);
        return {};
    }

    // As the local one: `--from` where the group has committed nothing.
    void on_assigned(const std::vector<TopicPartition>& places) {
        assigned_ns_ = clock_.monotonic_ns();
        const auto committed = consumer_.committed(places, broker_patience);
        if (!committed) { return note(committed.error()); }
        for (size_t i = 0; i < places.size(); ++i) {
            Place& place = places_[places[i]];
            if (!(*committed)[i]) {
                if (const auto sought = consumer_.seek(places[i], from_); !sought) { return note(sought.error()); }
            }
            if (arguments_.follow) { continue; }
            const auto ends = visible_ends(admin_, {places[i]}, committed_).front();
            if (!ends) { return note(ends.error()); }
            place.end = ends->high_watermark;
        }
    }
    void on_revoked(const std::vector<TopicPartition>& places) {
        if (const auto flushed = printer_.flush(); !flushed) { note(flushed.error()); }
        if (const auto committed = commit(); !committed) { note(committed.error()); }
        on_lost(places);
    }
    void on_lost(const std::vector<TopicPartition>& places) {
        for (const TopicPartition& place : places) { places_.erase(place); }
    }
    void note(const Error& error) { error_ = error_.value_or(error); }

    // What fails now is committed with what comes, or is another's.
    void commit_when_due() {
        if (clock_.monotonic_ns() - committed_ns_ < commit_every_ns) { return; }
        committed_ns_ = clock_.monotonic_ns();
        if (const auto committed = commit(); !committed && advice(committed.error()) == Advice::give_up) {
            note(committed.error());
        }
    }
    // Only what has left the process: a reader that went away did not get the rest.
    Result<void> commit() {
        if (printer_.closed()) { return {}; }
        std::vector<GroupOffset> offsets;
        for (const auto& [place, state] : places_) {
            if (state.printed && state.printed != state.committed) {
                offsets.push_back({place.topic, place.partition, *state.printed});
            }
        }
        TRY_VOID(consumer_.commit(offsets, broker_patience));
        for (const GroupOffset& one : offsets) { places_[{one.topic, one.partition}].committed = one.offset; }
        return {};
    }

    static constexpr int64_t nothing_patience_ns = 10'000'000'000;

    Admin admin_;
    Consumer& consumer_;
    const ConsumeArguments& arguments_;
    const bool committed_;  // only that is read
    Clock& clock_;
    Printer printer_;
    const From from_;
    std::map<TopicPartition, Place> places_;  // that the group gave it
    std::optional<int64_t> assigned_ns_;      // when it gave any, or none, last
    std::optional<Error> error_;              // of a listener
    uint64_t total_ = 0;
    int64_t committed_ns_;
};

Exit consume_remotely(Client& client, const ConsumeArguments& arguments, const From& from, const RecordFormat& format) {
    const bool member = !arguments.group.empty();
    if (member && arguments.partition) {
        return complain(
            "over the network it is the group that says which partitions: --group goes without --partition");
    }
    catch_interrupts();  // the client is closed in order
    auto consumer = client.consumer(consumer_options(arguments));
    if (!consumer) { return complain(consumer.error()); }
    auto consumed = member ? GroupConsumption(client, *consumer, arguments, format, system_clock(), from).run()
                           : RemoteConsumption(client, *consumer, arguments, format, system_clock()).run(from);
    return consumed ? Exit::done : complain(consumed.error());
}

Exit run(const Invocation& invocation, const ConsumeArguments& arguments) {
    auto from = parse_from(arguments.from);
    if (!from) { return complain(from.error()); }
    auto format = RecordFormat::parse(arguments.format);
    if (!format) { return complain(format.error()); }
    // A long read that changes nothing may just be ended; these two have something to do first.
    if (arguments.follow || !arguments.group.empty()) { catch_interrupts(); }
    const Access access = arguments.group.empty() ? Access::read : Access::write;
    return with_endpoint(
        invocation, access, [&](Log& log) { return consume(log, invocation, arguments, *from, *format); },
        [&](Client& client) { return consume_remotely(client, arguments, *from, *format); });
}

}  // namespace

void add_consume_command(CLI::App& app, Invocation& invocation) {
    auto arguments = std::make_shared<ConsumeArguments>();  // owner: the callback
    CLI::App& command = add_command(
        app, "consume", "Print records, from the beginning to the end unless told otherwise",
        {"flowstone consume payments --format '%p %o %T %k %v'",
         "flowstone consume payments --from 2014-04-01T00:00:00Z --max 10 --json",
         "flowstone consume payments --from end --follow", "flowstone consume payments --group billing --max 100"});
    command.footer(
        "Formats: %t topic, %p partition, %o offset, %T time (RFC 3339, UTC), %k key, %h headers (name=value,...),\n"
        "%v value, %% a per cent sign; \\n, \\t and \\\\ as in C. One line a record.\n" +
        command.get_footer());
    command.add_option("TOPIC", arguments->topic)->required();
    command.add_option("--partition", arguments->partition, "Only this one (default: all, one after the other)")
        ->check(check_count)
        ->type_name("P");
    command.add_option("--from", arguments->from, "Where to begin: beginning, end, an offset, or a time (RFC 3339)")
        ->option_text("beginning|end|OFFSET|TIME");
    command.add_option("--max", arguments->max, "Stop after so many records")->check(check_count)->type_name("N");
    command.add_flag("--follow", arguments->follow, "Go on with new records until Ctrl-C");
    command.add_option("--group", arguments->group, "Begin where this group has committed; commit what was printed")
        ->check([](const std::string& group) { return group.empty() ? "the group's name is empty" : std::string(); })
        ->type_name("G");
    auto* format = command.add_option("--format", arguments->format, "What to print of each record (default %v)");
    format->type_name("FORMAT");
    command.add_flag("--json", arguments->json, "One JSON object a record")->excludes(format);
    command.add_flag("-q,--quiet", arguments->quiet, "No progress");
    command.callback([&invocation, arguments] {
        invocation.run = [&invocation, arguments] {
            arguments->settings = invocation.settings;
            return run(invocation, *arguments);
        };
    });
}

}  // namespace flowstone::tool
