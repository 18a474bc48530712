#include "client/impl/assignors.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace flowstone {
namespace {

// Static members first, by their instance, so that they keep their places whatever ids they are given.
bool comes_before(const Subscriber& a, const Subscriber& b) {
    return std::tuple(!a.instance, a.instance.value_or(""), a.member) <
           std::tuple(!b.instance, b.instance.value_or(""), b.member);
}

std::vector<const Subscriber*> in_order(std::span<const Subscriber> members) {
    std::vector<const Subscriber*> order;
    for (const Subscriber& member : members) { order.push_back(&member); }
    std::ranges::sort(order, [](const Subscriber* a, const Subscriber* b) { return comes_before(*a, *b); });
    return order;
}

bool subscribes(const Subscriber& member, std::string_view topic) {
    return std::ranges::find(member.topics, topic) != member.topics.end();
}

GroupAssignment by_range(std::span<const Subscriber> members, const PartitionCounts& partitions) {
    GroupAssignment out;
    const auto order = in_order(members);
    for (const auto& [topic, count] : partitions) {
        std::vector<const Subscriber*> readers;
        std::ranges::copy_if(order, std::back_inserter(readers),
                             [&](const Subscriber* member) { return subscribes(*member, topic); });
        if (readers.empty()) { continue; }
        const auto each = count / static_cast<int32_t>(readers.size());
        const auto more = static_cast<size_t>(count) % readers.size();  // the first of them have one more
        int32_t next = 0;
        for (size_t i = 0; i < readers.size(); ++i) {
            for (int32_t left = each + (i < more ? 1 : 0); left > 0; --left) {
                out[readers[i]->member].push_back({topic, next++});
            }
        }
    }
    return out;
}

GroupAssignment by_turns(std::span<const Subscriber> members, const PartitionCounts& partitions) {
    GroupAssignment out;
    const auto order = in_order(members);
    size_t turn = 0;
    for (const auto& [topic, count] : partitions) {
        if (std::ranges::none_of(order, [&](const Subscriber* member) { return subscribes(*member, topic); })) {
            continue;
        }
        for (int32_t partition = 0; partition < count; ++partition) {
            while (!subscribes(*order[turn % order.size()], topic)) { ++turn; }
            out[order[turn++ % order.size()]->member].push_back({topic, partition});
        }
    }
    return out;
}

// What each has that is still its to keep: of two who say they have it the one of the later generation, of the same
// generation nobody.
std::map<TopicPartition, const Subscriber*> owners(const std::vector<const Subscriber*>& order,
                                                   const PartitionCounts& partitions) {
    std::map<TopicPartition, const Subscriber*> out;
    std::set<TopicPartition> disputed;
    for (const Subscriber* const member : order) {
        for (const TopicPartition& place : member->owned) {
            const auto topic = partitions.find(place.topic);
            if (topic == partitions.end() || place.partition < 0 || place.partition >= topic->second ||
                !subscribes(*member, place.topic)) {
                continue;
            }
            const Subscriber*& owner = out[place];
            if (owner == nullptr || owner->generation < member->generation) {
                owner = member;
                disputed.erase(place);
            } else if (owner->generation == member->generation && owner != member) {
                disputed.insert(place);
            }
        }
    }
    for (const TopicPartition& place : disputed) { out.erase(place); }
    return out;
}

class Balance {
public:
    Balance(std::span<const Subscriber> members, const PartitionCounts& partitions)
        : order_(in_order(members)), partitions_(partitions) {}

    GroupAssignment run() {
        for (const Subscriber* const member : order_) { given_[member]; }
        for (const auto& [place, owner] : owners(order_, partitions_)) { give(place, owner); }
        for (const auto& [topic, count] : partitions_) {
            for (int32_t partition = 0; partition < count; ++partition) {
                const TopicPartition place{topic, partition};
                if (reader_.contains(place)) { continue; }
                if (const Subscriber* const least = least_loaded(topic)) { give(place, least); }
            }
        }
        while (even_out()) {}
        GroupAssignment out;
        for (const auto& [member, places] : given_) { out[member->member] = {places.begin(), places.end()}; }
        return out;
    }

private:
    size_t load(const Subscriber* member) const { return given_.at(member).size(); }

    const Subscriber* least_loaded(std::string_view topic) const {
        const Subscriber* least = nullptr;
        for (const Subscriber* const member : order_) {
            if (!subscribes(*member, topic)) { continue; }
            if (least == nullptr || load(member) < load(least)) { least = member; }
        }
        return least;
    }
    void give(const TopicPartition& place, const Subscriber* member) {
        given_[member].insert(place);
        reader_[place] = member;
    }
    // One partition from somebody who has at least two more than another who could read it, the most loaded first. Each
    // move makes the sum of the squares smaller, so there is an end.
    bool even_out() {
        std::vector<const Subscriber*> by_load = order_;
        std::ranges::sort(by_load, [&](const auto* a, const auto* b) {
            return load(a) != load(b) ? load(a) > load(b) : comes_before(*a, *b);
        });
        for (const Subscriber* const from : by_load) {
            // Last come, first to go: what it had before stays if something else can.
            const auto& places = given_.at(from);
            for (const bool had : {false, true}) {
                for (auto place = places.rbegin(); place != places.rend(); ++place) {
                    const bool owned = std::ranges::find(from->owned, *place) != from->owned.end();
                    if (owned != had) { continue; }
                    const Subscriber* const to = least_loaded(place->topic);
                    if (load(from) < load(to) + 2) { continue; }
                    give(given_.at(from).extract(*place).value(), to);
                    return true;
                }
            }
        }
        return false;
    }

    std::vector<const Subscriber*> order_;
    const PartitionCounts& partitions_;
    std::map<const Subscriber*, std::set<TopicPartition>> given_;
    std::map<TopicPartition, const Subscriber*> reader_;
};

// What another still reads is given to nobody now: it gives it up when it learns that, and the group comes together again.
void withhold_what_moves(GroupAssignment& assignment, std::span<const Subscriber> members,
                         const PartitionCounts& partitions) {
    const auto had = owners(in_order(members), partitions);
    for (auto& [member, places] : assignment) {
        std::erase_if(places, [&](const TopicPartition& place) {
            const auto owner = had.find(place);
            return owner != had.end() && owner->second->member != member;
        });
    }
}

}  // namespace

const char* name(Assignor assignor) {
    switch (assignor) {
        case Assignor::range: return "range";
        case Assignor::round_robin: return "roundrobin";
        case Assignor::sticky: return "sticky";
        case Assignor::cooperative_sticky: return "cooperative-sticky";
    }
    return "unknown";
}

GroupAssignment assign(Assignor assignor, std::span<const Subscriber> members, const PartitionCounts& partitions) {
    GroupAssignment out;
    switch (assignor) {
        case Assignor::range: out = by_range(members, partitions); break;
        case Assignor::round_robin: out = by_turns(members, partitions); break;
        case Assignor::sticky: out = Balance(members, partitions).run(); break;
        case Assignor::cooperative_sticky:
            out = Balance(members, partitions).run();
            withhold_what_moves(out, members, partitions);
            break;
    }
    for (const Subscriber& member : members) { out[member.member]; }
    for (auto& [member, places] : out) { std::ranges::sort(places); }
    return out;
}

}  // namespace flowstone
