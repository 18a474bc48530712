// Produces three events and consumes them: in this process (dir:PATH), through another one on this machine (shm:PATH), or
// over the network (HOST:PORT). Only the argument differs.
#include <flowstone/admin.h>
#include <flowstone/client.h>

#include <array>
#include <cstdio>

using namespace std::chrono_literals;

static int complain(const flowstone::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
}

int main(int argc, char** argv) {
    auto client = flowstone::Client::open(argc > 1 ? argv[1] : "dir:data");
    if (!client) { return complain(client.error()); }
    if (auto made = client->admin().create_topic("payments", {.exists_ok = true}); !made) {
        return complain(made.error());
    }

    auto producer = client->producer();
    if (!producer) { return complain(producer.error()); }
    auto payments = producer->topic("payments");
    if (!payments) { return complain(payments.error()); }
    auto first = payments->send({.key = "card 7", .value = "12.50 EUR"});  // copied; goes out with those behind it
    if (!first) { return complain(first.error()); }
    for (const char* event : std::array{"3.99 EUR", "-12.50 EUR"}) {
        if (auto sent = payments->send({.key = "card 7", .value = event}); !sent) { return complain(sent.error()); }
    }
    auto at = first->wait();  // acknowledged, or why not
    if (!at) { return complain(at.error()); }

    auto consumer = client->consumer();
    if (!consumer) { return complain(consumer.error()); }
    if (auto from = consumer->assign({{"payments", at->partition}}, at->offset); !from) {
        return complain(from.error());
    }
    for (int seen = 0; seen < 3;) {
        auto batch = consumer->poll(10s);
        if (!batch) { return complain(batch.error()); }
        if (batch->empty()) { break; }  // nothing within that time
        for (const auto& record : *batch) {
            std::printf("%lld %.*s\n", static_cast<long long>(record.offset.value),
                        static_cast<int>(record.value->size()), record.value->data());
            ++seen;
        }
    }
    auto closed = client->close();
    return closed ? 0 : complain(closed.error());
}
