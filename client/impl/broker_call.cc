#include "client/impl/broker_call.h"

#include <algorithm>

#include <fmt/format.h>

#include "client/impl/errors.h"
#include "net/kafka/messages/find_coordinator.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t wait_ms = 50;  // before the second asking; doubled for each further one, and blurred by half
constexpr int64_t wait_ms_max = 1'000;
constexpr size_t coordinators_at_once_max = 1'000;

// The broker has done nothing, and another one would, or the same one soon.
bool not_now_or_not_here(ErrorCode code) {
    using enum ErrorCode;
    switch (code) {
        case not_controller:
        case not_coordinator:
        case coordinator_not_available:
        case coordinator_load_in_progress:
        case not_leader_or_follower:
        case leader_not_available:
        case fenced_leader_epoch:
        case unknown_leader_epoch:
        case throttling_quota_exceeded: return true;
        default: return false;
    }
}

Error with_more(const Error& error, std::string_view text) {
    return error.with_detail(fmt::format("{}; {}", error.detail, text)).with_fate(Fate::none);
}

// As what is left at the deadline: a host's name that leads nowhere may do so later.
Error unreached(const Error& error, const char* operation) {
    if (error.code == Code::io || error.code == Code::timed_out) { return error.with_fate(Fate::none); }
    return fail(Code::timed_out, operation, error.message()).error();
}

}  // namespace

BrokerCall::BrokerCall(const World& world, Options options, std::vector<Thing> things)
    : world_(world),
      options_(options),
      things_(std::move(things)),
      states_(things_.size()),
      open_(things_.size()),
      waiting_(things_.size()),
      begun_at_(world.cluster.answers()) {
    if (options_.to == To::leader) {
        for (const Thing& thing : things_) { world_.cluster.borrow(thing.name); }
    }
    for (size_t i = 0; i < things_.size(); ++i) {
        const bool first = by_name_.emplace(std::pair(std::string_view(things_[i].name), things_[i].number), i).second;
        if (!first) { settle(i, fail(Code::invalid, options_.operation, label(i) + " is named twice").error()); }
    }
}

BrokerCall::~BrokerCall() = default;

std::string BrokerCall::label(size_t thing) const {
    const auto& [name, number] = things_[thing];
    if (options_.to == To::leader) { return fmt::format("{}-{}", name, number); }
    return name.empty() ? fmt::format("broker {}", number) : name;
}

std::vector<std::optional<Error>> BrokerCall::errors() const {
    std::vector<std::optional<Error>> out;
    for (const State& state : states_) { out.push_back(state.error); }
    return out;
}

// --- asking ------------------------------------------------------------------------------------------------------------

void BrokerCall::turn() {
    const int64_t now = world_.clock.monotonic_ns();
    if (std::exchange(failed_, false)) {
        const int64_t wait = std::min(wait_ms_max, wait_ms << std::min<uint32_t>(tries_++, 10));
        const auto blur = static_cast<int64_t>(world_.random.next() % static_cast<uint64_t>(wait));
        not_before_ns_ = now + (wait / 2 + blur) * ms_ns;
    }
    if (waiting_ > 0 && now >= options_.deadline_ns) { expire(); }
    if (waiting_ == 0 || now < not_before_ns_) { return; }
    std::map<int32_t, std::vector<size_t>> by_node;
    for (size_t i = 0; i < things_.size(); ++i) {
        if (states_[i].stage != Stage::waiting) { continue; }
        if (const auto node = node_of(i)) { by_node[*node].push_back(i); }
    }
    if (options_.to == To::coordinator) { find_coordinators(); }
    const int64_t deadline = std::min(options_.deadline_ns, now + world_.request_ms * ms_ns);
    for (const auto& [node, all] : by_node) {
        for (size_t at = 0; at < all.size(); at += std::min(options_.things_max, all.size() - at)) {
            const size_t count = std::min(options_.things_max, all.size() - at);
            const std::vector<size_t> some(all.begin() + static_cast<int64_t>(at),
                                           all.begin() + static_cast<int64_t>(at + count));
            for (const size_t thing : some) { states_[thing].stage = Stage::asked; }
            waiting_ -= some.size();
            ask(node, some, deadline);
        }
    }
}

int64_t BrokerCall::next_deadline_ns() const {
    if (waiting_ == 0) { return INT64_MAX; }
    if (failed_) { return 0; }
    // What is not known yet comes with an answer, which is a turn of its own.
    return not_before_ns_ > world_.clock.monotonic_ns() ? std::min(not_before_ns_, options_.deadline_ns)
                                                        : options_.deadline_ns;
}

