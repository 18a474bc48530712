#include "log/impl/directories.h"

#include <algorithm>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone {

Directories::Directories(std::vector<Store*> stores, std::vector<LogDirectory> missing)
    : stores_(std::move(stores)), missing_(std::move(missing)), counts_(stores_.size()) {}

// --- joining ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Directories>> Directories::join(std::vector<Store*> stores, std::vector<LogDirectory> missing) {
    std::unique_ptr<Directories> joined(new Directories(std::move(stores), std::move(missing)));
    Directories& self = *joined;
    TRY_VOID(self.check_roles());
    for (Store* const other : self.stores_ | std::views::drop(1)) { TRY_VOID(self.check_topics(*other)); }
    TRY_VOID(self.note_held());
    Store& home = *self.stores_.front();
    if (home.role() == Store::Role::alone) { TRY_VOID(home.set_role(Store::Role::first)); }
    for (Store* const other : self.stores_ | std::views::drop(1)) { TRY_VOID(self.take_over_partitions(*other)); }
    for (Store* const other : self.stores_ | std::views::drop(1)) {
        auto done = self.bring_in_step(*other);
        if (!done && !other->failed()) { return std::unexpected(done.error()); }
        if (!done) { home.log(fmt::format("{} is gone without: {}", other->path(), done.error().message())); }
    }
    for (const TopicState& topic : home.topic_states()) { self.learn(topic); }
    return joined;
}

Result<void> Directories::check_roles() const {
    const auto refuse = [](std::string_view why) { return fail(Code::invalid, "log.open", why); };
    std::set<Uuid> ids;
    for (Store* const store : stores_) {
        const bool first = store == stores_.front();
        const Store::Role role = store->role();
        if (first && role == Store::Role::other) {
            return refuse(fmt::format("{} was one of several directories, and not the first of them", store->path()));
        }
        if (!first && role == Store::Role::first) {
            return refuse(fmt::format("{} was the first of several directories; now {} is", store->path(),
                                      stores_.front()->path()));
        }
        if (!store->directory_id().is_zero() && !ids.insert(store->directory_id()).second) {
            return refuse(fmt::format("{} is a copy of another of the directories", store->path()));
        }
    }
    return {};
}

// What the home deleted is deleted here. What it never had is somebody's who was not asked.
Result<void> Directories::check_topics(Store& other) const {
    Store& home = *stores_.front();
    for (const TopicState& topic : other.topic_states()) {
        if (home.topic_state(topic.id) || home.was_deleted(topic.id)) { continue; }
        return fail(Code::invalid, "log.open",
                    fmt::format("{} holds topic {}, which {}, the first directory, never had", other.path(), topic.name,
                                home.path()));
    }
    return {};
}

Result<void> Directories::note_held() {
    Store& home = *stores_.front();
    for (uint32_t at = 0; at < stores_.size(); ++at) {
        for (const PartitionKey& key : stores_[at]->partitions_held()) {
            const auto topic = home.topic_state(key.first);
            if (!topic) { continue; }
            const auto [other, fresh] = held_.emplace(key, at);
            if (fresh) { continue; }
            return fail(Code::invalid, "log.open",
                        fmt::format("{}-{} has records in {} and in {}", topic->name, key.second,
                                    stores_[other->second]->path(), stores_[at]->path()));
        }
    }
    return {};
}

// Where Kafka kept its metadata log elsewhere, each directory tells of its own partitions only.
Result<void> Directories::take_over_partitions(Store& other) {
    Store& home = *stores_.front();
    for (const TopicState& topic : other.topic_states()) {
        const auto known = home.topic_state(topic.id);
        const size_t more =
            known ? topic.partitions.size() - std::min(known->partitions.size(), topic.partitions.size()) : 0;
        if (more == 0) { continue; }
        TRY_VOID(home.add_partitions(known->name, static_cast<int32_t>(topic.partitions.size()),
                                     std::vector<Uuid>(more, other.directory_id())));
    }
    return {};
}

Result<void> Directories::bring_in_step(Store& other) {
    if (other.role() == Store::Role::alone) { TRY_VOID(other.set_role(Store::Role::other)); }
    TRY_VOID(delete_what_is_gone(other));
    for (const TopicState& topic : other.topic_states()) {
        const auto wanted = stores_.front()->topic_state(topic.id);
        if (wanted) { TRY_VOID(adjust_topic(other, *wanted)); }
    }
    return {};
}

Result<void> Directories::delete_what_is_gone(Store& other) {
    for (const TopicState& topic : other.topic_states()) {
        if (!stores_.front()->was_deleted(topic.id)) { continue; }
        other.log(fmt::format("topic {} was deleted, and is now in {}, too", topic.name, other.path()));
        TRY_VOID(other.delete_topic(topic.name));
    }
    return {};
}

