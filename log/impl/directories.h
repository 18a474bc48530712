// Several open directories as one log: where each partition is, and topics that are the same in all of them.
//
// A partition is where it has records; one that has none is where its record in the home's metadata log says. That was
// decided when it was made: in the directory that had the fewest partitions of all that were online. Without any of the
// two it is in the home. A directory that is not there takes its partitions with it, and they are made nowhere else.
//
// The home decides. A change is made there first, durably, and then in the others, each of which knows the topics that it
// keeps partitions of, and maybe more. What a crash or a failed disk leaves undone there is done at the next start, or
// when the directory is asked for a partition of the topic.
//
// Safe from any number of threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "log/impl/store.h"
#include "log/served_log.h"

namespace flowstone {

class Directories {
public:
    // `stores` are open, the home first; `missing` are not, and why. Errors: as LogDirectories::open.
    static Result<std::unique_ptr<Directories>> join(std::vector<Store*> stores, std::vector<LogDirectory> missing);

    std::span<Store* const> stores() const { return stores_; }
    std::span<const LogDirectory> missing() const { return missing_; }

    Result<std::shared_ptr<TopicTable>> create_topic(std::string_view name, Store::NewTopic topic);
    Result<void> delete_topic(std::string_view name);
    Result<void> add_partitions(std::string_view name, int32_t total);
    Result<void> alter_topic(std::string_view name, const ConfigMap& set, std::span<const std::string> unset);

    // Where a partition is, and its topic there. `topic` is the home's. May wait for the metadata log of that directory
    // when it hears of the topic for the first time. Errors: not_found, out_of_range; offline: nowhere that is open.
    struct Place {
        Store* store;
        std::shared_ptr<TopicTable> topic;
    };
    Result<Place> find(const std::shared_ptr<TopicTable>& topic, int32_t number);
    // As Store's, without waiting. -1: it is nowhere that is open.
    Epoch leader_epoch(const TopicTable& topic, int32_t number);

private:
    static constexpr uint32_t nowhere = UINT32_MAX;
    struct Spread {
        std::vector<uint32_t> directory;                  // of each partition, as an index of stores_
        std::vector<std::shared_ptr<TopicTable>> tables;  // by directory; null: not asked for yet
        bool internal = false;
    };
    Directories(std::vector<Store*> stores, std::vector<LogDirectory> missing);

    // Steps of join.
    Result<void> check_roles() const;
    Result<void> check_topics(Store& other) const;
    Result<void> note_held();
    Result<void> take_over_partitions(Store& other);
    Result<void> bring_in_step(Store& other);

    uint32_t directory_of(const TopicState& topic, int32_t number) const;
    struct Spot {
        uint32_t directory;
        std::shared_ptr<TopicTable> topic;  // there; null: not asked for yet
    };
    std::optional<Spot> known(const TopicTable& topic, int32_t number) const;
    Result<Spot> spot_of(const TopicTable& topic, int32_t number);
    void learn(const TopicState& topic);  // under lock_
    void count(const Spread& spread, int direction);
    std::vector<Uuid> choose(int32_t partitions, bool internal);
    void tell_directories(const std::shared_ptr<TopicTable>& topic);
    Result<std::shared_ptr<TopicTable>> topic_in(uint32_t directory, const TopicTable& topic);
    Result<std::shared_ptr<TopicTable>> adjust_topic(Store& other, const TopicState& wanted);
    Result<void> delete_what_is_gone(Store& other);

    std::vector<Store*> stores_;
    std::vector<LogDirectory> missing_;
    std::map<PartitionKey, uint32_t> held_;  // at the start, by directories other than the record's, too

    std::mutex changes_lock_;  // one change of topics at a time; before every lock of a store
    std::mutex lock_;          // an innermost lock; guards the rest
    std::map<Uuid, Spread> spreads_;
    std::vector<int64_t> counts_;  // of partitions, by directory; internal topics do not count
};

}  // namespace flowstone