// Nothing: not known yet, or there is no such thing, which is its verdict.
std::optional<int32_t> BrokerCall::node_of(size_t thing) {
    switch (options_.to) {
        case To::any_broker: return world_.cluster.some_node();
        case To::controller:
            if (!cluster_is_known()) { return {}; }
            // Before there was one controller in every broker's place, only that one took requests that change the cluster.
            return world_.cluster.controller().value_or(world_.cluster.some_node());
        case To::broker: return broker_of(thing);
        case To::leader: return leader_of(thing);
        case To::coordinator: return coordinator_of(thing);
    }
    return {};
}

bool BrokerCall::cluster_is_known() {
    const ClusterView& cluster = world_.cluster;
    if (cluster.answers() > newer_than_) { return true; }
    world_.cluster.suspect();
    return false;
}

std::optional<int32_t> BrokerCall::broker_of(size_t thing) {
    const ClusterView& cluster = world_.cluster;
    if (!cluster_is_known()) { return {}; }
    if (cluster.knows(things_[thing].number)) { return things_[thing].number; }
    if (cluster.answers() > begun_at_) {
        settle(thing, fail(Code::not_found, options_.operation, label(thing) + ": no such broker").error());
    } else {  // told before anybody asked this
        world_.cluster.suspect();
    }
    return {};
}

std::optional<int32_t> BrokerCall::leader_of(size_t thing) {
    const auto& [name, number] = things_[thing];
    ClusterView& cluster = world_.cluster;
    const TopicView* const topic = cluster.topic(name);
    if (topic == nullptr || !cluster_is_known()) { return {}; }
    if (const PartitionView* const place = cluster.partition(name, number); place != nullptr && place->leader >= 0) {
        return place->leader;
    }
    if (cluster.answers() == begun_at_) {  // told before anybody asked this
        cluster.suspect();
        return {};
    }
    const bool missing = topic->error == ErrorCode::unknown_topic_or_partition;
    const Error error = topic->error != ErrorCode::none
                            ? error_of(topic->error, options_.operation, label(thing))
                            : fail(Code::not_found, options_.operation, label(thing) + ": no such partition").error();
    if (missing || (topic->error != ErrorCode::none && !kafka::is_retriable(topic->error)) ||
        (topic->error == ErrorCode::none && cluster.partition(name, number) == nullptr)) {
        settle(thing, error);
        return {};
    }
    states_[thing].error = topic->error != ErrorCode::none
                               ? error
                               : fail(Code::busy, options_.operation, label(thing) + " has no leader").error();
    cluster.suspect();
    return {};
}

std::optional<int32_t> BrokerCall::coordinator_of(size_t thing) {
    const auto found = coordinators_.find(things_[thing].name);
    return found == coordinators_.end() ? std::nullopt : std::optional(found->second);
}

void BrokerCall::find_coordinators() {
    if (finding_) { return; }
    std::vector<std::string> groups;
    for (size_t i = 0; i < things_.size() && groups.size() < coordinators_at_once_max; ++i) {
        const bool known = coordinators_.contains(things_[i].name);
        if (states_[i].stage == Stage::waiting && !known) { groups.push_back(things_[i].name); }
    }
    if (groups.empty()) { return; }
    finding_ = true;
    kafka::FindCoordinatorRequest request;
    request.key = groups.front();  // the only one, up to version 3
    request.coordinator_keys = groups;
    const int64_t deadline = std::min(options_.deadline_ns, world_.clock.monotonic_ns() + world_.request_ms * ms_ns);
    world_.requests.ask<kafka::FindCoordinatorResponse>(
        world_.cluster.some_node(), std::move(request), deadline,
        [self = shared_from_this(), groups](const Result<Answered<kafka::FindCoordinatorResponse>>& answer) {
            self->finding_ = false;
            if (answer) { return self->on_coordinators(answer->response, groups); }
            self->failed_ = true;
            for (size_t i = 0; i < self->things_.size(); ++i) {
                if (self->states_[i].stage != Stage::waiting) { continue; }
                if (answer.error().code == Code::unsupported) {
                    self->settle(i, answer.error().with_fate(Fate::none));
                } else {
                    self->states_[i].error = unreached(answer.error(), self->options_.operation);
                }
            }
        });
}

void BrokerCall::on_coordinators(const kafka::FindCoordinatorResponse& answer, const std::vector<std::string>& groups) {
    auto all = answer.coordinators;
    if (all.empty()) {
        all.push_back({.key = groups.front(),
                       .node_id = answer.node_id,
                       .host = answer.host,
                       .port = answer.port,
                       .error_code = answer.error_code,
                       .error_message = answer.error_message});
    }
    bool any = false;
    for (const auto& one : all) {
        const auto thing = by_name_.find(std::pair(std::string_view(one.key), -1));
        if (thing == by_name_.end() || states_[thing->second].stage != Stage::waiting) { continue; }
        any = true;
        if (one.error_code != ErrorCode::none) {
            on_code(thing->second, one.error_code, one.error_message.value_or(""));
        } else if (one.port < 0 || one.port > UINT16_MAX || one.node_id < 0) {
            settle(thing->second,
                   fail(Code::corrupt, options_.operation, label(thing->second) + ": no coordinator").error());
        } else {
            world_.requests.know(one.node_id, {one.host, static_cast<uint16_t>(one.port)});
            coordinators_[one.key] = one.node_id;
        }
    }
    failed_ |= !any;
}

