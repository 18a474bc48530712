// Flowstone's client: topics, configurations, groups, offsets and brokers, over the network.
//
//   auto client = flowstone::Client::open("127.0.0.1:9092");     // <flowstone/client.h>
//   auto admin = client->admin();
//   admin.create_topic("transactions.raw", {.partitions = 8, .configs = {{"retention.ms", "604800000"}}});
//   for (const auto& topic : admin.topics().value_or({})) { ... }
//   auto ends = admin.ends({{"transactions.raw", 0}, {"transactions.raw", 1}});
//
// Every call goes to the broker whose matter it is (the controller, a group's coordinator, a partition's leader) and is
// over after `timeout` at the latest. What a broker certainly did not do is asked again until then, elsewhere if there is
// somebody else; what may have been done is asked again only where doing it twice is doing it once. Else the error says so.
//
// Calls that take lists ask each broker in as few requests as the protocol allows, and tell of each thing by itself: what
// fails for one of them does not fail for the others. Results are in the order of what was asked for.
//
// Errors of all calls: timed_out (no broker answered in time, and why), io, unsupported (the broker knows no such request),
// closed, corrupt (an answer that makes no sense), busy (it may work later), invalid (it never will, with the broker's
// words). advice() in <flowstone/client.h> says what an error is worth trying.
//
// Threads: any number. An Admin must not outlive its Client.
//
// This header is public (installed as <flowstone/admin.h>): standard library only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/log.h>

