#include "client/impl/group_consumer.h"

#include <utility>

#include <fmt/format.h>

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;

}  // namespace

GroupConsumer::GroupConsumer(std::shared_ptr<ConsumerCore> core, std::shared_ptr<ConsumerMember> member,
                             const ConsumerOptions& options, Clock& clock, int64_t request_ms)
    : core_(std::move(core)),
      member_(std::move(member)),
      mailbox_(std::make_shared<Mailbox>()),
      options_(options),
      clock_(clock),
      request_ms_(request_ms) {}

void GroupConsumer::subscribe(std::vector<std::string> topics) {
    subscribed_ = true;
    failure_.reset();
    member_->subscribe(std::move(topics));
}

void GroupConsumer::subscribe(std::regex expression) {
    subscribed_ = true;
    failure_.reset();
    member_->subscribe(std::move(expression));
}

// What was given before this poll is done with.
void GroupConsumer::begin_poll() {
    member_->polling(true);
    if (options_.auto_commit.count() <= 0 || auto_committing_ || revoking_) { return; }
    const int64_t now = clock_.monotonic_ns();
    if (auto_commit_ns_ == 0) { auto_commit_ns_ = now + options_.auto_commit.count() * ms_ns; }
    if (now < auto_commit_ns_) { return; }
    auto_commit_ns_ = now + options_.auto_commit.count() * ms_ns;
    auto offsets = uncommitted();
    if (offsets.empty()) { return; }
    auto_committing_ = true;
    // What fails is committed with the next.
    static_cast<void>(commit_async(std::move(offsets), [this](const Result<void>&) { auto_committing_ = false; }));
}

Result<GroupConsumer::Step> GroupConsumer::next() {
    for (;;) {
        {
            const std::lock_guard guard(mailbox_->lock);
            if (!mailbox_->told.empty()) {
                Told told = std::move(mailbox_->told.front());
                mailbox_->told.pop_front();
                if (told.result) { note_committed(told.offsets); }
                return Step{.kind = Step::Kind::committed, .callback = std::move(told.callback), .result = told.result};
            }
        }
        if (revoking_) {
            if (last_commit_ && !last_commit_->done.load(std::memory_order_acquire)) {
                return Step{.kind = Step::Kind::wait};
            }
            last_commit_.reset();
            if (!std::exchange(listener_told_, true)) {
                return Step{.kind = Step::Kind::revoked, .places = revoking_->places};
            }
            finish_revoking();
        }
        auto event = member_->next_event();
        if (!event) { break; }
        Step step = take(std::move(*event));
        if (step.kind != Step::Kind::give) { return step; }
    }
    if (failure_) { return std::unexpected(*failure_); }
    return Step{};
}

GroupConsumer::Step GroupConsumer::take(MemberEvent event) {
    switch (event.kind) {
        case MemberEvent::Kind::assigned:
            core_->add(event.begins);
            owned_.insert(event.places.begin(), event.places.end());
            for (const auto& begin : event.begins) {
                if (const auto* offset = std::get_if<Offset>(&begin.from.value())) {
                    committed_[begin.place] = *offset;
                }
            }
            return {.kind = Step::Kind::assigned, .places = std::move(event.places)};
        case MemberEvent::Kind::revoked:
            revoking_ = std::move(event);
            listener_told_ = false;
            if (auto offsets = uncommitted(); options_.auto_commit.count() > 0 && !offsets.empty()) {
                auto started = commit(std::move(offsets), true, clock_.monotonic_ns() + request_ms_ * ms_ns);
                if (started) { last_commit_ = std::move(*started); }
            }
            return {};
        case MemberEvent::Kind::lost:
            core_->drop(event.places);
            for (const TopicPartition& place : event.places) {
                owned_.erase(place);
                committed_.erase(place);
            }
            return {.kind = Step::Kind::lost, .places = std::move(event.places)};
        case MemberEvent::Kind::failed: failure_ = event.error; return {};
    }
    return {};
}

void GroupConsumer::finish_revoking() {
    core_->drop(revoking_->places);
    for (const TopicPartition& place : revoking_->places) {
        owned_.erase(place);
        committed_.erase(place);
    }
    member_->revoked(revoking_->number);
    revoking_.reset();
}