// Makes the topic of another directory what it is in the home.
Result<std::shared_ptr<TopicTable>> Directories::adjust_topic(Store& other, const TopicState& wanted) {
    const auto partitions = static_cast<int32_t>(wanted.partitions.size());
    const auto known = other.topic_state(wanted.id);
    if (!known) {
        TRY_VOID(delete_what_is_gone(other));  // maybe an earlier life of its name
        return other.create_topic(wanted.name, {.options = {.partitions = partitions, .configs = wanted.config_map()},
                                                .internal = wanted.internal,
                                                .kept_for_ever = false,
                                                .id = wanted.id});
    }
    if (static_cast<int32_t>(known->partitions.size()) < partitions) {
        TRY_VOID(other.add_partitions(wanted.name, partitions));
    }
    std::vector<std::string> unset;
    for (const auto& [name, value] : known->configs) {
        if (!wanted.configs.contains(name)) { unset.push_back(name); }
    }
    if (known->configs != wanted.configs) { TRY_VOID(other.alter_topic(wanted.name, wanted.config_map(), unset)); }
    return other.find_topic(wanted.id);
}

// --- places ----------------------------------------------------------------------------------------------------------

uint32_t Directories::directory_of(const TopicState& topic, int32_t number) const {
    if (const auto held = held_.find({topic.id, number}); held != held_.end()) { return held->second; }
    bool recorded = false;
    for (const Uuid& id : topic.partitions[static_cast<size_t>(number)].directories) {
        const auto store = std::ranges::find(stores_, id, [](Store* one) { return one->directory_id(); });
        if (is_directory_id(id) && store != stores_.end()) { return static_cast<uint32_t>(store - stores_.begin()); }
        recorded = recorded || is_directory_id(id);
    }
    // Nobody said where: it may be in what is not there.
    return recorded || !missing_.empty() ? nowhere : 0;
}

void Directories::count(const Spread& spread, int direction) {
    if (spread.internal) { return; }
    for (const uint32_t at : spread.directory) {
        if (at != nowhere) { counts_[at] += direction; }
    }
}

void Directories::learn(const TopicState& topic) {
    Spread& spread = spreads_[topic.id];
    count(spread, -1);
    spread.internal = topic.internal;
    spread.tables.resize(stores_.size());
    spread.directory.clear();
    for (int32_t number = 0; number < static_cast<int32_t>(topic.partitions.size()); ++number) {
        spread.directory.push_back(directory_of(topic, number));
    }
    count(spread, 1);
}

// What is known of the place of a partition; none: it may have been made meanwhile, or there is none. Under lock_.
std::optional<Directories::Spot> Directories::known(const TopicTable& topic, int32_t number) const {
    const auto spread = spreads_.find(topic.id);
    const auto index = static_cast<size_t>(number);
    if (spread == spreads_.end() || number < 0 || index >= spread->second.directory.size()) { return std::nullopt; }
    const uint32_t at = spread->second.directory[index];
    return Spot{at, at == nowhere ? nullptr : spread->second.tables[at]};
}

Result<Directories::Spot> Directories::spot_of(const TopicTable& topic, int32_t number) {
    {
        const std::lock_guard guard(lock_);
        if (auto spot = known(topic, number)) { return std::move(*spot); }
    }
    const std::lock_guard change(changes_lock_);
    const auto state = stores_.front()->topic_state(topic.id);
    if (!state) { return fail(Code::not_found, "topic.partition", fmt::format("topic {} was deleted", topic.name)); }
    const std::lock_guard guard(lock_);
    learn(*state);
    if (auto spot = known(topic, number)) { return std::move(*spot); }
    return fail(Code::out_of_range, "topic.partition",
                fmt::format("topic {} has partitions 0 to {}, not {}", topic.name, topic.count.load() - 1, number));
}

Result<Directories::Place> Directories::find(const std::shared_ptr<TopicTable>& topic, int32_t number) {
    TRY(Spot spot, spot_of(*topic, number));
    if (spot.directory == 0) { return Place{stores_.front(), topic}; }
    if (spot.directory == nowhere) {
        return fail(Code::offline, "topic.partition",
                    fmt::format("{}-{} is in a directory that is not there", topic->name, number));
    }
    if (!spot.topic || spot.topic->count <= number) {
        const std::lock_guard change(changes_lock_);
        TRY(spot.topic, topic_in(spot.directory, *topic));
    }
    return Place{stores_[spot.directory], std::move(spot.topic)};
}

Epoch Directories::leader_epoch(const TopicTable& topic, int32_t number) {
    const auto spot = spot_of(topic, number);
    if (!spot || spot->directory == nowhere) { return Epoch{}; }
    Store& store = *stores_[spot->directory];
    if (spot->directory == 0) { return store.leader_epoch(topic, number); }
    const auto table = spot->topic ? spot->topic : store.find_topic(topic.id);
    // A directory that does not know the topic has nothing of it.
    return table ? store.leader_epoch(*table, number) : store.first_epoch();
}

