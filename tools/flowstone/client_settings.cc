#include "tools/flowstone/client_settings.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "log/nearest_name.h"
#include "storage/check.h"
#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

struct AllOptions {
    ClientOptions client;
    ProducerOptions producer;
    ConsumerOptions consumer;
};

// --- values: false is one that cannot be ---------------------------------------------------------------------------------

bool take_ms(std::string_view text, std::chrono::milliseconds& into, int64_t least = 0) {
    const auto number = parse_integer(text);
    if (!number || *number < least || *number > INT32_MAX) { return false; }
    into = std::chrono::milliseconds(*number);
    return true;
}

bool take_bytes(std::string_view text, size_t& into) {
    const auto number = parse_integer(text);
    if (!number || *number < 1 || *number > INT32_MAX) { return false; }
    into = static_cast<size_t>(*number);
    return true;
}

bool take_name(std::string_view text, std::string& into) {
    into = text;
    return !text.empty();
}

template <class T>
bool take_one(std::string_view text, std::span<const std::pair<std::string_view, T>> names, T& into) {
    const auto found = std::ranges::find(names, text, &std::pair<std::string_view, T>::first);
    if (found == names.end()) { return false; }
    into = found->second;
    return true;
}

constexpr std::pair<std::string_view, bool> flags[] = {{"true", true}, {"false", false}};
constexpr std::pair<std::string_view, bool> isolation_levels[] = {{"read_committed", true},
                                                                  {"read_uncommitted", false}};
constexpr std::pair<std::string_view, Acks> acks_names[] = {
    {"all", Acks::all}, {"-1", Acks::all}, {"1", Acks::leader}, {"0", Acks::none}};
constexpr std::pair<std::string_view, Compression> compression_names[] = {{"none", Compression::none},
                                                                          {"gzip", Compression::gzip},
                                                                          {"snappy", Compression::snappy},
                                                                          {"lz4", Compression::lz4},
                                                                          {"zstd", Compression::zstd}};
constexpr std::pair<std::string_view, Assignor> assignor_names[] = {
    {"range", Assignor::range},
    {"roundrobin", Assignor::round_robin},
    {"sticky", Assignor::sticky},
    {"cooperative-sticky", Assignor::cooperative_sticky}};

bool take_assignors(std::string_view text, std::vector<Assignor>& into) {
    into.clear();
    while (true) {
        const size_t comma = text.find(',');
        Assignor one{};
        if (!take_one<Assignor>(text.substr(0, comma), assignor_names, one)) { return false; }
        if (std::ranges::find(into, one) == into.end()) { into.push_back(one); }
        if (comma == std::string_view::npos) { return true; }
        text.remove_prefix(comma + 1);
    }
}

// --- settings ------------------------------------------------------------------------------------------------------------

struct Setting {
    std::string_view name;
    const char* values;  // for people
    bool (*take)(AllOptions&, std::string_view);
};

constexpr char milliseconds[] = "milliseconds, from 0";
constexpr char some_milliseconds[] = "milliseconds, from 1";
constexpr char bytes[] = "bytes, from 1";

