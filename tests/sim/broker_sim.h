// A broker and its clients in one process, on a simulated disk, network and clock: one seed, one exact run.
//
// Producers, idempotent and plain, write; members of a group share partitions, read and commit; an admin makes and
// deletes topics and deletes records. Meanwhile connections are reset and ended, the broker's process dies, is stopped,
// or its machine loses power, and comes back after a while. What was promised is checked as it is answered, and again
// at the end, when everything has healed:
//
//   acknowledged is kept      every record acknowledged, or shown to a reader, is at its offset with the same bytes
//   gapless offsets           each partition, read from its start, has every offset up to its high watermark
//   no read past the end      no fetch returns records at or above the high watermark that it says
//   once and in order         an idempotent producer's records are there once, in the order of sending
//   commits never go back     a group's offset is never below one acknowledged or shown before
//   topics are what was said  made once made, gone once deleted; a log start that was told never goes back
//   convergence               after healing everything asked is answered, and the group reads and commits to the end
//
// Pure but for its own world: the same seed gives the same hash of everything that was answered and done.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/environment.h"
#include "net/broker/broker.h"
#include "net/kafka/frame.h"
#include "tests/sim/world/faulty_disk.h"
#include "tests/sim/world/sim_clock.h"
#include "tests/sim/world/sim_disk.h"
#include "tests/sim/world/sim_network.h"
#include "tests/sim/world/sim_random.h"

namespace flowstone {

// Partitions whose every record is known.
enum Place : uint8_t { kept_0, kept_1, trimmed_0 };
constexpr size_t places = 3;
constexpr const char* topic_of(size_t place) { return place == trimmed_0 ? "trimmed" : "kept"; }
constexpr int32_t partition_of(size_t place) { return place == kept_1 ? 1 : 0; }

class BrokerSim;

// One connection at a time, and what was asked on it. Bytes come and go when it is its turn.
class SimClient {
public:
    SimClient(BrokerSim& sim, std::string name) : sim_(sim), name_(std::move(name)) {}
    virtual ~SimClient() = default;

    void turn();
    void drop(bool reset);  // the connection, if there is one
    bool idle() const { return asked_.empty(); }
    const std::string& name() const { return name_; }

protected:
    virtual void act() = 0;   // it is connected: ask something, or not
    virtual void lost() = 0;  // what was asked is not answered any more

    template <class Response, class Message>
    void ask(const Message& message, int16_t version, std::function<void(Response&)> then) {
        kafka::Gather frame;
        kafka::frame_request({.api_version = version, .correlation_id = ++sent_, .client_id = name_}, message, frame);
        const auto bytes = frame.flat();
        out_.insert(out_.end(), bytes.begin(), bytes.end());
        asked_.push_back({sent_, [this, version, then = std::move(then)](Bytes answer) {
                              const auto parsed = kafka::parse_response(answer, Response::api_key, version);
                              if (!parsed || parsed->correlation_id != asked_.front().correlation_id) {
                                  return misunderstood(Response::message_name);
                              }
                              auto response = kafka::decode<Response>(parsed->body, version);
                              if (!response) { return misunderstood(Response::message_name); }
                              then(*response);
                          }});
    }
    size_t waiting() const { return asked_.size(); }

    BrokerSim& sim_;

private:
    struct Asked {
        int32_t correlation_id;
        std::function<void(Bytes)> then;
    };
    void misunderstood(const char* what);
    void forget();
    bool exchange();

    std::string name_;
    std::optional<SimNetwork::SocketId> socket_;
    std::vector<std::byte> in_;
    std::vector<std::byte> out_;
    std::deque<Asked> asked_;
    int32_t sent_ = 0;
};

class SimProducer;
class SimMember;
class SimAdmin;

class BrokerSim {
public:
    struct Options {
        uint64_t seed = 1;
        uint32_t steps = 1'200;
    };
    explicit BrokerSim(const Options& options);
    ~BrokerSim();

    // Returns what is wrong, or "".
    std::string run();
    uint64_t hash() const { return hash_; }

    // --- for the clients ---
    SimRandom& random() { return random_; }
    SimNetwork& network() { return network_; }
    SimClock& clock() { return clock_; }
    std::optional<HostPort> address() const { return broker_ ? std::optional(address_) : std::nullopt; }
    bool healing() const { return healing_; }  // nothing new is to be written
    void fault(std::string what);
    void trace(Bytes bytes);
    void trace(std::string_view what) { trace(as_bytes(what)); }

