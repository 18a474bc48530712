// What a directory tells those that are served together with it.
#include <algorithm>

#include "log/impl/store.h"
#include "storage/try.h"

namespace flowstone {
namespace {

// In the metadata log, as a level of a feature: 1 is the first directory of a broker, 2 another one.
constexpr std::string_view role_feature = "flowstone.log.dirs";

}  // namespace

Store::Role Store::role() {
    const std::lock_guard guard(meta_lock_);
    const auto said = metadata_.features().find(std::string(role_feature));
    if (said == metadata_.features().end()) { return Role::alone; }
    return said->second == 1 ? Role::first : Role::other;
}

Result<void> Store::set_role(Role role) {
    const std::lock_guard guard(meta_lock_);
    TRY(const auto records, metadata_.set_feature(role_feature, role == Role::first ? 1 : 2));
    return append_metadata(records);
}

bool Store::keeps_nothing_of(Partition& partition) {
    if (role() != Role::first) { return false; }
    {
        const Guard guard(partition.shard().lock());
        if (partition.next_offset() > Offset{0} || partition.log_start() > Offset{0}) { return false; }
    }
    const std::lock_guard guard(meta_lock_);
    const TopicState* state = metadata_.topic(partition.identity().topic_id);
    const int32_t number = partition.identity().number;
    if (state == nullptr || number < 0 || static_cast<size_t>(number) >= state->partitions.size()) { return false; }
    const auto& directories = state->partitions[static_cast<size_t>(number)].directories;
    return !directories.empty() && is_directory_id(directories.front()) &&
           std::ranges::find(directories, directory_id_) == directories.end();
}

std::optional<TopicState> Store::topic_state(const Uuid& id) {
    const std::lock_guard guard(meta_lock_);
    const TopicState* state = metadata_.topic(id);
    return state == nullptr ? std::nullopt : std::optional(*state);
}

std::vector<TopicState> Store::topic_states() {
    const std::lock_guard guard(meta_lock_);
    std::vector<TopicState> out;
    for (const auto& [name, state] : metadata_.topics()) { out.push_back(*state); }
    return out;
}

bool Store::was_deleted(const Uuid& topic) {
    const std::lock_guard guard(meta_lock_);
    return metadata_.is_deleted(topic);
}

std::vector<PartitionKey> Store::partitions_held() {
    std::set<PartitionKey> held;
    {
        const std::lock_guard persisted(persisted_lock_);
        for (const auto& [key, said] : persisted_) { held.insert(key); }
    }
    for (Partition* const partition : made_partitions()) {  // by recovery: the journal may know of more
        const Guard guard(partition->shard().lock());
        if (partition->next_offset() > Offset{0} || partition->log_start() > Offset{0}) {
            held.insert({partition->identity().topic_id, partition->identity().number});
        }
    }
    const std::lock_guard guard(meta_lock_);
    std::erase_if(held, [&](const PartitionKey& key) { return metadata_.topic(key.first) == nullptr; });
    return {held.begin(), held.end()};
}

}  // namespace flowstone