// The home's topic in another directory, made or adjusted there. Under changes_lock_.
Result<std::shared_ptr<TopicTable>> Directories::topic_in(uint32_t directory, const TopicTable& topic) {
    const auto wanted = stores_.front()->topic_state(topic.id);
    if (!wanted) { return fail(Code::not_found, "topic.partition", fmt::format("topic {} was deleted", topic.name)); }
    TRY(auto table, adjust_topic(*stores_[directory], *wanted));
    const std::lock_guard guard(lock_);
    if (const auto spread = spreads_.find(topic.id); spread != spreads_.end()) {
        spread->second.tables[directory] = table;
    }
    return table;
}

// --- changes ---------------------------------------------------------------------------------------------------------

// For each partition the directory with the fewest of those that are online, the first of equals.
std::vector<Uuid> Directories::choose(int32_t partitions, bool internal) {
    std::vector<Uuid> chosen;
    if (internal) { return chosen; }
    const std::lock_guard guard(lock_);
    std::vector<int64_t> counts = counts_;
    for (int32_t number = 0; number < partitions; ++number) {
        size_t best = 0;
        for (size_t at = 1; at < stores_.size(); ++at) {
            const bool online = !stores_[at]->failed() && is_directory_id(stores_[at]->directory_id());
            if (online && counts[at] < counts[best]) { best = at; }
        }
        ++counts[best];
        chosen.push_back(stores_[best]->directory_id());
    }
    return chosen;
}

// Whoever keeps a partition of it hears of the topic. Where that fails it is tried again when the partition is needed.
void Directories::tell_directories(const std::shared_ptr<TopicTable>& topic) {
    std::set<uint32_t> keepers;
    if (const auto state = stores_.front()->topic_state(topic->id)) {
        const std::lock_guard guard(lock_);
        learn(*state);
        const auto& directory = spreads_[topic->id].directory;
        keepers.insert(directory.begin(), directory.end());
    }
    for (const uint32_t at : keepers) {
        if (at == 0 || at == nowhere) { continue; }
        const auto told = topic_in(at, *topic);
        if (!told) { stores_.front()->log(fmt::format("topic {}: {}", topic->name, told.error().message())); }
    }
}

Result<std::shared_ptr<TopicTable>> Directories::create_topic(std::string_view name, Store::NewTopic topic) {
    const std::lock_guard change(changes_lock_);
    if (topic.options.partitions <= partitions_per_topic_max) {
        topic.each_in = choose(topic.options.partitions, topic.internal);
    }
    TRY(auto made, stores_.front()->create_topic(name, std::move(topic)));
    tell_directories(made);
    return made;
}

Result<void> Directories::add_partitions(std::string_view name, int32_t total) {
    const std::lock_guard change(changes_lock_);
    const auto table = stores_.front()->find_topic(name);
    std::vector<Uuid> each_in;
    if (table && total > table->count && total <= partitions_per_topic_max) {
        each_in = choose(total - table->count, table->internal);
    }
    TRY_VOID(stores_.front()->add_partitions(name, total, std::move(each_in)));
    tell_directories(table);
    return {};
}

// A directory that failed hears of it at the next start.
Result<void> Directories::alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset) {
    const std::lock_guard change(changes_lock_);
    Store& home = *stores_.front();
    const auto table = home.find_topic(name);
    TRY_VOID(home.alter_topic(name, set, unset));
    const auto wanted = table ? home.topic_state(table->id) : std::nullopt;
    Result<void> done;
    for (Store* const other : stores_ | std::views::drop(1)) {
        if (!wanted || other->failed() || !other->find_topic(table->id)) { continue; }
        const auto adjusted = adjust_topic(*other, *wanted);
        if (!adjusted && !other->failed()) { done = std::unexpected(adjusted.error()); }
    }
    return done;
}

Result<void> Directories::delete_topic(std::string_view name) {
    const std::lock_guard change(changes_lock_);
    Store& home = *stores_.front();
    const auto table = home.find_topic(name);
    const auto deleted = home.delete_topic(name);
    if (!table || home.topic_state(table->id)) { return deleted; }
    for (Store* const other : stores_ | std::views::drop(1)) {
        if (other->failed() || !other->find_topic(table->id)) { continue; }
        const auto gone = other->delete_topic(name);
        // Nobody can ask for it any more; the next start deletes it, or the next topic of its name.
        if (!gone) { home.log(fmt::format("topic {}: {}", name, gone.error().message())); }
    }
    const std::lock_guard guard(lock_);
    if (const auto spread = spreads_.find(table->id); spread != spreads_.end()) {
        count(spread->second, -1);
        spreads_.erase(spread);
    }
    return deleted;
}

}  // namespace flowstone
