// Flowstone's client: produce and consume, in this process, on this machine, over the network.
//
//   auto client = flowstone::Client::open("127.0.0.1:9092");
//   auto producer = client->producer();
//   auto raw = producer->topic("transactions.raw");              // resolved once
//   auto sent = raw->send({.key = card, .value = event});        // copied; goes out with others of its partition
//   auto at = sent->wait();                                      // Result<Position>: acknowledged, or why not
//
//   auto consumer = client->consumer();
//   consumer->assign({{"transactions.raw", 0}});
//   while (auto batch = consumer->poll(1s)) {                    // false is an error: batch.error()
//       for (const auto& record : *batch) { ... }                // views, valid until the next poll
//   }
//
//   auto member = client->consumer({.group = "billing"});        // shares its topics with the others of its group
//   member->subscribe({"transactions.raw"});                     // poll as above, and commit()
//
// The endpoint says where the log is; everything else is alike:
//   HOST:PORT[,HOST:PORT]...  brokers of ours, or of Apache Kafka (tried with 4.3)
//   dir:PATH                  this process holds the log in that directory, and serves it to others on this machine
//   shm:PATH                  another process of this machine holds it: a program with dir:PATH, or flowstoned
//
// Threads: Client, Producer and their topics are safe from any number of threads; a Consumer belongs to one thread at a
// time. One thread of the library's own serves them all and ends with close(); with dir:PATH those of its log and of the
// broker on it, too. They block all signals. Producers and consumers must not outlive their Client. After fork() the child's calls answer
// `closed`.
//
// This header is public (installed as <flowstone/client.h>): standard library only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/log.h>

