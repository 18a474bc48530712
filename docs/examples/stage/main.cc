// A fraud check: payments of 1,000 EUR and more are held, those that are no payments are set aside, all others are cleared.
// The argument says where the log is: dir:PATH, shm:PATH or HOST:PORT.
#include <flowstone/admin.h>
#include <flowstone/stage.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

static int complain(const flowstone::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
}

static flowstone::Result<void> check(const flowstone::StageRecord& payment, flowstone::StageOutput& out) {
    const std::string_view text = payment.value.value_or("");
    int64_t euros = 0;  // cents do not matter here, and money is no floating point
    if (std::from_chars(text.data(), text.data() + text.size(), euros).ec != std::errc{}) {
        return flowstone::fail(flowstone::Code::invalid, "fraud.check", "there is no amount");
    }
    const flowstone::Record same{.key = payment.key, .value = payment.value};
    return out.send(euros >= 1'000 ? "payments.held" : "payments.cleared", same);
}

int main(int argc, char** argv) {
    auto client = flowstone::Client::open(argc > 1 ? argv[1] : "dir:data");
    if (!client) { return complain(client.error()); }
    for (const char* name : std::array{"payments", "payments.held", "payments.cleared", "payments.dead"}) {
        if (auto made = client->admin().create_topic(name, {.exists_ok = true}); !made) {
            return complain(made.error());
        }
    }
    auto producer = client->producer();
    if (!producer) { return complain(producer.error()); }
    auto payments = producer->topic("payments");
    if (!payments) { return complain(payments.error()); }
    for (const char* event : std::array{"12.50 EUR", "3.99 EUR", "nonsense", "5000 EUR", "-12.50 EUR"}) {
        if (auto sent = payments->send({.key = "card 7", .value = event}); !sent) { return complain(sent.error()); }
    }
    if (auto flushed = producer->flush(); !flushed) { return complain(flushed.error()); }

    auto stage = flowstone::Stage::open(*client,
                                        {.name = "fraud-check",
                                         .inputs = {"payments"},
                                         .outputs = {"payments.held", "payments.cleared"},
                                         .dead_letters = "payments.dead"},
                                        check);
    if (!stage) { return complain(stage.error()); }
    for (int steps = 0; stage->metrics().records < 5 && steps < 60; ++steps) {  // a service says stage->run(stop)
        if (auto done = stage->step(1s); !done) { return complain(done.error()); }
    }

    auto consumer = client->consumer();
    if (!consumer) { return complain(consumer.error()); }
    if (auto from = consumer->assign({{"payments.cleared", 0}}); !from) { return complain(from.error()); }
    flowstone::SourceFilter filter;  // what came twice over the network comes once
    for (int seen = 0; seen < 3;) {
        auto batch = consumer->poll(10s);
        if (!batch) { return complain(batch.error()); }
        if (batch->empty()) { break; }
        for (const auto& record : *batch) {
            auto fresh = filter.fresh({batch->topic(), batch->partition()}, record);
            if (!fresh) { return complain(fresh.error()); }
            if (!*fresh) { continue; }
            std::printf("%d %.*s\n", seen++, static_cast<int>(record.value->size()), record.value->data());
        }
    }
    auto closed = client->close();
    return closed ? 0 : complain(closed.error());
}
