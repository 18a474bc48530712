#include "client/impl/consumer_member.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/impl/consumer_protocol.h"
#include "client/impl/errors.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t join_slack_ms = 5'000;  // a broker answers a join when everybody is there or had the time to
constexpr int64_t bye_ms = 5'000;
constexpr int64_t retry_ms = 1'000;  // until topics are looked for again after an error
constexpr const char* protocol_type = "consumer";
constexpr const char* operation = "consumer.poll";

Membership::Options membership_options(const ConsumerOptions& options) {
    return {.group = options.group,
            .instance = options.instance.empty() ? std::nullopt : std::optional(options.instance),
            .assignors = options.assignors,
            .session_ms = options.session_timeout.count(),
            .heartbeat_ms = options.heartbeat_interval.count()};
}

// What a request refers to, and its callback keeps as long as it is under way.
using Said = std::deque<std::vector<std::byte>>;

int32_t wire_ms(std::chrono::milliseconds time) {
    return static_cast<int32_t>(std::min<int64_t>(time.count(), INT32_MAX));
}

}  // namespace

ConsumerMember::ConsumerMember(World world, std::shared_ptr<ConsumerCore> core, const ConsumerOptions& options)
    : world_(std::move(world)), core_(std::move(core)), options_(options), polled_ns_(world_.clock.monotonic_ns()) {
    coordinator_ = std::make_shared<Coordinator>(world_.requests, world_.cluster, world_.clock, options_.group,
                                                 world_.node, world_.request_ms);
    offsets_ = std::make_shared<OffsetCalls>(world_.requests, coordinator_, world_.clock, options_.group,
                                             options_.read_committed, world_.request_ms);
}

ConsumerMember::~ConsumerMember() = default;

// --- the consumer's thread ---------------------------------------------------------------------------------------------

bool ConsumerMember::post(std::function<void()> task) {
    {
        const std::lock_guard guard(lock_);
        if (closed_) { return false; }
        tasks_.push_back(std::move(task));
    }
    world_.wake();
    return true;
}

void ConsumerMember::subscribe(std::vector<std::string> topics) {
    polling(false);
    left_ = false;
    const bool posted = post([this, topics = std::move(topics)]() mutable {
        topics_ = std::move(topics);
        expression_.reset();
        looked_ = true;
        look_ns_ = world_.clock.monotonic_ns() + options_.topics_refresh.count() * ms_ns;
        left_ = false;
        begin();
    });
    if (!posted) { left_ = true; }
}

void ConsumerMember::subscribe(std::regex expression) {
    polling(false);
    left_ = false;
    const bool posted = post([this, expression = std::move(expression)]() mutable {
        expression_ = std::move(expression);
        looked_ = false;
        look_ns_ = 0;
        left_ = false;
    });
    if (!posted) { left_ = true; }
}

void ConsumerMember::revoked(uint64_t number) {
    post([this, number] {
        if (machine_ && number == revoking_) { step(M::Revoked{}); }
    });
}

void ConsumerMember::leave() {
    post([this] {
        leaving_ = true;
        expression_.reset();
        if (!machine_ || machine_->out() || machine_->failed()) { return end(); }
        step(M::Leave{});
    });
}

void ConsumerMember::abandon() {
    post([this] {
        expression_.reset();
        if (machine_) { step(M::Lapse{}); }
        end();
        const std::lock_guard guard(lock_);
        events_.clear();
    });
}

void ConsumerMember::commit(OffsetCalls::Commit commit, std::optional<M::Identity> as, OffsetCalls::Committed done) {
    const bool posted = post([this, commit = std::move(commit), as = std::move(as), done]() mutable {
        if (!machine_) { return offsets_->commit(std::move(commit), std::move(done)); }
        const auto identity = as ? as : machine_->identity();
        if (!identity && (machine_->out() || machine_->failed())) {
            return done(fail(Code::stale_epoch, "consumer.commit",
                             fmt::format("{}: this is no member of it any more", options_.group)));
        }
        if (!identity) {
            return done(fail(Code::busy, "consumer.commit", fmt::format("{} is sharing anew", options_.group)));
        }
        commit.identity = *identity;
        if (!options_.instance.empty()) { commit.instance = options_.instance; }
        offsets_->commit(std::move(commit), std::move(done));
    });
    if (!posted) { done(fail(Code::closed, "consumer.commit", "the client is closed")); }
}