// --- what came of it ---------------------------------------------------------------------------------------------------

std::optional<size_t> BrokerCall::Verdicts::tell(std::string_view name, int32_t number, ErrorCode code,
                                                 std::string_view text) {
    const auto found = call_.by_name_.find(std::pair(name, number));
    if (found == call_.by_name_.end() || !std::ranges::binary_search(asked_, found->second)) { return {}; }
    told_.insert_or_assign(found->second, Told{code, std::string(text)});
    return code == ErrorCode::none ? std::optional(found->second) : std::nullopt;
}

void BrokerCall::Verdicts::tell_all(ErrorCode code, std::string_view text) {
    for (const size_t thing : asked_) { told_.insert_or_assign(thing, Told{code, std::string(text)}); }
}

void BrokerCall::on_verdicts(const Verdicts& verdicts) {
    for (const size_t thing : verdicts.asked_) {
        if (states_[thing].stage != Stage::asked) { continue; }
        const auto told = verdicts.told_.find(thing);
        if (told == verdicts.told_.end() && verdicts.rest_again_ && !verdicts.told_.empty()) {
            states_[thing].stage = Stage::waiting;
            ++waiting_;
        } else if (told == verdicts.told_.end()) {
            settle(thing, fail(Code::corrupt, options_.operation, label(thing) + " is left out of the answer").error());
        } else if (told->second.code == ErrorCode::none) {
            settle(thing, {});
        } else {
            on_code(thing, told->second.code, told->second.text);
        }
    }
}

void BrokerCall::on_code(size_t thing, ErrorCode code, std::string_view text) {
    const Error error = error_of(code, options_.operation, label(thing), text);
    // A leader that does not know its partition was it before; whether there is one the cluster says.
    const bool missing = code == ErrorCode::unknown_topic_or_partition && options_.to != To::leader;
    const bool repeat = options_.repeatable && kafka::is_retriable(code) && !missing;
    if (not_now_or_not_here(code) || repeat) { return wait_again(thing, error); }
    settle(thing, error);
}

void BrokerCall::on_failure(const std::vector<size_t>& asked, const Error& error) {
    const bool not_done = error.fate == Fate::not_appended;
    const bool hopeless = error.code == Code::unsupported || error.code == Code::closed || error.code == Code::corrupt;
    for (const size_t thing : asked) {
        if (states_[thing].stage != Stage::asked) { continue; }
        if (!hopeless && (not_done || options_.repeatable)) {
            wait_again(thing, unreached(error, options_.operation));
        } else {
            settle(thing, not_done || options_.repeatable ? error.with_fate(Fate::none)
                                                          : with_more(error, "it may have been done all the same"));
        }
    }
}

void BrokerCall::settle(size_t thing, std::optional<Error> error) {
    State& state = states_[thing];
    if (state.stage == Stage::waiting) { --waiting_; }
    state.stage = Stage::done;
    state.error = error;
    if (--open_ > 0 || options_.to != To::leader) { return; }
    for (const Thing& one : things_) { world_.cluster.give_back(one.name); }
}

void BrokerCall::wait_again(size_t thing, const Error& error) {
    State& state = states_[thing];
    if (state.stage == Stage::asked) { ++waiting_; }
    state.stage = Stage::waiting;
    state.error = error;
    coordinators_.erase(things_[thing].name);
    failed_ = true;
    if (options_.to == To::controller || options_.to == To::leader) { look_anew(); }
}

void BrokerCall::look_anew() {
    newer_than_ = world_.cluster.answers();
    world_.cluster.suspect();
}

void BrokerCall::expire() {
    const auto& failure = world_.cluster.failure();
    const Error none = failure ? unreached(*failure, options_.operation)
                               : fail(Code::timed_out, options_.operation, "no broker answers").error();
    for (size_t i = 0; i < things_.size(); ++i) {
        if (states_[i].stage == Stage::waiting) { settle(i, states_[i].error.value_or(none)); }
    }
}

void BrokerCall::close() {
    const Error closed = fail(Code::closed, options_.operation, "the client is closed").error();
    for (size_t i = 0; i < things_.size(); ++i) {
        if (states_[i].stage != Stage::done) { settle(i, closed); }
    }
}

}  // namespace flowstone
