// flowstoned: a broker that Kafka's own clients cannot tell from Kafka.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flowstone/log.h>

#include "log/log_directories.h"
#include "net/broker/broker.h"
#include "net/broker/broker_config.h"
#include "storage/random.h"
#include "storage/try.h"
#include "tools/flowstoned/descriptors.h"
#include "tools/flowstoned/program_input.h"
#include "tools/flowstoned/signals.h"

namespace {

using namespace flowstone;

// From the signal to the end stay under 5 s: who would wait longer kills.
constexpr int64_t drain_ms_max = 2'500;
constexpr int64_t end_ms = 4'500;
constexpr uint64_t segment_files_max = 100'000;  // that are kept open for writing
constexpr int wrong_usage = 2;
constexpr int could_not = 3;

void line(std::string_view text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
}

bool was_said(const BrokerConfig& config, std::string_view setting) {
    return std::ranges::any_of(config.set, [&](const auto& set) { return setting == set.setting->name; });
}

// Everything else is served: only a person can decide to go on without what is gone.
void say_losses(const Log& log) {
    for (const Loss& loss : log.losses()) {
        line(fmt::format(
            "{}-{} takes no records: offsets [{}, {}) are lost; to go on behind them, stop the broker and run "
            "flowstone repair -L dir:{} --accept-loss",
            loss.topic, loss.partition, loss.begin.value, loss.end.value, log.path()));
    }
}

// For clients of this machine that know the directory (shm:PATH). Not every file system has sockets.
void listen_in_directories(Broker& broker, LogDirectories& directories) {
    for (const Log& log : directories.logs()) {
        auto address = socket_in(log.path());
        if (address) { address = broker.listen(*address); }
        if (!address) { line(fmt::format("shm:{} is not served: {}", log.path(), address.error().message())); }
    }
}

// Until a signal asks it to end.
Result<void> serve(const BrokerConfig& config, bool adopt) {
    Options options;
    options.adopt = adopt;
    options.threads = std::max(config.threads, 1u);
    options.journal_bytes_max = config.journal_bytes_max;
    options.dirty_bytes_max = config.dirty_bytes_max;
    options.tail_bytes_max = config.tail_bytes_max;
    options.reserve_bytes = config.reserve_bytes;
    // The other half is for connections and readers.
    const uint64_t files_max = raise_descriptor_limit() / 2 / config.data.size();
    options.open_files_max = static_cast<uint32_t>(std::min<uint64_t>(files_max, segment_files_max));
    options.on_log = &line;
    TRY(auto directories, LogDirectories::open(config.data, options));
    for (const Log& log : directories.logs()) { say_losses(log); }
    int64_t asked_ms = 0;
    {
        TRY(const auto network, open_epoll_network());
        Broker broker(directories, *network, system_clock(), system_random(), config, true, &line);
        std::string address;
        for (size_t i = 0; i < config.listen.size(); ++i) {
            std::optional<HostPort> advertised;
            if (!config.advertised.empty()) { advertised = config.advertised[i]; }
            TRY(const HostPort bound, broker.listen(config.listen[i], advertised));
            if (i == 0) { address = bound.to_string(); }
        }
        listen_in_directories(broker, directories);
        std::optional<HostPort> pages;
        if (config.http) {
            const auto served = broker.listen_http(*config.http);
            // The default is a convenience: a second broker on the machine starts without it.
            if (!served && was_said(config, "http")) { return std::unexpected(served.error()); }
            if (served) { pages = *served; }
            if (!served) { line(fmt::format("no metrics: {}", served.error().message())); }
        }
        const StopSignals signals([&] { broker.wake(); });
        std::string where;
        for (const Log& log : directories.logs()) { where += (where.empty() ? "" : ", ") + log.path(); }
        line(fmt::format("the log is in {}", where));
        line(
            fmt::format("try: echo hello | kcat -b {0} -P -t demo && kcat -b {0} -C -t demo -o beginning -e", address));
        if (pages) { line(fmt::format("metrics are at http://{}/metrics", pages->to_string())); }
        while (!signals.asked()) { TRY_VOID(broker.run()); }
        asked_ms = system_clock().monotonic_ns() / 1'000'000;
        broker.stop(drain_ms_max);
    }
    const int64_t left_ms = asked_ms + end_ms - system_clock().monotonic_ns() / 1'000'000;
    return directories.close(std::chrono::milliseconds(std::max<int64_t>(left_ms, 0)));
}

}  // namespace

int main(int argc, char** argv) {
    end_at_once_when_asked();
    CLI::App app("flowstoned: serves Kafka's protocol from a Flowstone log", "flowstoned");
    std::vector<std::string> data;
    std::vector<std::string> listen;
    std::optional<std::string> file;
    std::vector<std::string> settings;
    app.add_option("--data", data, "A directory of the log (./flowstone-data); may be given several times");
    app.add_option("--listen", listen, "HOST:PORT to listen on (127.0.0.1:9092)");
    app.add_option("--config", file, "A file of settings in TOML; docs/CONFIGS.md lists them");
    app.add_option("-X,--set", settings, "NAME=VALUE: any setting, by our name or Kafka's");
    bool adopt = false;
    app.add_flag("--adopt", adopt, "Take over a directory that Kafka wrote; Kafka must not be running on it");
    app.set_version_flag("--version", version());
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : wrong_usage; }

    BrokerConfigInput input;
    input.environment = environment_variables();
    for (const std::string& directory : data) { input.flags.emplace_back("data", directory); }
    for (const std::string& address : listen) { input.flags.emplace_back("listen", address); }
    for (const std::string& setting : settings) {
        const size_t equals = setting.find('=');
        if (equals == std::string::npos) {
            fmt::print(stderr, "flowstoned: -X {}: NAME=VALUE is expected\n", setting);
            return wrong_usage;
        }
        input.flags.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
    const auto complain = [](const Error& error, int code) {
        fmt::print(stderr, "flowstoned: {}\n", error.message());
        return code;
    };
    if (!file) { file = variable(input.environment, "FLOWSTONED_CONFIG"); }
    if (file) {
        auto text = read_text_file(*file, broker_config_file_bytes_max);
        if (!text) { return complain(text.error(), could_not); }
        input.file_name = *file;
        input.file = std::move(*text);
    }
    const auto config = parse_broker_config(input);
    if (!config) { return complain(config.error(), wrong_usage); }
    if (auto served = serve(*config, adopt); !served) { return complain(served.error(), could_not); }
    return 0;
}
