// A log inside this process: opens a directory, appends three events, reads them back.
#include <flowstone/log.h>

#include <array>
#include <cstdio>

static int complain(const flowstone::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
}

int main(int argc, char** argv) {
    auto log = flowstone::Log::open(argc > 1 ? argv[1] : "data");
    if (!log) { return complain(log.error()); }
    auto payments = log->create_topic("payments", {.partitions = 1, .exists_ok = true});
    if (!payments) { return complain(payments.error()); }

    for (const char* event : std::array{"12.50 EUR", "3.99 EUR", "-12.50 EUR"}) {
        auto at = payments->append({.key = "card 7", .value = event});  // on stable storage when it returns
        if (!at) { return complain(at.error()); }
    }

    auto reader = payments->read({.partition = 0, .from = flowstone::Offset{0}});
    if (!reader) { return complain(reader.error()); }
    while (true) {
        auto batch = reader->next();
        if (!batch) { return complain(batch.error()); }  // an error never looks like the end
        if (batch->empty()) { break; }
        for (const auto& record : *batch) {
            std::printf("%lld %.*s\n", static_cast<long long>(record.offset.value),
                        static_cast<int>(record.value->size()), record.value->data());
        }
    }
    auto closed = log->close();
    return closed ? 0 : complain(closed.error());
}