void ConsumerMember::fetch_committed(std::vector<TopicPartition> places, int64_t deadline_ns,
                                     OffsetCalls::Fetched done) {
    const bool posted = post([this, places = std::move(places), deadline_ns, done]() mutable {
        offsets_->fetch(std::move(places), deadline_ns, std::move(done));
    });
    if (!posted) { done(fail(Code::closed, "consumer.committed", "the client is closed")); }
}

void ConsumerMember::polling(bool begins) {
    polled_ns_ = begins ? INT64_MAX : world_.clock.monotonic_ns();
    if (!begins || !lapsed_.exchange(false)) { return; }
    post([this] {
        if (machine_ && machine_->out()) { step(M::Subscribe{topics_}); }
    });
}

std::optional<MemberEvent> ConsumerMember::next_event() {
    const std::lock_guard guard(lock_);
    if (events_.empty()) { return {}; }
    MemberEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
}

// --- the client's thread -----------------------------------------------------------------------------------------------

void ConsumerMember::run_tasks() {
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard guard(lock_);
        tasks.swap(tasks_);
    }
    for (const auto& task : tasks) { task(); }
}

void ConsumerMember::turn() {
    run_tasks();
    const int64_t now = world_.clock.monotonic_ns();
    look_when_due(now);
    if (machine_) {
        lapse_when_due(now);
        step(M::Tick{now / ms_ns});
    }
    count();
    watch_counts();
    offsets_->turn();
}

int64_t ConsumerMember::next_deadline_ns() const {
    int64_t next = std::min(offsets_->next_deadline_ns(), count_by_ns_);
    if (expression_ || machine_) { next = std::min(next, looking_ ? INT64_MAX : look_ns_); }
    if (!machine_) { return next; }
    const int64_t tick_ms = machine_->next_tick_ms();
    if (tick_ms != INT64_MAX) { next = std::min(next, tick_ms * ms_ns); }
    const int64_t polled = polled_ns_;
    if (polled != INT64_MAX && !lapsed_ && !machine_->out()) {
        next = std::min(next, polled + options_.max_poll_interval.count() * ms_ns);
    }
    return next;
}

void ConsumerMember::close() {
    {
        const std::lock_guard guard(lock_);
        closed_ = true;
    }
    ++era_;
    machine_.reset();
    expression_.reset();
    count_by_ns_ = INT64_MAX;
    byes_ = 0;
    offsets_->close();
    run_tasks();  // commits say that it is closed
    machine_.reset();
    left_ = true;
    coordinator_->hang_up();
    core_->tell();
}

void ConsumerMember::begin() {
    for (const std::string& topic : topics_) { world_.cluster.want(topic); }
    leaving_ = false;
    if (!machine_ || machine_->failed()) {
        machine_.emplace(membership_options(options_));
        ++era_;
    }
    step(M::Subscribe{topics_});
}

void ConsumerMember::end() {
    ++era_;
    leaving_ = false;
    machine_.reset();
    inputs_.clear();
    counted_.reset();
    count_by_ns_ = INT64_MAX;
    given_.clear();
    ++reading_;
    ++revoking_;
    asked_long_ = false;
    left_ = true;
    core_->tell();
}

// One after the other: what is done about an effect may be the next input at once.
void ConsumerMember::step(M::Input input) {
    inputs_.push_back(std::move(input));
    if (stepping_) { return; }
    stepping_ = true;
    M::Effects effects;
    while (!inputs_.empty()) {
        const M::Input next = std::move(inputs_.front());
        inputs_.pop_front();
        effects.clear();
        machine_->step(M::Tick{world_.clock.monotonic_ns() / ms_ns}, effects);
        if (!std::holds_alternative<M::Tick>(next)) { machine_->step(next, effects); }
        for (const M::Effect& effect : effects) {
            std::visit([this](const auto& one) { perform(one); }, effect);
        }
    }
    stepping_ = false;
    lose_what_is_revoked();
    if (leaving_ && !machine_->revoking()) { end(); }
}

void ConsumerMember::perform(const M::Find& /*find*/) {
    coordinator_->find([self = shared_from_this(), era = era_](ErrorCode code) {
        if (self->era_ == era) { self->step(M::Found{code}); }
    });
}