constexpr Setting settings_known[] = {
    {"acks", "all, 1 or 0",
     [](AllOptions& all, std::string_view text) { return take_one<Acks>(text, acks_names, all.producer.acks); }},
    {"batch.size", bytes,
     [](AllOptions& all, std::string_view text) { return take_bytes(text, all.producer.batch_bytes_max); }},
    {"buffer.memory", bytes,
     [](AllOptions& all, std::string_view text) { return take_bytes(text, all.producer.buffer_bytes_max); }},
    {"check.crcs", "true or false",
     [](AllOptions& all, std::string_view text) { return take_one<bool>(text, flags, all.consumer.check_crcs); }},
    {"client.id", "a name",
     [](AllOptions& all, std::string_view text) { return take_name(text, all.client.client_id); }},
    {"compression.type", "none, gzip, snappy, lz4 or zstd",
     [](AllOptions& all, std::string_view text) {
         return take_one<Compression>(text, compression_names, all.producer.compression);
     }},
    {"delivery.timeout.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.producer.delivery_timeout, 1); }},
    {"enable.idempotence", "true or false",
     [](AllOptions& all, std::string_view text) { return take_one<bool>(text, flags, all.producer.idempotent); }},
    {"fetch.max.bytes", bytes,
     [](AllOptions& all, std::string_view text) { return take_bytes(text, all.consumer.fetch_bytes_max); }},
    {"fetch.max.wait.ms", milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.consumer.fetch_wait); }},
    {"group.instance.id", "a name",
     [](AllOptions& all, std::string_view text) { return take_name(text, all.consumer.instance); }},
    {"heartbeat.interval.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.consumer.heartbeat_interval, 1); }},
    {"isolation.level", "read_committed or read_uncommitted",
     [](AllOptions& all, std::string_view text) {
         return take_one<bool>(text, isolation_levels, all.consumer.read_committed);
     }},
    {"linger.ms", milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.producer.linger); }},
    {"max.block.ms", milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.producer.full_wait_max); }},
    {"max.partition.fetch.bytes", bytes,
     [](AllOptions& all, std::string_view text) { return take_bytes(text, all.consumer.partition_bytes_max); }},
    {"max.poll.interval.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.consumer.max_poll_interval, 1); }},
    {"metadata.max.age.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.consumer.topics_refresh, 1); }},
    {"partition.assignment.strategy", "some of range, roundrobin, sticky and cooperative-sticky, with commas",
     [](AllOptions& all, std::string_view text) { return take_assignors(text, all.consumer.assignors); }},
    {"request.timeout.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.client.request_timeout, 1); }},
    {"session.timeout.ms", some_milliseconds,
     [](AllOptions& all, std::string_view text) { return take_ms(text, all.consumer.session_timeout, 1); }},
};

// Settings of Kafka's clients that are arguments here.
constexpr std::pair<std::string_view, std::string_view> arguments_instead[] = {
    {"auto.offset.reset", "--from"}, {"bootstrap.servers", "-L"}, {"group.id", "--group"}};

const Setting* find_setting(std::string_view name) {
    const auto found = std::ranges::find(settings_known, name, &Setting::name);
    return found == std::end(settings_known) ? nullptr : found;
}

std::string unknown(std::string_view name) {
    for (const auto& [setting, argument] : arguments_instead) {
        if (name == setting) { return fmt::format("{} is said by {}", name, argument); }
    }
    const auto names = client_setting_names();
    const auto nearest = nearest_name(name, names);
    return fmt::format("clients have no setting '{}'{}", name, nearest ? fmt::format("; is it {}?", *nearest) : "");
}

void apply(const std::vector<std::string>& settings, AllOptions& all) {
    for (const std::string& text : settings) {
        const size_t at = text.find('=');
        CHECK(at != std::string::npos);
        const Setting* const setting = find_setting(std::string_view(text).substr(0, at));
        CHECK(setting != nullptr);
        CHECK(setting->take(all, std::string_view(text).substr(at + 1)));
    }
}

bool says(const std::vector<std::string>& settings, std::string_view name) {
    return std::ranges::any_of(settings, [&](const std::string& text) {
        return text.starts_with(name) && text.substr(name.size(), 1) == "=";
    });
}

}  // namespace

std::vector<std::string_view> client_setting_names() {
    std::vector<std::string_view> names;
    for (const Setting& setting : settings_known) { names.push_back(setting.name); }
    return names;
}

std::string check_client_setting(const std::string& text) {
    const size_t at = text.find('=');
    if (at == std::string::npos || at == 0) { return fmt::format("'{}' is not NAME=VALUE", text); }
    const std::string name = text.substr(0, at);
    const Setting* const setting = find_setting(name);
    if (setting == nullptr) { return unknown(name); }
    AllOptions scratch;
    const std::string value = text.substr(at + 1);
    return setting->take(scratch, value) ? "" : fmt::format("{} takes {}, not '{}'", name, setting->values, value);
}

ClientOptions with_settings(const std::vector<std::string>& settings, ClientOptions options) {
    AllOptions all{.client = std::move(options), .producer = {}, .consumer = {}};
    apply(settings, all);
    return std::move(all.client);
}

ProducerOptions with_settings(const std::vector<std::string>& settings, ProducerOptions options) {
    AllOptions all{.client = {}, .producer = options, .consumer = {}};
    apply(settings, all);
    // As Kafka's own: who asks for less than all has no idempotence, unless it is asked for, which is refused.
    if (all.producer.acks != Acks::all && !says(settings, "enable.idempotence")) { all.producer.idempotent = false; }
    return all.producer;
}

ConsumerOptions with_settings(const std::vector<std::string>& settings, ConsumerOptions options) {
    AllOptions all{.client = {}, .producer = {}, .consumer = std::move(options)};
    apply(settings, all);
    return std::move(all.consumer);
}

}  // namespace flowstone::tool
