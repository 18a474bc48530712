// Adapter of librdkafka's C++ interface; scenario.py says what the commands are. It has no calls for topics and groups.
// Build: c++ -std=c++17 librdkafka_cpp.cc -o librdkafka_cpp -lrdkafka++
#include <librdkafka/rdkafkacpp.h>

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int wait_ms = 10'000;

using Settings = std::vector<std::pair<std::string, std::string>>;
using Words = std::vector<std::string>;

std::string bootstrap;
std::map<std::string, std::unique_ptr<RdKafka::KafkaConsumer>> members;

std::unique_ptr<RdKafka::Conf> conf_of(const Settings& settings) {
    std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string problem;
    conf->set("bootstrap.servers", bootstrap, problem);
    for (const auto& [name, value] : settings) {
        if (conf->set(name, value, problem) != RdKafka::Conf::CONF_OK) { std::cerr << problem << "\n"; }
    }
    return conf;
}

std::unique_ptr<RdKafka::KafkaConsumer> consumer_with(const Settings& settings) {
    std::string problem;
    const auto conf = conf_of(settings);
    return std::unique_ptr<RdKafka::KafkaConsumer>(RdKafka::KafkaConsumer::create(conf.get(), problem));
}

void print_record(const RdKafka::Message& message) {
    std::cout << "= " << message.partition() << " " << message.offset() << " " << *message.key() << "\n";
}

// What a command did: empty, or the error.
using Outcome = std::string;
Outcome outcome(RdKafka::ErrorCode code) { return code == RdKafka::ERR_NO_ERROR ? "" : RdKafka::err2str(code); }

std::vector<RdKafka::TopicPartition*> places_of(const std::string& topic, int partitions, int64_t offset) {
    std::vector<RdKafka::TopicPartition*> places;
    for (int p = 0; p < partitions; p++) { places.push_back(RdKafka::TopicPartition::create(topic, p, offset)); }
    return places;
}

class Undelivered : public RdKafka::DeliveryReportCb {
public:
    void dr_cb(RdKafka::Message& message) override {
        if (message.err() != RdKafka::ERR_NO_ERROR) { first = message.errstr(); }
    }
    std::string first;
};

// produce TOPIC PARTITIONS CODEC ACKS PREFIX COUNT TIME_MS
Outcome produce(const Words& words) {
    std::string problem;
    Undelivered undelivered;
    const auto conf = conf_of({{"compression.type", words[3]}, {"acks", words[4]}, {"linger.ms", "20"}});
    conf->set("dr_cb", &undelivered, problem);
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), problem));
    std::string value(100, 'v');
    for (int i = 0; i < std::stoi(words[6]); i++) {
        const std::string key = words[5] + "-" + std::to_string(i);
        const auto error =
            producer->produce(words[1], i % std::stoi(words[2]), RdKafka::Producer::RK_MSG_COPY, value.data(),
                              value.size(), key.data(), key.size(), std::stoll(words[7]) + i, nullptr);
        if (error != RdKafka::ERR_NO_ERROR) { return RdKafka::err2str(error); }
    }
    const auto flushed = producer->flush(2 * wait_ms);
    return flushed != RdKafka::ERR_NO_ERROR ? RdKafka::err2str(flushed) : undelivered.first;
}

// read TOPIC PARTITIONS FROM_MS COUNT
Outcome read_records(const Words& words) {
    const auto consumer = consumer_with({{"group.id", "reader"}, {"enable.auto.commit", "false"}});
    auto places = places_of(words[1], std::stoi(words[2]), std::stoll(words[3]));
    auto error = words[3] == "-2" ? RdKafka::ERR_NO_ERROR : consumer->offsetsForTimes(places, wait_ms);
    if (error == RdKafka::ERR_NO_ERROR) { error = consumer->assign(places); }
    RdKafka::TopicPartition::destroy(places);
    int left = std::stoi(words[4]);
    // A moment longer than it takes, to see whether there are too many.
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2 * wait_ms);
    while (error == RdKafka::ERR_NO_ERROR && std::chrono::steady_clock::now() < end) {
        const std::unique_ptr<RdKafka::Message> message(consumer->consume(100));
        if (message->err() == RdKafka::ERR__TIMED_OUT) { continue; }
        error = message->err();
        if (error == RdKafka::ERR_NO_ERROR) { print_record(*message); }
        if (--left == 0) { end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200); }
    }
    consumer->close();
    return outcome(error);
}