template <class Response, class Request>
void ConsumerMember::ask(Request request, int64_t patience_ms, std::function<void(ErrorCode, const Response&)> done) {
    const auto node = coordinator_->node();
    if (!node) { return done(ErrorCode::not_coordinator, {}); }
    world_.requests.ask<Response>(
        *node, std::move(request), world_.clock.monotonic_ns() + patience_ms * ms_ns,
        [self = shared_from_this(), era = era_, done = std::move(done)](const Result<Answered<Response>>& answer) {
            if (self->era_ != era) { return; }
            self->asked_long_ = false;
            if (!answer) {
                self->coordinator_->heed(ErrorCode::network_exception);
                return done(Coordinator::code_of(answer.error()), {});
            }
            self->coordinator_->heed(answer->response.error_code);
            done(answer->response.error_code, answer->response);
        });
}

void ConsumerMember::perform(const M::Join& join) {
    kafka::JoinGroupRequest request;
    request.group_id = options_.group;
    request.session_timeout_ms = wire_ms(options_.session_timeout);
    request.rebalance_timeout_ms = wire_ms(options_.max_poll_interval);
    request.member_id = join.self.member;
    request.group_instance_id = join.self.instance;
    request.protocol_type = protocol_type;
    const auto said = std::make_shared<Said>();
    for (const Assignor assignor : options_.assignors) {
        request.protocols.push_back(
            {.name = name(assignor), .metadata = said->emplace_back(encode_subscription(assignor, join.self))});
    }
    ask<kafka::JoinGroupResponse>(
        std::move(request), options_.max_poll_interval.count() + join_slack_ms,
        [this, said](ErrorCode code, const kafka::JoinGroupResponse& response) { on_joined(code, response); });
    asked_long_ = true;
}

void ConsumerMember::on_joined(ErrorCode code, const kafka::JoinGroupResponse& response) {
    counted_.reset();
    step(code == ErrorCode::none ? joined(response) : M::Joined{.code = code, .member = response.member_id});
}

Membership::Joined ConsumerMember::joined(const kafka::JoinGroupResponse& response) const {
    M::Joined refused{.code = ErrorCode::inconsistent_group_protocol, .member = response.member_id};
    if (response.protocol_type.value_or(protocol_type) != protocol_type) { return refused; }
    M::Joined joined{.code = ErrorCode::none,
                     .generation = response.generation_id,
                     .protocol = response.protocol_name.value_or(""),
                     .member = response.member_id,
                     .leads = response.leader == response.member_id,
                     .assigns = !response.skip_assignment};
    if (!joined.leads) { return joined; }
    const auto assignor =
        std::ranges::find_if(options_.assignors, [&](Assignor one) { return name(one) == joined.protocol; });
    if (assignor == options_.assignors.end()) { return refused; }
    for (const auto& member : response.members) {
        Subscriber subscriber{.member = member.member_id, .instance = member.group_instance_id};
        if (!decode_subscription(*assignor, member.metadata, subscriber)) { return refused; }
        joined.members.push_back(std::move(subscriber));
    }
    return joined;
}

void ConsumerMember::perform(const M::Sync& sync) {
    kafka::SyncGroupRequest request;
    request.group_id = options_.group;
    request.generation_id = sync.generation;
    request.member_id = sync.member;
    if (!options_.instance.empty()) { request.group_instance_id = options_.instance; }
    request.protocol_type = protocol_type;
    request.protocol_name = sync.protocol;
    const auto said = std::make_shared<Said>();
    for (const auto& [member, places] : sync.assignment) {
        request.assignments.push_back(
            {.member_id = member, .assignment = said->emplace_back(encode_assignment(places))});
    }
    ask<kafka::SyncGroupResponse>(std::move(request), options_.max_poll_interval.count() + join_slack_ms,
                                  [this, said](ErrorCode code, const kafka::SyncGroupResponse& response) {
                                      if (code != ErrorCode::none) { return step(M::Synced{code}); }
                                      auto places = decode_assignment(response.assignment);
                                      if (!places) { return step(M::Synced{ErrorCode::inconsistent_group_protocol}); }
                                      step(M::Synced{ErrorCode::none, std::move(*places)});
                                  });
    asked_long_ = true;
}

// A coordinator that moved is looked for first: as long as the session goes we are a member.
void ConsumerMember::perform(const M::Beat& beat) {
    if (coordinator_->node()) { return send_beat(beat); }
    coordinator_->find([self = shared_from_this(), era = era_, beat](ErrorCode code) {
        if (self->era_ != era) { return; }
        if (code != ErrorCode::none) { return self->step(M::Beaten{ErrorCode::network_exception}); }
        self->send_beat(beat);
    });
}

