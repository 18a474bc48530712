#include "client/impl/membership.h"

#include <algorithm>
#include <set>
#include <utility>

namespace flowstone {

using kafka::ErrorCode;

void Membership::step(const Input& input, Effects& effects) {
    if (state_ == State::failed) { return; }
    std::visit([&](const auto& one) { on(one, effects); }, input);
}

std::optional<Membership::Identity> Membership::identity() const {
    const bool agreed = state_ == State::stable || state_ == State::revoking;
    if (!agreed || generation_ < 0) { return {}; }
    return Identity{generation_, member_};
}

int64_t Membership::next_tick_ms() const {
    if (state_ == State::waiting) { return wake_ms_; }
    const bool beats = generation_ >= 0 && (state_ == State::stable || state_ == State::revoking);
    if (!beats) { return INT64_MAX; }
    return beating_ ? heard_ms_ + options_.session_ms : std::min(beat_ms_, heard_ms_ + options_.session_ms);
}

bool Membership::cooperative() const {
    return std::ranges::all_of(options_.assignors, [](Assignor one) { return one == Assignor::cooperative_sticky; });
}

void Membership::on(const Subscribe& subscribe, Effects& effects) {
    topics_ = subscribe.topics;
    if (state_ == State::out) { return find(effects); }
    if (state_ == State::stable) { return begin_join(effects); }
    again_ = true;
}

void Membership::on(const Rejoin& /*rejoin*/, Effects& effects) {
    if (state_ == State::stable) { return begin_join(effects); }
    again_ = state_ != State::out;
}

void Membership::on(const Tick& tick, Effects& effects) {
    now_ms_ = tick.now_ms;
    if (state_ == State::waiting && now_ms_ >= wake_ms_) { return find(effects); }
    const bool member = generation_ >= 0 && (state_ == State::stable || state_ == State::revoking);
    if (!member) { return; }
    // Nobody has heard of us for so long that the coordinator has given us up.
    if (now_ms_ >= heard_ms_ + options_.session_ms) {
        lose_all(effects);
        return find(effects);
    }
    if (!beating_ && now_ms_ >= beat_ms_) {
        beating_ = true;
        effects.emplace_back(Beat{generation_, member_});
    }
}

void Membership::find(Effects& effects) {
    state_ = State::finding;
    effects.emplace_back(Find{});
}

void Membership::find_later() {
    state_ = State::waiting;
    wake_ms_ = now_ms_ + options_.retry_ms;
}

void Membership::on(const Found& found, Effects& effects) {
    if (state_ != State::finding) { return; }
    if (found.code == ErrorCode::none) { return begin_join(effects); }
    if (!kafka::is_retriable(found.code)) { return fail(found.code, effects); }
    find_later();
}

// What is read is given up first, unless all who may decide know how to do without.
void Membership::begin_join(Effects& effects) {
    again_ = false;
    std::vector<TopicPartition> gone;
    for (const TopicPartition& place : owned_) {
        const bool wanted = std::ranges::find(topics_, place.topic) != topics_.end();
        if (!cooperative() || !wanted) { gone.push_back(place); }
    }
    if (gone.empty()) { return join(effects); }
    std::erase_if(owned_, [&](const TopicPartition& place) { return std::ranges::find(gone, place) != gone.end(); });
    to_read_ = owned_;
    again_ = true;
    state_ = State::revoking;
    effects.emplace_back(Revoke{std::move(gone)});
}

void Membership::join(Effects& effects) {
    state_ = State::joining;
    again_ = false;
    effects.emplace_back(Join{{.member = member_,
                               .instance = options_.instance,
                               .topics = topics_,
                               .owned = owned_,
                               .generation = generation_}});
}

void Membership::on(const Joined& joined, Effects& effects) {
    if (state_ != State::joining) { return; }
    if (joined.code == ErrorCode::member_id_required) {
        member_ = joined.member;
        return join(effects);
    }
    if (joined.code != ErrorCode::none) { return on_error(joined.code, effects); }
    member_ = joined.member;
    generation_ = joined.generation;
    protocol_ = joined.protocol;
    heard_ms_ = now_ms_;
    beating_ = false;
    beat_ms_ = now_ms_ + options_.heartbeat_ms;
    if (!joined.leads || !joined.assigns) {
        state_ = State::syncing;
        effects.emplace_back(Sync{generation_, member_, protocol_, {}});
        return;
    }
    members_ = joined.members;
    std::set<std::string> topics;
    for (const Subscriber& member : members_) { topics.insert(member.topics.begin(), member.topics.end()); }
    state_ = State::counting;
    effects.emplace_back(Count{{topics.begin(), topics.end()}});
}

void Membership::on(const Counted& counted, Effects& effects) {
    if (state_ != State::counting) { return; }
    const auto assignor =
        std::ranges::find_if(options_.assignors, [&](Assignor one) { return name(one) == protocol_; });
    if (assignor == options_.assignors.end()) { return fail(ErrorCode::inconsistent_group_protocol, effects); }
    state_ = State::syncing;
    effects.emplace_back(Sync{generation_, member_, protocol_, assign(*assignor, members_, counted.partitions)});
    members_.clear();
}

void Membership::on(const Synced& synced, Effects& effects) {
    if (state_ != State::syncing) { return; }
    if (synced.code != ErrorCode::none) { return on_error(synced.code, effects); }
    heard_ms_ = now_ms_;
    state_ = State::stable;
    std::vector<TopicPartition> gone;
    for (const TopicPartition& place : owned_) {
        if (std::ranges::find(synced.places, place) == synced.places.end()) { gone.push_back(place); }
    }
    owned_ = synced.places;
    if (gone.empty()) {
        effects.emplace_back(Read{owned_});
        if (again_) { begin_join(effects); }
        return;
    }
    // Cooperative: what another is to have goes first; it is given out when we say so by joining again.
    to_read_ = owned_;
    again_ = true;
    state_ = State::revoking;
    effects.emplace_back(Revoke{std::move(gone)});
}

void Membership::on(const Revoked& /*revoked*/, Effects& effects) {
    if (state_ != State::revoking) { return; }
    effects.emplace_back(Read{to_read_});
    if (leaving_) { return go(effects); }
    if (again_) { return join(effects); }
    state_ = State::stable;
}

// A static member keeps its place until its session is over: it may come back.
void Membership::go(Effects& effects) {
    state_ = State::out;
    generation_ = -1;
    if (!member_.empty() && !options_.instance) { effects.emplace_back(Bye{member_}); }
    member_.clear();
}

void Membership::on(const Beaten& beaten, Effects& effects) {
    beating_ = false;
    beat_ms_ = now_ms_ + options_.heartbeat_ms;
    const bool member = state_ == State::stable || state_ == State::revoking;
    if (!member) { return; }
    if (beaten.code == ErrorCode::none) {
        heard_ms_ = now_ms_;
        return;
    }
    if (beaten.code == ErrorCode::rebalance_in_progress) {
        heard_ms_ = now_ms_;
        again_ = true;
        if (state_ == State::stable) { begin_join(effects); }
        return;
    }
    on_error(beaten.code, effects);
}

// An answer that we cannot go on with as we are.
void Membership::on_error(ErrorCode code, Effects& effects) {
    switch (code) {
        case ErrorCode::rebalance_in_progress: return join(effects);
        case ErrorCode::unknown_member_id:
            member_.clear();
            lose_all(effects);
            return join(effects);
        case ErrorCode::illegal_generation: lose_all(effects); return join(effects);
        default: break;
    }
    if (!kafka::is_retriable(code)) {
        lose_all(effects);
        return fail(code, effects);
    }
    // The coordinator moved, or cannot be reached: as a member we beat on, and are one until the session is over.
    if (state_ == State::stable || state_ == State::revoking) {
        beat_ms_ = now_ms_ + options_.retry_ms;
        return;
    }
    find_later();
}

void Membership::lose_all(Effects& effects) {
    generation_ = -1;
    beating_ = false;
    beat_ms_ = INT64_MAX;
    to_read_.clear();
    if (owned_.empty()) { return; }
    effects.emplace_back(Lost{std::exchange(owned_, {})});
    effects.emplace_back(Read{});
}

void Membership::fail(ErrorCode code, Effects& effects) {
    state_ = State::failed;
    effects.emplace_back(Fail{code});
}

void Membership::on(const Leave& /*leave*/, Effects& effects) {
    leaving_ = true;
    if (generation_ >= 0 && !owned_.empty() && state_ != State::revoking) {
        to_read_.clear();
        state_ = State::revoking;
        effects.emplace_back(Revoke{std::exchange(owned_, {})});
        return;
    }
    if (state_ == State::revoking) {
        to_read_.clear();
        return;
    }
    go(effects);
}

void Membership::on(const Lapse& /*lapse*/, Effects& effects) {
    if (state_ == State::out) { return; }
    lose_all(effects);
    go(effects);
}

}  // namespace flowstone
