#include "client/impl/offset_calls.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/impl/errors.h"

namespace flowstone {
namespace {

using kafka::ErrorCode;

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t retry_ms = 100;
constexpr int16_t with_names = 9;  // later versions of both name topics by their ids alone

kafka::OffsetCommitRequest request_of(const std::string& group, const OffsetCalls::Commit& commit) {
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    request.generation_id_or_member_epoch = commit.identity.generation;
    request.member_id = commit.identity.member;
    request.group_instance_id = commit.instance;
    for (const GroupOffset& offset : commit.offsets) {
        auto topic = std::ranges::find(request.topics, offset.topic,
                                       &kafka::OffsetCommitRequest::OffsetCommitRequestTopic::name);
        if (topic == request.topics.end()) {
            request.topics.push_back({.name = offset.topic});
            topic = std::prev(request.topics.end());
        }
        topic->partitions.push_back({.partition_index = offset.partition,
                                     .committed_offset = offset.offset.value,
                                     .committed_metadata = offset.metadata});
    }
    return request;
}

kafka::OffsetFetchRequest request_of(const std::string& group, const std::vector<TopicPartition>& places, bool stable) {
    kafka::OffsetFetchRequest request;
    request.group_id = group;
    request.require_stable = stable;
    auto& one = request.groups.emplace_back();
    one.group_id = group;
    for (const TopicPartition& place : places) {
        auto topic =
            std::ranges::find(*one.topics, place.topic, &kafka::OffsetFetchRequest::OffsetFetchRequestTopics::name);
        if (topic == one.topics->end()) {
            one.topics->push_back({.name = place.topic});
            topic = std::prev(one.topics->end());
        }
        topic->partition_indexes.push_back(place.partition);
    }
    for (const auto& topic : *one.topics) { request.topics->push_back({topic.name, topic.partition_indexes}); }
    return request;
}

struct Found {
    ErrorCode code = ErrorCode::none;  // the first that is none of success
    std::string what{};
    std::vector<GroupOffset> offsets{};
};

template <class Topics>
void gather(const Topics& topics, Found& found) {
    for (const auto& topic : topics) {
        for (const auto& one : topic.partitions) {
            if (one.error_code != ErrorCode::none) {
                if (found.code != ErrorCode::none) { continue; }
                found.code = one.error_code;
                found.what = fmt::format("{}-{}", topic.name, one.partition_index);
            } else if (one.committed_offset >= 0) {
                found.offsets.push_back(
                    {topic.name, one.partition_index, Offset{one.committed_offset}, one.metadata.value_or("")});
            }
        }
    }
}

Found found_in(const kafka::OffsetFetchResponse& response, const std::string& group) {
    Found found{.code = response.error_code, .what = group};
    gather(response.topics, found);
    for (const auto& one : response.groups) {
        if (one.group_id != group) { continue; }
        if (one.error_code != ErrorCode::none) { found.code = one.error_code; }
        gather(one.topics, found);
    }
    return found;
}

}  // namespace

OffsetCalls::OffsetCalls(Requests& requests, std::shared_ptr<Coordinator> coordinator, Clock& clock, std::string group,
                         bool stable, int64_t request_ms)
    : requests_(requests),
      coordinator_(std::move(coordinator)),
      clock_(clock),
      group_(std::move(group)),
      stable_(stable),
      request_ms_(request_ms) {}

void OffsetCalls::commit(Commit commit, Committed done) {
    if (closed_) { return done(flowstone::fail(Code::closed, "consumer.commit", "the consumer is closed")); }
    Work& work = works_[next_++];
    work.operation = "consumer.commit";
    work.deadline_ns = commit.deadline_ns;
    work.again = commit.again;
    work.fail = [done](const Error& error) { done(std::unexpected(error)); };
    work.send = [this, commit = std::move(commit), done = std::move(done)](uint64_t id, int32_t node) {
        send_commit(id, node, commit, done);
    };
}

void OffsetCalls::fetch(std::vector<TopicPartition> places, int64_t deadline_ns, Fetched done) {
    if (closed_) { return done(flowstone::fail(Code::closed, "consumer.committed", "the consumer is closed")); }
    Work& work = works_[next_++];
    work.operation = "consumer.committed";
    work.deadline_ns = deadline_ns;
    work.fail = [done](const Error& error) { done(std::unexpected(error)); };
    work.send = [this, places = std::move(places), done = std::move(done)](uint64_t id, int32_t node) {
        send_fetch(id, node, places, done);
    };
}

int64_t OffsetCalls::request_deadline_ns(uint64_t id) const {
    return std::min(works_.at(id).deadline_ns, clock_.monotonic_ns() + request_ms_ * ms_ns);
}

void OffsetCalls::send_commit(uint64_t id, int32_t node, const Commit& commit, const Committed& done) {
    requests_.ask<kafka::OffsetCommitResponse>(
        node, request_of(group_, commit), request_deadline_ns(id),
        [self = shared_from_this(), id, done](const Result<Answered<kafka::OffsetCommitResponse>>& answer) {
            if (!answer) { return self->met(id, Coordinator::code_of(answer.error()), answer.error().message()); }
            for (const auto& topic : answer->response.topics) {
                for (const auto& one : topic.partitions) {
                    if (one.error_code == ErrorCode::none) { continue; }
                    return self->met(id, one.error_code, fmt::format("{}-{}", topic.name, one.partition_index));
                }
            }
            if (self->works_.erase(id) > 0) { done({}); }
        },
        with_names);
}

void OffsetCalls::send_fetch(uint64_t id, int32_t node, const std::vector<TopicPartition>& places,
                             const Fetched& done) {
    requests_.ask<kafka::OffsetFetchResponse>(
        node, request_of(group_, places, stable_), request_deadline_ns(id),
        [self = shared_from_this(), id, done](const Result<Answered<kafka::OffsetFetchResponse>>& answer) {
            if (!answer) { return self->met(id, Coordinator::code_of(answer.error()), answer.error().message()); }
            Found found = found_in(answer->response, self->group_);
            if (found.code != ErrorCode::none) { return self->met(id, found.code, found.what); }
            if (self->works_.erase(id) > 0) { done(std::move(found.offsets)); }
        },
        with_names);
}

void OffsetCalls::find(uint64_t id) {
    coordinator_->find([self = shared_from_this(), id](ErrorCode code) {
        const auto found = self->works_.find(id);
        if (found == self->works_.end()) { return; }
        found->second.asking = false;
        if (code == ErrorCode::none) { return; }
        const bool again = std::exchange(found->second.again, true);  // what is to be done was not tried yet
        self->met(id, code, self->group_);
        if (const auto left = self->works_.find(id); left != self->works_.end()) { left->second.again = again; }
    });
}

// An error: once more, if that may help and there is time, or the end of it.
void OffsetCalls::met(uint64_t id, ErrorCode code, std::string_view what) {
    coordinator_->heed(code);
    const auto found = works_.find(id);
    if (found == works_.end()) { return; }
    Work& work = found->second;
    const Error error = error_of(code, work.operation, what);
    work.not_before_ns = clock_.monotonic_ns() + retry_ms * ms_ns;
    if (!work.again || !kafka::is_retriable(code) || work.not_before_ns >= work.deadline_ns) { return end(id, error); }
    work.met = error;
    work.asking = false;
}

void OffsetCalls::end(uint64_t id, const Error& error) {
    const auto told = std::move(works_.at(id).fail);
    works_.erase(id);
    told(error);
}

void OffsetCalls::turn() {
    const int64_t now = clock_.monotonic_ns();
    std::vector<uint64_t> ids;
    for (const auto& [id, work] : works_) { ids.push_back(id); }
    for (const uint64_t id : ids) {
        Work& work = works_.at(id);
        if (now >= work.deadline_ns) {
            end(id, work.met.value_or(fail(Code::timed_out, work.operation, "no coordinator answers").error()));
        } else if (!work.asking && now >= work.not_before_ns) {
            work.asking = true;
            if (const auto node = coordinator_->node()) {
                work.send(id, *node);
            } else {
                find(id);
            }
        }
    }
}

int64_t OffsetCalls::next_deadline_ns() const {
    int64_t next = INT64_MAX;
    for (const auto& [id, work] : works_) {
        next = std::min(next, work.asking ? work.deadline_ns : std::min(work.deadline_ns, work.not_before_ns));
    }
    return next;
}

void OffsetCalls::close() {
    closed_ = true;
    for (auto& [id, work] : std::exchange(works_, {})) {
        work.fail(flowstone::fail(Code::closed, work.operation, "the consumer is closed").error());
    }
}

}  // namespace flowstone