    // What was acknowledged or shown.
    void know(size_t place, int64_t offset, std::string_view value);
    // Records of a fetch from `from`. Returns where to read on.
    int64_t read(size_t place, int64_t from, const kafka::Records& records, int64_t high_watermark);
    int64_t known_end(size_t place) const { return known_[place].empty() ? 0 : known_[place].rbegin()->first + 1; }
    void log_start(size_t place, int64_t start);  // as told
    int64_t told_start(size_t place) const { return starts_[place]; }
    // Commits of the group: acknowledged or shown.
    void committed(size_t place, int64_t offset);

private:
    void open();
    void die(bool power);
    void stop();
    void round(int64_t wait_ms);
    void step();
    void converge();
    void read_everything();
    bool settled() const;

    Options options_;
    SimRandom random_;         // the plan's
    SimRandom broker_random_;  // the broker's own
    SimClock clock_;
    SimNetwork network_;
    std::unique_ptr<SimDisk> disk_;
    std::unique_ptr<FaultyDisk> faulty_;  // what the log sees of it
    std::optional<Log> log_;
    std::unique_ptr<Broker> broker_;
    HostPort address_;
    int64_t back_at_ms_ = 0;  // while there is no broker
    bool healing_ = false;
    std::vector<std::unique_ptr<SimProducer>> producers_;
    std::vector<std::unique_ptr<SimMember>> members_;
    std::unique_ptr<SimAdmin> admin_;
    std::vector<SimClient*> clients_;
    std::array<std::map<int64_t, std::string>, places> known_;
    std::array<int64_t, places> starts_{};
    std::array<int64_t, places> commits_{};
    std::string fault_;
    uint64_t hash_ = 0xcbf29ce484222325ull;
};

// Sends batches that it keeps until they are acknowledged.
class SimProducer final : public SimClient {
public:
    SimProducer(BrokerSim& sim, int number, bool idempotent, size_t place)
        : SimClient(sim, "producer-" + std::to_string(number)),
          number_(number),
          idempotent_(idempotent),
          place_(place) {}
    bool settled() const { return unknown_.empty(); }
    bool idempotent() const { return idempotent_; }
    size_t place() const { return place_; }
    std::string prefix() const { return std::to_string(number_) + ":"; }
    int32_t sent() const { return next_; }

protected:
    void act() override;
    void lost() override { on_the_way_ = 0; }

private:
    struct Batch {
        int32_t first;
        std::vector<std::string> values;
        std::vector<std::byte> bytes;
    };
    void make_batch();
    void send(const Batch& batch);

    int number_;
    bool idempotent_;
    size_t place_;
    int64_t id_ = -1;
    int32_t next_ = 0;
    std::deque<Batch> unknown_;  // the first on_the_way_ of them are asked on this connection
    size_t on_the_way_ = 0;
};

// A member of the one group: reads what it is given, and commits.
class SimMember final : public SimClient {
public:
    SimMember(BrokerSim& sim, int number) : SimClient(sim, "member-" + std::to_string(number)) {}
    // Which of `kept` it has, and whether it has committed them up to `end`.
    bool has(int32_t partition) const { return state_ == State::working && positions_.contains(partition); }
    bool committed_to(int32_t partition, int64_t end) const {
        const auto found = committed_.find(partition);
        return has(partition) && found != committed_.end() && found->second >= end;
    }

    std::string describe() const;

protected:
    void act() override;
    void lost() override { restart(true); }

private:
    enum class State : uint8_t { finding, joining, syncing, asking, working };
    void restart(bool as_new);
    void failed(kafka::ErrorCode error);
    void find();
    void join();
    void sync();
    void ask_offsets();
    void work();
    void heartbeat();
    void commit();
    void fetch();

    State state_ = State::finding;
    std::string member_id_;
    int32_t generation_ = -1;
    std::vector<std::string> all_;  // of the leader: whom to give partitions
    std::map<int32_t, int64_t> positions_;
    std::map<int32_t, int64_t> committed_;
    int64_t beat_ms_ = 0;
};

// Makes and deletes a topic, deletes records, and looks whether things are as they were said to be.
class SimAdmin final : public SimClient {
public:
    explicit SimAdmin(BrokerSim& sim) : SimClient(sim, "admin") {}
    bool ready() const { return ready_; }  // the topics that everybody uses are there

protected:
    void act() override;
    void lost() override;

private:
    enum class Is : uint8_t { absent, there, unknown };
    void create(const std::string& topic, int32_t partitions);
    void remove();
    void look();
    void trim();

    bool ready_ = false;
    Is passing_ = Is::absent;   // the topic "passing"
    Is becoming_ = Is::absent;  // what was asked last makes it so
};

}  // namespace flowstone
