#include "net/broker/group.h"

#include <algorithm>
#include <utility>

#include "storage/check.h"

namespace flowstone {

const char* name(GroupState state) {
    switch (state) {
        case GroupState::empty: return "Empty";
        case GroupState::preparing_rebalance: return "PreparingRebalance";
        case GroupState::completing_rebalance: return "CompletingRebalance";
        case GroupState::stable: return "Stable";
        case GroupState::dead: return "Dead";
    }
    CHECK(false);
}

const std::vector<std::byte>& GroupMember::metadata(std::string_view protocol) const {
    static const std::vector<std::byte> none;
    const auto found = std::ranges::find(protocols, protocol, &GroupProtocol::name);
    return found == protocols.end() ? none : found->metadata;
}

uint64_t GroupMember::bytes() const {
    constexpr uint64_t overhead = 512;           // the struct, its nodes and the allocator's share
    constexpr uint64_t protocol_overhead = 128;  // so that many empty ones are not free
    uint64_t sum = overhead + id.size() + client_id.size() + client_host.size() + assignment.size();
    if (instance_id) { sum += instance_id->size(); }
    for (const GroupProtocol& protocol : protocols) {
        sum += protocol_overhead + protocol.name.size() + protocol.metadata.size();
    }
    return sum;
}

Group::Group(std::string id, uint64_t serial, int64_t wall_ms, uint64_t& members_bytes)
    : id_(std::move(id)), serial_(serial), members_bytes_(members_bytes), state_timestamp_ms_(wall_ms) {}

Group::~Group() {
    for (const auto& [id, member] : members_) { members_bytes_ -= member.bytes(); }
}

bool Group::is_sound(const GroupMetadata& metadata) {
    if (metadata.generation < 0) { return false; }
    if (metadata.members.empty()) { return true; }
    if (metadata.protocol_type.empty() || !metadata.protocol) { return false; }
    std::set<std::string_view> ids;
    std::set<std::string_view> instances;
    bool has_leader = false;
    for (const GroupMetadata::Member& member : metadata.members) {
        if (member.id.empty() || !ids.insert(member.id).second) { return false; }
        if (member.instance_id && !instances.insert(*member.instance_id).second) { return false; }
        has_leader = has_leader || member.id == metadata.leader;
    }
    return has_leader;
}

void Group::restore(const GroupMetadata& metadata) {
    CHECK(members_.empty());
    generation_ = metadata.generation;
    is_written = true;
    protocol_type_ = metadata.protocol_type;
    for (const GroupMetadata::Member& member : metadata.members) {
        const bool own_timeout = member.rebalance_timeout_ms >= 0;
        add({.id = member.id,
             .instance_id = member.instance_id,
             .client_id = member.client_id,
             .client_host = member.client_host,
             .rebalance_timeout_ms = own_timeout ? member.rebalance_timeout_ms : member.session_timeout_ms,
             .session_timeout_ms = member.session_timeout_ms,
             .protocols = {{*metadata.protocol, member.subscription}},
             .assignment = member.assignment},
            metadata.protocol_type);
    }
    protocol_ = metadata.protocol;
    if (!members_.empty()) {
        state_ = GroupState::stable;
        leader_ = metadata.leader;
    }
    state_timestamp_ms_ = metadata.state_timestamp_ms;
    find_subscriptions();
}

GroupMetadata Group::metadata() const {
    GroupMetadata metadata{.protocol_type = protocol_type_,
                           .generation = generation_,
                           .protocol = protocol_,
                           .leader = leader_,
                           .state_timestamp_ms = state_timestamp_ms_};
    for (const auto& [id, member] : members_) {
        CHECK(protocol_);
        metadata.members.push_back({.id = id,
                                    .instance_id = member.instance_id,
                                    .client_id = member.client_id,
                                    .client_host = member.client_host,
                                    .rebalance_timeout_ms = member.rebalance_timeout_ms,
                                    .session_timeout_ms = member.session_timeout_ms,
                                    .subscription = member.metadata(*protocol_),
                                    .assignment = member.assignment});
    }
    return metadata;
}

void Group::enter(GroupState state, int64_t wall_ms) {
    previous_ = state_;
    state_ = state;
    state_timestamp_ms_ = wall_ms;
}

GroupMember* Group::find(std::string_view member_id) {
    const auto found = members_.find(member_id);
    return found == members_.end() ? nullptr : &found->second;
}

const std::string* Group::static_member(std::string_view instance_id) const {
    const auto found = static_members_.find(instance_id);
    return found == static_members_.end() ? nullptr : &found->second;
}

GroupMember& Group::add(GroupMember member, std::string_view protocol_type) {
    if (members_.empty()) { protocol_type_ = protocol_type; }
    CHECK(protocol_type_ == protocol_type);
    if (member.instance_id) {
        const bool is_free = static_members_.emplace(*member.instance_id, member.id).second;
        CHECK(is_free);
    }
    if (!leader_) { leader_ = member.id; }
    pending.erase(member.id);
    count_protocols(member, 1);
    members_bytes_ += member.bytes();
    std::string id = member.id;
    const auto [at, is_new] = members_.emplace(std::move(id), std::move(member));
    CHECK(is_new);
    return at->second;
}

void Group::remove(std::string_view member_id) {
    const auto found = members_.find(member_id);
    CHECK(found != members_.end());
    const GroupMember& member = found->second;
    CHECK(!member.joining);
    CHECK(!member.syncing);
    if (member.instance_id) { static_members_.erase(*member.instance_id); }
    count_protocols(member, -1);
    members_bytes_ -= member.bytes();
    const bool was_leader = is_leader(member);
    members_.erase(found);
    if (!was_leader) { return; }
    leader_.reset();
    if (!members_.empty()) { leader_ = members_.begin()->first; }
}

GroupMember& Group::rename(std::string_view old_id, std::string new_id) {
    auto node = members_.extract(members_.find(old_id));
    GroupMember& member = node.mapped();
    CHECK(!member.joining);
    CHECK(!member.syncing);
    if (leader_ == member.id) { leader_ = new_id; }
    if (member.instance_id) { static_members_[*member.instance_id] = new_id; }
    members_bytes_ += new_id.size() - member.id.size();
    member.id = new_id;
    node.key() = std::move(new_id);
    const auto inserted = members_.insert(std::move(node));
    CHECK(inserted.inserted);
    return inserted.position->second;
}

void Group::set_protocols(GroupMember& member, std::vector<GroupProtocol> protocols) {
    count_protocols(member, -1);
    members_bytes_ -= member.bytes();
    member.protocols = std::move(protocols);
    members_bytes_ += member.bytes();
    count_protocols(member, 1);
}

void Group::set_assignment(GroupMember& member, std::vector<std::byte> assignment) {
    members_bytes_ += assignment.size() - member.assignment.size();
    member.assignment = std::move(assignment);
}

std::optional<RequestToken> Group::set_joining(GroupMember& member, std::optional<RequestToken> token) {
    joining_ += (token ? 1 : 0) - (member.joining ? 1 : 0);
    return std::exchange(member.joining, token);
}

std::optional<RequestToken> Group::set_syncing(GroupMember& member, std::optional<RequestToken> token) {
    return std::exchange(member.syncing, token);
}

int32_t Group::rebalance_timeout_ms() const {
    int32_t largest = 0;
    for (const auto& [id, member] : members_) { largest = std::max(largest, member.rebalance_timeout_ms); }
    return largest;
}

bool Group::supports(std::string_view protocol_type, const std::vector<GroupProtocol>& protocols) const {
    if (state_ == GroupState::empty) { return !protocol_type.empty() && !protocols.empty(); }
    if (protocol_type != protocol_type_) { return false; }
    return std::ranges::any_of(protocols, [&](const GroupProtocol& protocol) {
        const auto found = protocol_counts_.find(protocol.name);
        return (found == protocol_counts_.end() ? 0 : found->second) == members_.size();
    });
}

std::string Group::chosen_protocol() const {
    CHECK(!members_.empty());
    const auto all_know = [&](const GroupProtocol& protocol) {
        return protocol_counts_.at(protocol.name) == members_.size();
    };
    std::map<std::string_view, size_t> votes;
    for (const auto& [id, member] : members_) {
        const auto dearest = std::ranges::find_if(member.protocols, all_know);
        CHECK(dearest != member.protocols.end());
        ++votes[dearest->name];
    }
    const auto voted = [&](const GroupProtocol& protocol) {
        const auto found = votes.find(protocol.name);
        return found == votes.end() ? 0 : found->second;
    };
    return std::ranges::max_element(members_.at(*leader_).protocols, {}, voted)->name;  // the first of the largest
}

bool Group::elect_joined_leader() {
    if (members_.empty()) { return false; }
    if (members_.at(*leader_).joining) { return true; }
    const auto joined = std::ranges::find_if(members_, [](const auto& one) { return one.second.joining.has_value(); });
    if (joined == members_.end()) { return false; }
    leader_ = joined->first;
    return true;
}

void Group::begin_generation(int64_t wall_ms) {
    // From INT32_MAX on it begins again: member ids still tell old members from new ones.
    generation_ = generation_ == INT32_MAX ? 0 : generation_ + 1;
    storing_assignment = false;
    protocol_.reset();
    if (!members_.empty()) { protocol_ = chosen_protocol(); }
    find_subscriptions();
    enter(members_.empty() ? GroupState::empty : GroupState::completing_rebalance, wall_ms);
    for (auto& [id, member] : members_) { member.owes_sync = true; }
}

bool Group::subscribed_to(std::string_view topic) const {
    return subscribed_ ? subscribed_->contains(topic) : is_consumer();
}

void Group::count_protocols(const GroupMember& member, int32_t by) {
    for (const GroupProtocol& protocol : member.protocols) {
        const auto at = protocol_counts_.try_emplace(protocol.name, 0).first;
        at->second += static_cast<size_t>(by);
        if (at->second == 0) { protocol_counts_.erase(at); }
    }
}

void Group::find_subscriptions() {
    subscribed_.reset();
    if (!is_consumer()) { return; }
    std::set<std::string, std::less<>> topics;
    for (const auto& [id, member] : members_) {
        auto of_member = subscribed_topics(member.metadata(*protocol_));
        if (!of_member) { return; }
        topics.insert(std::move_iterator(of_member->begin()), std::move_iterator(of_member->end()));
    }
    subscribed_ = std::move(topics);
}

std::optional<std::vector<std::string>> subscribed_topics(Bytes subscription) {
    ByteReader in(subscription);
    const auto version = in.be<int16_t>();
    const auto count = in.be<int32_t>();
    if (in.failed() || version < 0 || count < 0) { return std::nullopt; }
    std::vector<std::string> topics;
    for (int32_t i = 0; i < count; ++i) {
        const auto size = in.be<int16_t>();
        if (in.failed() || size < 0) { return std::nullopt; }
        const Bytes topic = in.bytes(static_cast<uint64_t>(size));
        if (in.failed()) { return std::nullopt; }
        topics.emplace_back(as_text(topic));
    }
    return topics;
}

}  // namespace flowstone