namespace flowstone {

struct NewTopic {
    int32_t partitions = 1;  // -1: as many as the broker's configuration says
    ConfigMap configs{};
    bool exists_ok = false;  // an existing topic is left as it is
    int16_t replicas = -1;   // -1: as many as the broker's configuration says
};

struct RemotePartition {
    int32_t leader = -1;  // a broker; -1: nobody, now
    Epoch epoch{};        // of the leader; -1 where brokers do not tell
    std::vector<int32_t> replicas{};
    std::vector<int32_t> in_sync{};
};
struct RemoteTopic {
    std::string name;
    Uuid id;  // zeros where brokers know none
    bool internal = false;
    std::vector<RemotePartition> partitions;  // by number
};

// What has configurations.
struct ConfigOwner {
    enum class Kind : int8_t { topic = 2, broker = 4 };
    Kind kind = Kind::topic;
    std::string name;  // of the topic; a broker's number
    static ConfigOwner topic(std::string_view name) { return {Kind::topic, std::string(name)}; }
    static ConfigOwner broker(int32_t id) { return {Kind::broker, std::to_string(id)}; }
};
struct RemoteConfig {
    enum class Source : int8_t {
        unknown = 0,
        topic = 1,           // set on the topic
        broker = 2,          // set on the broker while it runs
        all_brokers = 3,     // the same, on all of them
        broker_program = 4,  // given to the broker as it started
        built_in = 5,
    };
    std::string name;
    std::optional<std::string> value;  // nothing: a secret
    Source source = Source::unknown;
    std::optional<std::string> default_value;  // what it would be if nobody had set anything, where brokers tell
    bool read_only = false;
    std::string documentation;
};

struct RemoteGroup {
    std::string name;
    std::string state;     // "Stable", "Empty", ...; empty where brokers do not tell
    std::string protocol;  // "consumer", or what its members call theirs
};
struct RemoteMember {
    std::string id;
    std::optional<std::string> instance;  // of a static member
    std::string client_id;
    std::string host;
    std::vector<TopicPartition> assigned;  // of consumers
};
struct RemoteGroupDetail {
    std::string name;
    std::string state;
    std::string protocol;
    std::string assignor;  // that its members agreed on; empty while there are none
    std::vector<RemoteMember> members;
};

struct PartitionOffsets {
    Offset log_start;
    Offset high_watermark;
};

struct RemoteBroker {
    int32_t id = -1;
    std::string host;
    uint16_t port = 0;
    std::optional<std::string> rack;
};
struct RemoteCluster {
    std::string id;           // empty where brokers know none
    int32_t controller = -1;  // -1: nobody, now
    std::vector<RemoteBroker> brokers;
};

class AdminDoor;

class FLOWSTONE_EXPORT Admin {
public:
    using Timeout = std::chrono::milliseconds;
    static constexpr Timeout asks{30'000};
    template <class T>
    using Each = std::vector<Result<T>>;

    // --- topics ---
    // Errors: exists, invalid (name, counts, configs).
    Result<void> create_topic(std::string_view name, const NewTopic& topic = {}, Timeout timeout = asks);
    Result<std::vector<RemoteTopic>> topics(Timeout timeout = asks);           // all, by name
    Result<RemoteTopic> topic(std::string_view name, Timeout timeout = asks);  // Errors: not_found.
    // Errors: not_found.
    Result<void> delete_topic(std::string_view name, Timeout timeout = asks);
    // `total`: how many there are afterwards. Errors: not_found, invalid (not more than before).
    Result<void> add_partitions(std::string_view topic, int32_t total, Timeout timeout = asks);

    // --- configurations ---
    // Those that can be set on each, with what is in force. Errors: not_found.
    Each<std::vector<RemoteConfig>> configs_of(const std::vector<ConfigOwner>& owners, Timeout timeout = asks);
    Result<std::vector<RemoteConfig>> configs(const ConfigOwner& owner, Timeout timeout = asks);
    // What is named in neither stays as it is. Errors: not_found, invalid.
    Result<void> alter_configs(const ConfigOwner& owner, const ConfigMap& set,
                               const std::vector<std::string>& unset = {}, Timeout timeout = asks);

    // --- partitions ---
    // Errors: not_found.
    Each<PartitionOffsets> ends(const std::vector<TopicPartition>& places, Timeout timeout = asks);
    Result<PartitionOffsets> ends(const TopicPartition& place, Timeout timeout = asks);
    // Where that is in each: the log start, the high watermark, the first record at or after a time or else the high
    // watermark, or an offset that is from the one to the other. `read_committed`: an open transaction's first record is in
    // the high watermark's place, if there is one. Errors: not_found, out_of_range.
    Each<Offset> offsets_at(const std::vector<TopicPartition>& places, const From& from, Timeout timeout = asks,
                            bool read_committed = false);
    Result<Offset> offset_at(const TopicPartition& place, const From& from, Timeout timeout = asks,
                             bool read_committed = false);
    // Bytes in the files of the partition's leader; nothing where the broker does not tell.
    Each<std::optional<uint64_t>> bytes(const std::vector<TopicPartition>& places, Timeout timeout = asks);
    // Makes everything before `before` unreadable, and answers the new log start. Errors: not_found, out_of_range.
    Result<Offset> delete_records(const TopicPartition& place, Offset before, Timeout timeout = asks);

    // --- groups ---
    Result<std::vector<RemoteGroup>> groups(Timeout timeout = asks);  // of all brokers, by name
    // Errors: not_found.
    Each<RemoteGroupDetail> describe_groups(const std::vector<std::string>& names, Timeout timeout = asks);
    Result<RemoteGroupDetail> group(std::string_view name, Timeout timeout = asks);
    // Errors: not_found; busy, while it has members.
    Result<void> delete_group(std::string_view name, Timeout timeout = asks);
    // What it has committed, by topic and partition; nothing at all for a group that never did.
    Each<std::vector<GroupOffset>> offsets_of(const std::vector<std::string>& groups, Timeout timeout = asks);
    Result<std::vector<GroupOffset>> offsets(std::string_view group, Timeout timeout = asks);
    // Commits for a group, which is made if it is not there. Errors: busy, while it has members: they commit themselves;
    // not_found (a topic or partition).
    Result<void> alter_offsets(std::string_view group, const std::vector<GroupOffset>& offsets, Timeout timeout = asks);
    // Forgets what it committed of a topic. Errors: not_found; busy, while members read that topic.
    Result<void> delete_offsets(std::string_view group, std::string_view topic, Timeout timeout = asks);

    // --- cluster ---
    Result<RemoteCluster> cluster(Timeout timeout = asks);

    // Client::admin() makes them; the door is the library's own.
    explicit Admin(std::shared_ptr<AdminDoor> door);

private:
    std::shared_ptr<AdminDoor> door_;  // owners: each copy of this
};

}  // namespace flowstone
