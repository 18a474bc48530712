#include "bench/broker_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "bench/floor.h"
#include "net/kafka/messages/create_topics.h"
#include "net/kafka/messages/delete_topics.h"
#include "net/kafka/messages/list_offsets.h"
#include "net/kafka/messages/metadata.h"
#include "storage/clock.h"
#include "storage/try.h"
#include "tests/net/blocking_client.h"

namespace flowstone::bench {
namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t start_ns_max = 60 * second_ns;
constexpr int16_t metadata_version = 9;
constexpr int16_t create_version = 5;
constexpr int16_t delete_version = 5;
constexpr int16_t list_offsets_version = 5;

int64_t now_ns() { return system_clock().monotonic_ns(); }
void sleep_ms(int64_t ms) { sleep_until_ns(now_ns() + ms * 1'000'000); }

std::unexpected<Error> failed(const char* operation, const std::string& detail) {
    Error error{.code = Code::io, .os_errno = errno, .operation = operation};
    return std::unexpected(error.with_detail(detail));
}

// One that nobody listens at. Somebody may take it before it is used, which then shows.
Result<uint16_t> free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &size) == 0;
    ::close(socket);
    if (!bound) { return failed("bench.port", "no port is free"); }
    return ntohs(at.sin_port);
}

// A child that ends with us, whatever ends us, and prints into a file.
Result<pid_t> spawn_process(const std::vector<std::string>& command, const std::string& printed) {
    std::vector<char*> words;
    for (const std::string& word : command) { words.push_back(const_cast<char*>(word.c_str())); }
    words.push_back(nullptr);
    const int out = ::open(printed.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (out < 0 || nothing < 0) { return failed("bench.spawn", printed); }
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(out, STDERR_FILENO);
        ::execvp(words[0], words.data());
        ::_exit(127);
    }
    ::close(out);
    ::close(nothing);
    if (pid < 0) { return failed("bench.spawn", command[0]); }
    return pid;
}

// Kafka's metadata names leaders a moment before they lead: whether they do is told by asking them for their offsets.
bool leads(BlockingClient& client, const std::string& topic, int32_t partitions) {
    constexpr int64_t latest = -1;
    kafka::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& asked = request.topics.emplace_back();
    asked.name = topic;
    for (int32_t partition = 0; partition < partitions; ++partition) {
        asked.partitions.push_back({.partition_index = partition, .timestamp = latest});
    }
    const auto response = client.ask<kafka::ListOffsetsResponse>(request, list_offsets_version);
    if (!response || response->topics.size() != 1) { return false; }
    return std::ranges::all_of(response->topics[0].partitions,
                               [](const auto& partition) { return partition.error_code == kafka::ErrorCode::none; });
}

}  // namespace

std::string Programs::kafka_missing() const {
    if (kafka_jars.empty()) { return "no Kafka: not asked for"; }
    if (std::system("command -v java >/dev/null 2>&1") != 0) { return "no Kafka: there is no java"; }
    std::error_code ignored;
    bool server = false;
    for (const auto& entry : std::filesystem::directory_iterator(kafka_jars, ignored)) {
        server = server || entry.path().filename().string().starts_with("kafka-server-4");
    }
    if (!server) { return fmt::format("no Kafka: {} lacks its jars; ./dev interop fetches them", kafka_jars); }
    return {};
}

std::vector<std::string> java(const Programs& programs, const std::vector<std::string>& heap) {
    // bin/kafka-run-class.sh, KAFKA_JVM_PERFORMANCE_OPTS.
    std::vector<std::string> words{"java"};
    words.insert(words.end(), heap.begin(), heap.end());
    for (const char* option : {"-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                               "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"}) {
        words.emplace_back(option);
    }
    words.insert(words.end(), {"-cp", programs.kafka_jars + "/*"});
    return words;
}

Result<std::string> run_program(const std::vector<std::string>& command, const std::string& printed) {
    std::filesystem::remove(printed);
    TRY(const pid_t pid, spawn_process(command, printed));
    int status = 0;
    ::waitpid(pid, &status, 0);
    std::ifstream file(printed);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(Code::invalid, "bench.run", fmt::format("{} failed: {}", command[0], text.substr(0, 120)));
    }
    return text;
}

// --- BrokerServer ----------------------------------------------------------------------------------------------------

BrokerServer::BrokerServer(const Programs& programs, const ServerKind& kind, const std::string& directory)
    : programs_(programs), kind_(kind), directory_(directory) {}

BrokerServer::~BrokerServer() {
    kill();
    std::filesystem::remove_all(directory_);
}

Result<std::unique_ptr<BrokerServer>> BrokerServer::start(const Programs& programs, const ServerKind& kind,
                                                          const std::string& directory) {
    std::filesystem::create_directories(directory);
    std::unique_ptr<BrokerServer> server(new BrokerServer(programs, kind, directory));
    TRY(server->port_, free_port());
    if (kind.program == ServerKind::Program::kafka) { TRY_VOID(server->prepare_kafka()); }
    TRY_VOID(server->spawn());
    TRY_VOID(server->await());
    return server;
}