void ConsumerMember::send_beat(const M::Beat& beat) {
    kafka::HeartbeatRequest request;
    request.group_id = options_.group;
    request.generation_id = beat.generation;
    request.member_id = beat.member;
    if (!options_.instance.empty()) { request.group_instance_id = options_.instance; }
    const int64_t patience_ms = std::min<int64_t>(world_.request_ms, options_.session_timeout.count());
    ask<kafka::HeartbeatResponse>(std::move(request), patience_ms,
                                  [this](ErrorCode code, const kafka::HeartbeatResponse&) { step(M::Beaten{code}); });
}

// Behind a join that waits for others it would not be heard. The answer tells nothing that we could act on.
void ConsumerMember::perform(const M::Bye& bye) {
    const auto node = coordinator_->node();
    if (!node) { return; }
    ++era_;
    if (std::exchange(asked_long_, false)) { coordinator_->hang_up(); }
    kafka::LeaveGroupRequest request;
    request.group_id = options_.group;
    request.member_id = bye.member;
    request.members.push_back({.member_id = bye.member});
    ++byes_;
    world_.requests.ask<kafka::LeaveGroupResponse>(
        *node, std::move(request), world_.clock.monotonic_ns() + std::min<int64_t>(world_.request_ms, bye_ms) * ms_ns,
        [self = shared_from_this()](const Result<Answered<kafka::LeaveGroupResponse>>& /*answer*/) {
            self->byes_ = std::max(0, self->byes_ - 1);
            self->core_->tell();
        });
}

void ConsumerMember::tell(MemberEvent event) {
    {
        const std::lock_guard guard(lock_);
        events_.push_back(std::move(event));
    }
    core_->tell();
}

// Of what the application never had it need not let go.
void ConsumerMember::perform(const M::Revoke& revoke) {
    ++reading_;
    std::vector<TopicPartition> places;
    for (const TopicPartition& place : revoke.places) {
        if (given_.erase(place) > 0) { places.push_back(place); }
    }
    ++revoking_;
    if (places.empty()) { return step(M::Revoked{}); }
    tell({.kind = MemberEvent::Kind::revoked,
          .places = std::move(places),
          .number = revoking_,
          .identity = machine_->identity().value_or(M::Identity())});
}

// Others may read them: nothing of them is given from now on.
void ConsumerMember::perform(const M::Lost& lost) {
    ++reading_;
    std::vector<TopicPartition> places;
    for (const TopicPartition& place : lost.places) {
        if (given_.erase(place) > 0) { places.push_back(place); }
    }
    core_->drop(places);
    if (!places.empty()) { tell({.kind = MemberEvent::Kind::lost, .places = std::move(places)}); }
}

// A revocation that the application has not taken up, and that nobody waits for any more: what it is about is lost.
void ConsumerMember::lose_what_is_revoked() {
    if (machine_->revoking()) { return; }
    const std::lock_guard guard(lock_);
    for (MemberEvent& event : events_) {
        if (event.kind != MemberEvent::Kind::revoked) { continue; }
        event.kind = MemberEvent::Kind::lost;
        core_->drop(event.places);
    }
}

void ConsumerMember::perform(const M::Read& read) {
    ++reading_;
    std::vector<TopicPartition> added;
    for (const TopicPartition& place : read.places) {
        if (!given_.contains(place)) { added.push_back(place); }
    }
    if (!added.empty()) { return fetch_begins(std::move(added)); }
    // Of each agreement the application hears, also if it is given nothing.
    if (machine_->identity() && !machine_->revoking()) { tell({.kind = MemberEvent::Kind::assigned}); }
}

void ConsumerMember::fetch_begins(std::vector<TopicPartition> places) {
    auto asked = places;
    offsets_->fetch(std::move(asked), world_.clock.monotonic_ns() + world_.request_ms * ms_ns,
                    [self = shared_from_this(), places = std::move(places),
                     number = reading_](Result<std::vector<GroupOffset>> offsets) {
                        if (self->reading_ != number || !self->machine_) { return; }
                        if (offsets) { return self->give_begins(places, *offsets); }
                        if (advice(offsets.error()) == Advice::retry) { return self->fetch_begins(places); }
                        self->tell({.kind = MemberEvent::Kind::failed, .error = offsets.error()});
                    });
}

