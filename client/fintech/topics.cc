#include "client/fintech/topics.h"

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

Result<void> make_topic(Admin& admin, std::string_view name, int32_t partitions) {
    NewTopic topic{.partitions = partitions, .configs = {{"retention.ms", "-1"}}, .exists_ok = true};
    const NewTopic plain = topic;
    if (name == topics::journal) { topic.configs.emplace_back("flowstone.seal", "sha256"); }
    auto made = admin.create_topic(name, topic);
    // A broker of Kafka's knows no seals.
    if (!made && made.error().code == Code::invalid && name == topics::journal) {
        made = admin.create_topic(name, plain);
    }
    TRY_VOID(made);
    TRY(const RemoteTopic there, admin.topic(name));
    if (std::ssize(there.partitions) != partitions) {
        return fail(Code::invalid, "fintech.topics",
                    fmt::format("{} has {} partitions, not {}", name, there.partitions.size(), partitions));
    }
    return {};
}

}  // namespace

Result<void> make_topics(Admin& admin, int32_t partitions) {
    for (const std::string_view name :
         {topics::raw, topics::validated, topics::failed, topics::journal, topics::payments, topics::dead_letters}) {
        TRY_VOID(make_topic(admin, name, partitions));
    }
    return {};
}

}  // namespace flowstone::fintech