void GroupConsumer::note_committed(const std::vector<GroupOffset>& offsets) {
    for (const GroupOffset& one : offsets) {
        const TopicPartition place{one.topic, one.partition};
        if (!subscribed_ || owned_.contains(place)) { committed_[place] = one.offset; }
    }
}

std::vector<GroupOffset> GroupConsumer::uncommitted() const {
    auto offsets = core_->positions();
    std::erase_if(offsets, [&](const GroupOffset& one) {
        const auto known = committed_.find({one.topic, one.partition});
        return known != committed_.end() && known->second == one.offset;
    });
    return offsets;
}

Result<void> GroupConsumer::check(const std::vector<GroupOffset>& offsets) const {
    if (!subscribed_) { return {}; }
    for (const GroupOffset& one : offsets) {
        if (owned_.contains({one.topic, one.partition})) { continue; }
        return fail(Code::stale_epoch, "consumer.commit",
                    fmt::format("{}-{} is not this member's", one.topic, one.partition));
    }
    return {};
}

void GroupConsumer::start(OffsetCalls::Commit commit, OffsetCalls::Committed done) {
    std::optional<Membership::Identity> as;
    if (revoking_) { as = revoking_->identity; }
    member_->commit(std::move(commit), std::move(as), std::move(done));
}

Result<GroupConsumer::Commit> GroupConsumer::commit(std::vector<GroupOffset> offsets, bool again, int64_t deadline_ns) {
    if (const auto checked = check(offsets); !checked) { return std::unexpected(checked.error()); }
    auto outcome = std::make_shared<Awaited<void>>();  // owners: the caller and the commit under way
    if (offsets.empty()) {
        outcome->done = true;
        return outcome;
    }
    auto copy = offsets;
    start({.offsets = std::move(offsets), .deadline_ns = deadline_ns, .again = again},
          [outcome, core = core_, mailbox = mailbox_, offsets = std::move(copy)](const Result<void>& result) {
              if (result) {
                  const std::lock_guard guard(mailbox->lock);
                  mailbox->told.push_back({offsets, {}, {}});
              }
              outcome->result = result;
              outcome->done.store(true, std::memory_order_release);
              core->tell();
          });
    return outcome;
}

Result<void> GroupConsumer::commit_async(std::vector<GroupOffset> offsets, CommitCallback done) {
    const auto checked = check(offsets);
    if (!checked || offsets.empty()) {
        const std::lock_guard guard(mailbox_->lock);
        mailbox_->told.push_back({{}, std::move(done), checked});
        return checked;
    }
    auto copy = offsets;
    start({.offsets = std::move(offsets), .deadline_ns = clock_.monotonic_ns() + request_ms_ * ms_ns, .again = false},
          [core = core_, mailbox = mailbox_, offsets = std::move(copy),
           done = std::move(done)](const Result<void>& result) {
              {
                  const std::lock_guard guard(mailbox->lock);
                  mailbox->told.push_back({offsets, done, result});
              }
              core->tell();
          });
    return {};
}

std::shared_ptr<Awaited<std::vector<GroupOffset>>> GroupConsumer::committed(std::vector<TopicPartition> places,
                                                                            int64_t deadline_ns) {
    auto outcome = std::make_shared<Awaited<std::vector<GroupOffset>>>();  // owners: as a commit's
    member_->fetch_committed(std::move(places), deadline_ns,
                             [outcome, core = core_](Result<std::vector<GroupOffset>> result) {
                                 outcome->result = std::move(result);
                                 outcome->done.store(true, std::memory_order_release);
                                 core->tell();
                             });
    return outcome;
}

std::vector<TopicPartition> GroupConsumer::abandon() {
    member_->abandon();
    const std::vector<TopicPartition> had(owned_.begin(), owned_.end());
    ended();
    return had;
}

void GroupConsumer::ended() {
    while (member_->next_event()) {}
    core_->assign({}, From());
    owned_.clear();
    committed_.clear();
    revoking_.reset();
    last_commit_.reset();
    failure_.reset();
    subscribed_ = false;
}

}  // namespace flowstone