void ConsumerMember::give_begins(const std::vector<TopicPartition>& places, const std::vector<GroupOffset>& offsets) {
    MemberEvent event{.kind = MemberEvent::Kind::assigned, .places = places};
    std::optional<From> otherwise;
    if (options_.start == Start::beginning) { otherwise = From::beginning(); }
    if (options_.start == Start::end) { otherwise = From::end(); }
    for (const TopicPartition& place : places) {
        given_.insert(place);
        const auto committed = std::ranges::find_if(offsets, [&](const GroupOffset& one) {
            return one.topic == place.topic && one.partition == place.partition;
        });
        auto& begin =
            event.begins.emplace_back(ConsumerCore::Begin{.place = place, .from = {}, .otherwise = otherwise});
        if (committed != offsets.end()) {
            begin.from = committed->offset;
        } else if (otherwise) {
            begin.from = *otherwise;
        } else {
            begin.refused =
                fail(Code::not_found, operation,
                     fmt::format("{}-{}: {} has committed nothing", place.topic, place.partition, options_.group))
                    .error();
        }
    }
    tell(std::move(event));
}

void ConsumerMember::perform(const M::Fail& failed) {
    tell({.kind = MemberEvent::Kind::failed, .error = error_of(failed.code, operation, options_.group)});
}

void ConsumerMember::lapse_when_due(int64_t now_ns) {
    const int64_t polled = polled_ns_;
    if (polled == INT64_MAX || machine_->out() || machine_->failed() || leaving_) { return; }
    if (now_ns < polled + options_.max_poll_interval.count() * ms_ns) { return; }
    step(M::Lapse{});
    ++era_;
    lapsed_ = true;
    // A poll that has begun meanwhile may not have seen it.
    if (polled_ns_ == INT64_MAX && lapsed_.exchange(false)) { step(M::Subscribe{topics_}); }
}

// --- topics ------------------------------------------------------------------------------------------------------------

void ConsumerMember::look_when_due(int64_t now_ns) {
    if (looking_ || now_ns < look_ns_) { return; }
    look_ns_ = now_ns + options_.topics_refresh.count() * ms_ns;
    if (machine_) { world_.cluster.suspect(); }
    if (!expression_) { return; }
    looking_ = true;
    kafka::MetadataRequest request;
    request.topics.reset();  // all of them
    request.allow_auto_topic_creation = false;
    world_.requests.ask<kafka::MetadataResponse>(
        world_.cluster.some_node(), std::move(request), now_ns + world_.request_ms * ms_ns,
        [self = shared_from_this()](const Result<Answered<kafka::MetadataResponse>>& answer) {
            self->looking_ = false;
            if (answer) { return self->on_topics(answer->response); }
            self->look_ns_ = self->world_.clock.monotonic_ns() + retry_ms * ms_ns;
        });
}

void ConsumerMember::on_topics(const kafka::MetadataResponse& answer) {
    if (!expression_) { return; }
    std::vector<std::string> found;
    for (const auto& topic : answer.topics) {
        if (topic.error_code != ErrorCode::none || !topic.name || topic.is_internal) { continue; }
        if (std::regex_match(*topic.name, *expression_)) { found.push_back(*topic.name); }
    }
    std::ranges::sort(found);
    if (looked_ && found == topics_) { return; }
    looked_ = true;
    topics_ = std::move(found);
    begin();
}

// Nothing while one of them has not been told of. Those that do not exist are left out.
std::optional<PartitionCounts> ConsumerMember::counts(const std::vector<std::string>& topics) const {
    PartitionCounts counts;
    for (const std::string& topic : topics) {
        const TopicView* const view = world_.cluster.topic(topic);
        if (view == nullptr) { return {}; }
        if (!view->partitions.empty()) { counts[topic] = static_cast<int32_t>(view->partitions.size()); }
    }
    return counts;
}

void ConsumerMember::perform(const M::Count& count) {
    counting_ = count.topics;
    count_by_ns_ = world_.clock.monotonic_ns() + world_.request_ms * ms_ns;
    for (const std::string& topic : counting_) { world_.cluster.want(topic); }
}

void ConsumerMember::count() {
    if (count_by_ns_ == INT64_MAX) { return; }
    auto found = counts(counting_);
    if (!found && world_.clock.monotonic_ns() < count_by_ns_) { return; }
    count_by_ns_ = INT64_MAX;
    counted_ = found.value_or(PartitionCounts());
    counted_topics_ = std::move(counting_);
    if (machine_) { step(M::Counted{*counted_}); }
}

// The leader sees to it that partitions which are added are read.
void ConsumerMember::watch_counts() {
    if (!counted_ || !machine_ || !machine_->identity() || machine_->revoking()) { return; }
    const auto now = counts(counted_topics_);
    if (!now || *now == *counted_) { return; }
    counted_.reset();
    step(M::Rejoin{});
}

}  // namespace flowstone