Result<void> BrokerServer::prepare_kafka() {
    TRY(const uint16_t controller, free_port());
    std::ofstream(directory_ + ".properties") << fmt::format(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{1}\n"
        "listeners=PLAINTEXT://127.0.0.1:{0},CONTROLLER://127.0.0.1:{1}\n"
        "advertised.listeners=PLAINTEXT://127.0.0.1:{0}\ninter.broker.listener.name=PLAINTEXT\n"
        "controller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
        "log.dirs={2}\noffsets.topic.replication.factor=1\n",
        port_, controller, directory_);
    std::ofstream(directory_ + ".log4j2.yaml")
        << "Configuration:\n  Appenders:\n    Console: {name: out, target: SYSTEM_ERR}\n"
           "  Loggers:\n    Root: {level: WARN, AppenderRef: {ref: out}}\n";
    auto format = java(programs_, {"-Xmx256m", "-XX:TieredStopAtLevel=1"});
    format.insert(format.end(), {"kafka.tools.StorageTool", "format", "-t", "Zmxvd3N0b25lLWJlbmNoMQ", "-c",
                                 directory_ + ".properties"});
    TRY_VOID(run_program(format, directory_ + ".format.log"));
    return {};
}

std::vector<std::string> BrokerServer::command() const {
    switch (kind_.program) {
        case ServerKind::Program::ours:
            return {programs_.flowstoned,
                    "--data",
                    directory_,
                    "--listen",
                    fmt::format("127.0.0.1:{}", port_),
                    "-X",
                    "http=off"};
        case ServerKind::Program::floor: return {programs_.own, "--floor", fmt::to_string(port_), directory_};
        case ServerKind::Program::kafka: break;
    }
    // bin/kafka-server-start.sh, KAFKA_HEAP_OPTS.
    auto words = java(programs_, {"-Xmx1G", "-Xms1G", "-Dlog4j2.configurationFile=" + directory_ + ".log4j2.yaml"});
    words.insert(words.end(), {"kafka.Kafka", directory_ + ".properties"});
    return words;
}

Result<void> BrokerServer::spawn() {
    TRY(pid_, spawn_process(command(), directory_ + ".log"));
    return {};
}

Result<void> BrokerServer::await() {
    const int64_t until = now_ns() + start_ns_max;
    while (now_ns() < until) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return fail(Code::io, "bench.start", fmt::format("{} ended: see {}.log", kind_.name, directory_));
        }
        BlockingClient client(port_);
        kafka::MetadataRequest request;
        const auto response = client.ask<kafka::MetadataResponse>(request, metadata_version);
        if (response && !response->brokers.empty()) { return {}; }
        sleep_ms(1);
    }
    return fail(Code::timed_out, "bench.start", fmt::format("{} does not answer: see {}.log", kind_.name, directory_));
}

void BrokerServer::end() {
    if (pid_ <= 0) { return; }
    ::kill(pid_, SIGTERM);
    for (int tenths = 0; tenths < 300; ++tenths) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            return;
        }
        sleep_ms(100);
    }
    kill();
}

void BrokerServer::kill() {
    if (pid_ <= 0) { return; }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

int64_t BrokerServer::cpu_ns() const {
    clockid_t clock{};
    timespec time{};
    if (pid_ <= 0 || ::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) { return 0; }
    return time.tv_sec * second_ns + time.tv_nsec;
}

uint64_t BrokerServer::resident_bytes() const {
    std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid_));
    for (std::string line; std::getline(rollup, line);) {
        if (line.starts_with("Rss:")) { return std::stoull(line.substr(4)) * 1024; }
    }
    return 0;
}

void BrokerServer::settle() const {
    constexpr int64_t quiet_cpu_ns = 2'000'000;
    for (int looks = 0; looks < 20; ++looks) {
        const int64_t before = cpu_ns();
        sleep_ms(100);
        if (cpu_ns() - before < quiet_cpu_ns) { return; }
    }
}

void BrokerServer::forget_pages() const {
    ::sync();  // only clean pages can be dropped
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
        if (!entry.is_regular_file()) { continue; }
        const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) { continue; }
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

Result<void> BrokerServer::create_topic(const std::string& topic, int32_t partitions) const {
    if (kind_.program == ServerKind::Program::floor) { return {}; }
    kafka::CreateTopicsRequest request;
    auto& made = request.topics.emplace_back();
    made.name = topic;
    made.num_partitions = partitions;
    made.replication_factor = 1;
    made.configs.push_back({"retention.ms", "-1"});  // the records' times are long ago
    for (const auto& [name, value] : kind_.topic_configs) { made.configs.push_back({name, value}); }
    BlockingClient client(port_, 120);
    const auto response = client.ask<kafka::CreateTopicsResponse>(request, create_version);
    if (!response || response->topics.size() != 1) { return fail(Code::io, "bench.create_topic", "no answer"); }
    if (response->topics[0].error_code != kafka::ErrorCode::none) {
        return fail(Code::invalid, "bench.create_topic", response->topics[0].error_message.value_or("refused"));
    }
    if (kind_.program == ServerKind::Program::ours) { return {}; }
    const int64_t until = now_ns() + start_ns_max;
    while (now_ns() < until) {
        if (leads(client, topic, partitions)) { return {}; }
        sleep_ms(5);
    }
    return fail(Code::timed_out, "bench.create_topic", "its partitions have no leaders");
}

Result<void> BrokerServer::delete_topic(const std::string& topic) const {
    if (kind_.program == ServerKind::Program::floor) { return {}; }
    kafka::DeleteTopicsRequest request;
    request.topic_names.push_back(topic);
    request.timeout_ms = 60'000;
    BlockingClient client(port_, 120);
    if (!client.ask<kafka::DeleteTopicsResponse>(request, delete_version)) {
        return fail(Code::io, "bench.delete_topic", "no answer");
    }
    return {};
}

}  // namespace flowstone::bench