// join MEMBER GROUP TOPIC
Outcome join(const Words& words) {
    auto consumer = consumer_with({{"group.id", words[2]},
                                   {"enable.auto.commit", "false"},
                                   {"auto.offset.reset", "earliest"},
                                   {"heartbeat.interval.ms", "300"},
                                   {"session.timeout.ms", "6000"}});
    const auto error = consumer->subscribe({words[3]});
    members[words[1]] = std::move(consumer);
    return outcome(error);
}

Outcome poll(RdKafka::KafkaConsumer& consumer) {
    for (int i = 0; i < 200; i++) {
        const std::unique_ptr<RdKafka::Message> message(consumer.consume(i == 0 ? 100 : 5));
        if (message->err() != RdKafka::ERR_NO_ERROR) { break; }
        print_record(*message);
    }
    return "";
}

Outcome assigned(RdKafka::KafkaConsumer& consumer) {
    std::vector<RdKafka::TopicPartition*> places;
    const auto error = consumer.assignment(places);
    for (const auto* place : places) { std::cout << "= " << place->partition() << "\n"; }
    RdKafka::TopicPartition::destroy(places);
    return outcome(error);
}

// Without a record since the assignment there is nothing to commit, which librdkafka calls an error.
Outcome commit(RdKafka::KafkaConsumer& consumer) {
    const auto error = consumer.commitSync();
    return error == RdKafka::ERR__NO_OFFSET ? "" : outcome(error);
}

// committed GROUP TOPIC PARTITIONS
Outcome committed(const Words& words) {
    const auto consumer = consumer_with({{"group.id", words[1]}});
    auto places = places_of(words[2], std::stoi(words[3]), RdKafka::Topic::OFFSET_INVALID);
    const auto error = consumer->committed(places, wait_ms);
    for (const auto* place : places) { std::cout << "= " << place->partition() << " " << place->offset() << "\n"; }
    RdKafka::TopicPartition::destroy(places);
    return outcome(error);
}

Outcome transaction() {
    std::string problem;
    const auto conf = conf_of({{"transactional.id", "t"}});
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), problem));
    const std::unique_ptr<RdKafka::Error> error(producer->init_transactions(2 * wait_ms));
    if (error) { std::cout << "= " << error->name() << ": " << error->str() << "\n"; }
    return "";
}

Outcome command(const Words& words) {
    const std::string& name = words[0];
    if (name == "produce") { return produce(words); }
    if (name == "read") { return read_records(words); }
    if (name == "join") { return join(words); }
    if (name == "poll") { return poll(*members.at(words[1])); }
    if (name == "assigned") { return assigned(*members.at(words[1])); }
    if (name == "commit") { return commit(*members.at(words[1])); }
    if (name == "committed") { return committed(words); }
    if (name == "transaction") { return transaction(); }
    if (name == "leave") {
        const auto error = members.at(words[1])->close();
        members.erase(words[1]);
        return outcome(error);
    }
    if (name == "hello") { std::cout << "= librdkafka " << RdKafka::version_str() << ", in C++\n"; }
    if (name == "codecs") { std::cout << "= none\n= gzip\n= snappy\n= lz4\n= zstd\n"; }
    return "";
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) { return 2; }
    bootstrap = arguments[1];
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream in(line);
        Words words;
        for (std::string word; in >> word;) { words.push_back(word); }
        const bool elsewhere = words[0] == "create" || words[0] == "topics" || words[0] == "partitions" ||
                               words[0] == "groups" || words[0] == "delete" || words[0] == "delete_group";
        const Outcome error = elsewhere ? "" : command(words);
        std::cout << (elsewhere ? "unsupported" : error.empty() ? "ok" : "error " + error) << std::endl;
    }
    return 0;
}