namespace flowstone {

// What is worth doing about an error of the client.
enum class Advice : uint8_t {
    retry,    // the same again later may succeed
    give_up,  // it never will
    fenced,   // somebody newer has taken this one's place: end
};
inline Advice advice(const Error& error) {
    switch (error.code) {
        case Code::io:
        case Code::busy:
        case Code::offline:
        case Code::no_space:
        case Code::locked:
        case Code::timed_out: return Advice::retry;
        case Code::stale_epoch: return Advice::fenced;
        case Code::corrupt:
        case Code::not_found:
        case Code::out_of_range:
        case Code::closed:
        case Code::invalid:
        case Code::exists:
        case Code::read_only:
        case Code::too_large:
        case Code::out_of_order:
        case Code::unsupported: return Advice::give_up;
    }
    return Advice::give_up;
}

struct ClientOptions {
    std::string client_id = "flowstone";
    std::chrono::milliseconds request_timeout{30'000};  // of one request; its connection is given up with it
    Options log{.threads = 1};                          // of dir:PATH; one thread at least
};

enum class Acks : int8_t {
    none = 0,    // nobody tells; offsets are not known
    leader = 1,  // the leader has it
    all = -1,    // every replica in the in-sync set has it
};
enum class Compression : uint8_t { none, gzip, snappy, lz4, zstd };

struct ProducerOptions {
    Acks acks = Acks::all;
    bool idempotent = true;  // no record twice, and in order, whatever is sent again; needs Acks::all
    Compression compression = Compression::none;
    std::chrono::milliseconds linger{5};  // a batch that is not full waits so long for more
    // A larger record is a batch of its own; one that has to wait behind others grows meanwhile, to 16 times that or 1 MB.
    // What a broker finds too large is sent again in smaller ones.
    size_t batch_bytes_max = 64u << 10;
    size_t buffer_bytes_max = 32u << 20;                  // of all that is not acknowledged
    std::chrono::milliseconds full_wait_max{60'000};      // that send() waits for room there; 0: busy at once
    std::chrono::milliseconds delivery_timeout{120'000};  // from send() to the verdict
};

class ClientLoop;
class HeldLog;
class NativeProducer;
class NativeTopic;
class ProducerBatch;
class ProducerCore;
struct ProducerTopicQueue;

// What becomes of a record. Copies are cheap. It may be dropped: the record is sent all the same. With dir:PATH it must not
// outlive its Client.
class FLOWSTONE_EXPORT Delivery {
public:
    // Waits until the record is acknowledged or never will be. With Acks::none the offset is -1.
    // Errors: timed_out, of this wait, after which it may be called again; else why it was not: each says whether the
    // record is certainly not in the log or that is unknown.
    Result<Position> wait(std::chrono::milliseconds timeout = std::chrono::hours(24)) const;
    bool done() const;

private:
    friend class ProducerTopic;
    Delivery(std::shared_ptr<ProducerBatch> batch, int32_t index) : batch_(std::move(batch)), index_(index) {}
    Delivery(const NativeTopic* native, const Position& at) : native_(native), at_(at) {}
    std::shared_ptr<ProducerBatch> batch_;  // owners: the producer until it is done, and each of these
    int32_t index_ = 0;
    const NativeTopic* native_ = nullptr;  // in place of a batch: of a log that this process holds
    Position at_;
};
// Called once, in a thread of the client's: it must not wait.
using DeliveryCallback = std::function<void(const Result<Position>&)>;

// With dir:PATH, and neither a codec nor Acks::none, records go straight into the log: what is said of batches and lingering
// does not hold, others see a record when it has reached its topic's level, and buffer_bytes_max is Options::dirty_bytes_max.
class FLOWSTONE_EXPORT ProducerTopic {
public:
    // Copies the record into a batch. Keys go to the partitions that Java's clients choose (murmur2); without a key one
    // partition has a batch, then another.
    // Errors: busy (no room in time), too_large, out_of_range (the partition), closed. The record was not sent.
    Result<Delivery> send(const Record& record, std::optional<int32_t> partition = {});
    Result<Delivery> send(const Record& record, int32_t partition) { return send(record, std::optional(partition)); }
    Result<void> send(const Record& record, DeliveryCallback done, std::optional<int32_t> partition = {});
    int32_t partitions() const;  // as far as known now
    const std::string& name() const;

private:
    friend class Producer;
    ProducerTopic(std::shared_ptr<ProducerCore> core, ProducerTopicQueue* queue, NativeTopic* native)
        : core_(std::move(core)), queue_(queue), native_(native) {}
    std::shared_ptr<ProducerCore> core_;  // owners: the client, the producer and its topics
    ProducerTopicQueue* queue_;
    NativeTopic* native_;  // not null: records go there, straight into the log
};

class FLOWSTONE_EXPORT Producer {
public:
    // Asks until the brokers know the topic. Errors: not_found, timed_out, closed, invalid (the name).
    Result<ProducerTopic> topic(std::string_view name, std::chrono::milliseconds timeout = std::chrono::seconds(30));
    // Sends what is there at once and waits for all of it. Errors: timed_out. What failed its Delivery tells.
    Result<void> flush(std::chrono::milliseconds timeout = std::chrono::seconds(120));

private:
    friend class Client;
    Producer(std::shared_ptr<ProducerCore> core, ClientLoop* loop, NativeProducer* native)
        : core_(std::move(core)), loop_(loop), native_(native) {}
    std::shared_ptr<ProducerCore> core_;  // owners: as ProducerTopic's
    ClientLoop* loop_;
    NativeProducer* native_;  // null: records go through a broker
};

// How a group shares its partitions; those of the Java client, and Java's members may be in the same group.
enum class Assignor : uint8_t {
    range,               // of each topic, neighbours
    round_robin,         // all partitions of all topics in turn
    sticky,              // even, and each keeps what it had as far as that allows
    cooperative_sticky,  // the same; what moves is first given up by who has it, while all else is read on
};
// Where a member begins where its group has committed nothing, or what it committed is no longer there.
enum class Start : uint8_t {
    beginning,
    end,
    error,  // poll() says not_found or out_of_range, naming the partition: seek
};

struct ConsumerOptions {
    bool read_committed = false;                // leave out what aborted transactions wrote, and wait for open ones
    size_t fetch_bytes_max = 8u << 20;          // of one answer
    size_t partition_bytes_max = 1u << 20;      // of one partition in it
    std::chrono::milliseconds fetch_wait{500};  // that a broker waits for something to answer
    bool check_crcs = true;
    // Every batch whole, for who copies them: markers, and with read_committed what aborted transactions wrote, too.
    // Records are not looked into before they are asked for.
    bool whole_batches = false;

    std::string group{};     // whose offsets are committed, and with subscribe() whose member this is; empty: none
    std::string instance{};  // of a static member: it keeps its partitions when it is back within its session
    // The dearest first; the group takes one that all of its members know. Nothing but cooperative_sticky: what stays
    // is read on while the group shares anew.
    std::vector<Assignor> assignors{Assignor::range, Assignor::cooperative_sticky};
    std::chrono::milliseconds session_timeout{45'000};     // unheard of for so long it is no member any more
    std::chrono::milliseconds heartbeat_interval{3'000};   // a third of that at most
    std::chrono::milliseconds max_poll_interval{300'000};  // it leaves when nobody calls poll() for so long
    Start start = Start::beginning;
    // So often poll() commits the positions, which are behind what it gave before that call; so do a rebalance and
    // close(). 0: only commit() does.
    std::chrono::milliseconds auto_commit{0};
    std::chrono::milliseconds topics_refresh{300'000};  // between two looks for topics of a pattern, and new partitions
};

class Consumer;
class ConsumerCore;
struct FetchedBatch;

// What a member is told when its group shares anew: within poll(), unsubscribe() or close(), in the thread that calls
// them. Each may be empty, and may call the consumer, but for those three.
struct RebalanceListener {
    using Call = std::function<void(Consumer&, const std::vector<TopicPartition>&)>;
    Call assigned{};  // in addition to what it has, perhaps nothing; a seek here holds
    Call revoked{};   // these go, once this returns: it may commit
    Call lost{};      // these have gone, and another may read them already: a commit of them is refused
    // After each of these calls poll() returns an empty batch, and what was revoked goes when it is called again: what is to
    // be done before that may be done outside, with the same consumer.
    bool ends_poll = false;
};

// Called once, as a listener is.
using CommitCallback = std::function<void(const Result<void>&)>;

// The records of one batch at or after where the consumer stands in that partition. A view, valid until the next poll.
class FLOWSTONE_EXPORT ConsumedBatch {
public:
    class Iterator {
    public:
        using value_type = RecordView;
        using difference_type = std::ptrdiff_t;
        const RecordView& operator*() const { return record_; }
        const RecordView* operator->() const { return &record_; }
        Iterator& operator++() {
            advance();
            return *this;
        }
        void operator++(int) { advance(); }
        bool operator==(std::default_sentinel_t) const { return batch_ == nullptr; }

    private:
        friend class ConsumedBatch;
        explicit Iterator(FetchedBatch* batch) : batch_(batch) { advance(); }
        FLOWSTONE_EXPORT void advance();
        FetchedBatch* batch_;  // null at the end
        RecordView record_;
    };
    Iterator begin() const { return Iterator(batch_); }  // once: records are decoded as they are visited
    std::default_sentinel_t end() const { return {}; }

    bool empty() const { return batch_ == nullptr; }  // the time-out passed
    const std::string& topic() const;                 // these four: of one that is not empty
    int32_t partition() const;
    Offset next_offset() const;
    std::span<const std::byte> bytes() const;  // the whole batch as it came, record batch v2

private:
    friend class Consumer;
    explicit ConsumedBatch(FetchedBatch* batch) : batch_(batch) {}
    FetchedBatch* batch_;
};

class FLOWSTONE_EXPORT Consumer {
public:
    using Timeout = std::chrono::milliseconds;
    static constexpr Timeout patience{30'000};
    Consumer(Consumer&&) noexcept;
    Consumer& operator=(Consumer&&) noexcept;
    ~Consumer();

    // Reads exactly these from now on; those that were assigned before go on where they stand, others from `from`.
    // Errors: invalid, while it is subscribed.
    Result<void> assign(const std::vector<TopicPartition>& partitions, From from = {});
    Result<void> seek(const TopicPartition& partition, From from);
    void pause(const TopicPartition& partition);
    void resume(const TopicPartition& partition);

    // The next batch of any of them, waiting up to `timeout` for one; an empty one when there is none.
    // Errors: out_of_range (what comes next was trimmed away, or never was: seek), corrupt, not_found (the topic is gone),
    // closed. The partition is named, and stands before that until it is sought; the others can be polled on. Of a member besides, each time until it unsubscribes:
    // stale_epoch (another has its instance id), invalid, unsupported: the group will not have it.
    Result<ConsumedBatch> poll(std::chrono::milliseconds timeout);
    // Of the next record that poll() gives. Nothing before the first answer where it began at an end or a time.
    std::optional<Offset> position(const TopicPartition& partition) const;
    // Records between there and the high watermark of the last answer.
    std::optional<int64_t> lag(const TopicPartition& partition) const;
    // The first records at or after these times, in milliseconds since 1970; nothing where none is.
    // Errors: not_found, timed_out, closed.
    Result<std::vector<std::optional<Offset>>> offsets_for_times(
        const std::vector<std::pair<TopicPartition, int64_t>>& times, Timeout timeout = patience);

    // --- as a member of a group (ConsumerOptions::group) ---
    // Joins the group, in the background, or says what it wants from now on: these topics, or those whose whole names
    // match an ECMAScript expression ("orders\\..*"), as they come and go. poll() reads what the group gives it.
    // Errors: invalid (no group, no or bad names, a bad expression, or partitions are assigned), closed.
    Result<void> subscribe(std::vector<std::string> topics, RebalanceListener listener = {});
    Result<void> subscribe_matching(std::string_view expression, RebalanceListener listener = {});
    // Gives up what it reads, and leaves the group unless it is a static member. Errors: timed_out: of a listener's or the
    // group's part in it; it is out all the same.
    Result<void> unsubscribe(Timeout timeout = patience);
    std::vector<TopicPartition> assignment() const;

    // The positions, that is behind all that poll() has given; or these. Done again while that may help.
    // Errors: stale_epoch (fenced: the partitions are another's), busy (the group is sharing anew: poll, and again),
    // invalid, not_found, too_large (the metadata), timed_out, which leaves it unknown.
    Result<void> commit(Timeout timeout = patience);
    Result<void> commit(const std::vector<GroupOffset>& offsets, Timeout timeout = patience);
    // The same without waiting, and tried once.
    void commit_async(CommitCallback done = {});
    void commit_async(const std::vector<GroupOffset>& offsets, CommitCallback done = {});
    // Of each, what the group has committed. Errors: invalid (no group), not_found, timed_out, closed.
    Result<std::vector<std::optional<GroupOffset>>> committed(const std::vector<TopicPartition>& partitions,
                                                              Timeout timeout = patience);

    // Commits if auto_commit says so, and unsubscribes. Nothing can be polled afterwards. The destructor leaves the group,
    // too, but neither waits for that nor commits.
    // Errors: timed_out, after which it is closed all the same; those of the commit.
    Result<void> close(Timeout timeout = patience);

private:
    friend class Client;
    struct Impl;
    explicit Consumer(std::unique_ptr<Impl> impl);
    Result<ConsumedBatch> next(int64_t until_ns);
    Result<void> may_subscribe() const;
    std::unique_ptr<Impl> impl_;
};

class Admin;

class FLOWSTONE_EXPORT Client {
public:
    // dir:PATH opens the log as Log::open does, and makes it when it is missing. Of hosts nobody is asked yet.
    // Errors: invalid (the endpoint), io; of dir:, those of Log::open, where `locked` names the process that holds it, and
    // shm:PATH where that serves it; of shm:, not_found (nobody holds the log, or no such directory), read_only (we may not).
    static Result<Client> open(std::string_view endpoint, const ClientOptions& options = {});
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();  // as close() with no time

    // Errors: closed, invalid (options that contradict each other).
    Result<Producer> producer(ProducerOptions options = {});
    Result<Consumer> consumer(ConsumerOptions options = {});

    Admin admin();  // see <flowstone/admin.h>

    // The log itself, of dir:PATH; null otherwise. It goes with this Client.
    Log* log();

    // Sends what producers hold, as far as the time goes, leaves groups, without a commit, and ends the threads; of dir:PATH the log is closed as well.
    // Whatever brokers do it returns then. Errors: timed_out: something was not acknowledged; of dir:, as Log::close.
    Result<void> close(std::chrono::milliseconds timeout = std::chrono::seconds(30));

private:
    Client(std::unique_ptr<HeldLog> held, std::unique_ptr<ClientLoop> loop, std::string shared);
    std::unique_ptr<HeldLog> held_;  // null: another process holds the log
    std::unique_ptr<ClientLoop> loop_;
    std::string shared_;  // the directory of shm:PATH
};

}  // namespace flowstone
