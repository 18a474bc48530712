// The servers that bench/broker_bench measures: each a process of its own, started, measured and ended by its id.
//
// Ours is `flowstoned` of the same build. Kafka is what tests/interop/run fetches with Maven (build/interop/lib), started
// with the options of Kafka's own start script, one node that is broker and controller. Processor time is the kernel's
// account of the process, memory what /proc/PID/smaps_rollup says is resident. Threads: one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <flowstone/result.h>

namespace flowstone::bench {

struct ServerKind {
    enum class Program : uint8_t { ours, kafka, floor };
    std::string name;
    Program program = Program::ours;
    std::map<std::string, std::string> topic_configs{};  // of every topic that is made on it
};

// Where programs are.
struct Programs {
    std::string own;         // this binary
    std::string flowstoned;  // beside it in the build directory
    std::string kafka_jars;  // build/interop/lib; may not be there; empty: Kafka is not wanted
    // Why Kafka cannot be started; empty when it can.
    std::string kafka_missing() const;
};

class BrokerServer {
public:
    // Starts it over `directory`, which it keeps until it goes. What it prints is in DIRECTORY.log.
    // Errors: io; timed_out, when it does not answer within a minute; with the place of what it printed.
    static Result<std::unique_ptr<BrokerServer>> start(const Programs& programs, const ServerKind& kind,
                                                       const std::string& directory);
    ~BrokerServer();  // kills it

    Result<void> spawn();  // again, over the same directory and at the same port
    Result<void> await();  // until it answers a request for metadata
    void end();            // SIGTERM, and waits
    void kill();           // SIGKILL, and waits

    uint16_t port() const { return port_; }
    const std::string& directory() const { return directory_; }
    const ServerKind& kind() const { return kind_; }
    int64_t cpu_ns() const;  // user and system, of all of its threads
    uint64_t resident_bytes() const;
    // Waits until it has done what it put off: until 100 ms pass with less than 2 ms of processor time, 2 s at most.
    void settle() const;
    // What it keeps in files is not in the page cache any more.
    void forget_pages() const;

    // Errors: io, timed_out, invalid (refused).
    Result<void> create_topic(const std::string& topic, int32_t partitions) const;
    Result<void> delete_topic(const std::string& topic) const;

    bool warm = false;  // whether something was produced to it already, for a server that compiles as it runs

private:
    BrokerServer(const Programs& programs, const ServerKind& kind, const std::string& directory);
    Result<void> prepare_kafka();
    std::vector<std::string> command() const;

    Programs programs_;
    ServerKind kind_;
    std::string directory_;
    uint16_t port_ = 0;
    pid_t pid_ = -1;
};

// Runs a program to its end. What it printed is returned. Errors: io; invalid, when it failed.
Result<std::string> run_program(const std::vector<std::string>& command, const std::string& printed);

std::vector<std::string> java(const Programs& programs, const std::vector<std::string>& heap);

}  // namespace flowstone::bench
