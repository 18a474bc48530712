// What every kind of endpoint is held to: in this process, through another one on this machine, and over TCP. With
// FLOWSTONE_KAFKA_BOOTSTRAP=HOST:PORT a real Kafka, too (tests/interop/client_contract).
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <flowstone/admin.h>
#include <flowstone/client.h>

#include "storage/random.h"
#include "tests/client/served_log.h"
#include "tests/storage/value_of.h"

namespace flowstone {

enum class Way { dir, shm_of_program, shm, tcp, kafka };

class Contract : public testing::TestWithParam<Way> {
protected:
    void SetUp() override {
        switch (GetParam()) {
            case Way::dir: return open("dir:" + directory_.log());
            case Way::shm_of_program:
                holder_.emplace(value_of(Client::open("dir:" + directory_.log(), small_log())));
                return open("shm:" + directory_.log());
            case Way::shm: broker_.emplace(directory_.log()); return open("shm:" + directory_.log());
            case Way::tcp: broker_.emplace(directory_.log()); return open(broker_->address());
            case Way::kafka: {
                const char* const bootstrap = std::getenv("FLOWSTONE_KAFKA_BOOTSTRAP");
                if (bootstrap == nullptr) { GTEST_SKIP() << "FLOWSTONE_KAFKA_BOOTSTRAP names no Kafka"; }
                return open(bootstrap);
            }
        }
    }
    void open(const std::string& endpoint) { client_.emplace(value_of(Client::open(endpoint, small_log()))); }

    // A topic of this test alone: a Kafka outlives it.
    std::string make_topic(int32_t partitions = 1, ConfigMap configs = {}) {
        std::string name = "contract-" + system_random().uuid().to_string();
        const auto made =
            client_->admin().create_topic(name, {.partitions = partitions, .configs = std::move(configs)});
        EXPECT_TRUE(made) << made.error().message();
        return name;
    }
    void fill(const std::string& topic, int begin, int end, int32_t partition = 0) {
        auto producer = value_of(client_->producer());
        auto to = value_of(producer.topic(topic));
        for (int i = begin; i < end; ++i) {
            const std::string value = std::to_string(i);
            ASSERT_TRUE(to.send({.value = value}, partition));
        }
        ASSERT_TRUE(producer.flush());
    }
    using Values = std::vector<std::string>;
    // So many of them, or what there was until nothing came.
    static Values take(Consumer& consumer, size_t count,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        Values values;
        while (values.size() < count) {
            const auto batch = consumer.poll(patience);
            EXPECT_TRUE(batch) << batch.error().message();
            if (!batch || batch->empty()) { break; }
            for (const RecordView& record : *batch) { values.emplace_back(record.value.value_or("(none)")); }
        }
        return values;
    }
    static Values numbers(int begin, int end) {
        Values values;
        for (int i = begin; i < end; ++i) { values.push_back(std::to_string(i)); }
        return values;
    }

    // Whether that is so. A broker of Kafka learns of it a moment after the controller has said yes; ours know at once.
    static bool becomes(const std::function<bool()>& is_so) {
        const int asks = GetParam() == Way::kafka ? 10'000 : 1;
        for (int asked = 0; asked < asks; ++asked) {
            if (is_so()) { return true; }
        }
        return false;
    }

    TestDirectory directory_;
    std::optional<BrokerProcess> broker_;
    std::optional<Client> holder_;
    std::optional<Client> client_;
};

inline std::string name_of_way(const testing::TestParamInfo<Way>& info) {
    switch (info.param) {
        case Way::dir: return "Dir";
        case Way::shm_of_program: return "ShmOfProgram";
        case Way::shm: return "Shm";
        case Way::tcp: return "Tcp";
        case Way::kafka: return "Kafka";
    }
    return {};
}
inline auto every_way() { return testing::Values(Way::dir, Way::shm_of_program, Way::shm, Way::tcp, Way::kafka); }

}  // namespace flowstone
