#include "client/impl/cluster_view.h"

#include <algorithm>

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;

}  // namespace

ClusterView::ClusterView(Requests& requests, Clock& clock, Random& random, Options options)
    : requests_(requests), clock_(clock), random_(random), options_(std::move(options)) {
    for (size_t i = 0; i < options_.bootstrap.size(); ++i) {
        requests_.begin_at(-1 - static_cast<int32_t>(i), options_.bootstrap[i]);
    }
}

ClusterView::Wanted& ClusterView::add(std::string_view topic) {
    auto found = wanted_.find(topic);
    if (found == wanted_.end()) {
        found = wanted_.emplace(topic, Wanted()).first;
        suspect_ = true;
        unasked_ = true;
        tries_ = 0;
    }
    return found->second;
}

void ClusterView::want(std::string_view topic, bool may_create) {
    Wanted& wanted = add(topic);
    wanted.kept = true;
    wanted.may_create |= may_create;
}

void ClusterView::borrow(std::string_view topic) { ++add(topic).borrowed; }

void ClusterView::give_back(std::string_view topic) {
    const auto found = wanted_.find(topic);
    if (found == wanted_.end() || found->second.borrowed == 0) { return; }
    if (--found->second.borrowed == 0 && !found->second.kept) { wanted_.erase(found); }
}

const TopicView* ClusterView::topic(std::string_view name) const {
    const auto found = wanted_.find(name);
    return found == wanted_.end() || !found->second.told ? nullptr : &found->second.view;
}

const PartitionView* ClusterView::partition(std::string_view name, int32_t number) const {
    const TopicView* const view = topic(name);
    if (view == nullptr || number < 0 || static_cast<size_t>(number) >= view->partitions.size()) { return nullptr; }
    return &view->partitions[static_cast<size_t>(number)];
}

std::string_view ClusterView::name_of(const Uuid& id) const {
    for (const auto& [name, wanted] : wanted_) {
        if (wanted.told && wanted.view.id == id) { return name; }
    }
    return {};
}

void ClusterView::suspect() { suspect_ = true; }

int32_t ClusterView::some_node() const {
    std::vector<int32_t> nodes = brokers_;
    for (size_t i = 0; i < options_.bootstrap.size(); ++i) { nodes.push_back(-1 - static_cast<int32_t>(i)); }
    // Those that the cluster named before those we were told to begin with; of the same kind, any.
    const size_t first = brokers_.empty() ? 0 : random_.next() % brokers_.size();
    for (size_t i = 0; i < nodes.size(); ++i) {
        const size_t at = i < brokers_.size() ? (first + i) % brokers_.size() : i;
        if (!requests_.failing(nodes[at])) { return nodes[at]; }
    }
    return nodes[random_.next() % nodes.size()];
}

bool ClusterView::knows(int32_t node) const { return std::ranges::find(brokers_, node) != brokers_.end(); }

void ClusterView::turn() {
    if (asking_) { return; }
    const int64_t now = clock_.monotonic_ns();
    const bool old = answers_ > 0 && now >= answered_ns_ + options_.refresh_ms * ms_ns;
    if ((suspect_ || old) && now >= next_try_ns()) { ask(); }
}

int64_t ClusterView::next_try_ns() const {
    if (unasked_ && !failure_) { return asked_ns_; }
    const int64_t wait_ms = options_.retry_ms << std::min<uint32_t>(tries_, 10);
    return asked_ns_ + std::min(wait_ms, options_.retry_ms_max) * ms_ns;
}

int64_t ClusterView::next_deadline_ns() const {
    if (asking_) { return INT64_MAX; }
    if (suspect_) { return next_try_ns(); }
    return answers_ > 0 ? answered_ns_ + options_.refresh_ms * ms_ns : INT64_MAX;
}

void ClusterView::ask() {
    asking_ = true;
    suspect_ = false;
    unasked_ = false;
    asked_ns_ = clock_.monotonic_ns();
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    for (const auto& [name, wanted] : wanted_) {
        request.topics->push_back({.name = name});
        const bool missing = !wanted.told || wanted.view.error == kafka::ErrorCode::unknown_topic_or_partition;
        request.allow_auto_topic_creation |= wanted.may_create && missing;
    }
    requests_.ask<kafka::MetadataResponse>(some_node(), std::move(request), asked_ns_ + options_.request_ms * ms_ns,
                                           [this](const Result<Answered<kafka::MetadataResponse>>& answer) {
                                               asking_ = false;
                                               if (answer) { return on_answer(answer->response); }
                                               failure_ = answer.error();
                                               suspect_ = true;
                                           });
}

void ClusterView::on_answer(const kafka::MetadataResponse& answer) {
    ++answers_;
    answered_ns_ = clock_.monotonic_ns();
    failure_.reset();
    if (!answer.brokers.empty()) { brokers_.clear(); }
    for (const auto& broker : answer.brokers) {
        if (broker.port < 0 || broker.port > UINT16_MAX) { continue; }
        if (!requests_.know(broker.node_id, {broker.host, static_cast<uint16_t>(broker.port)})) { continue; }
        brokers_.push_back(broker.node_id);
    }
    controller_ = answer.controller_id >= 0 ? std::optional(answer.controller_id) : std::nullopt;
    for (const auto& topic : answer.topics) {
        const auto found = topic.name ? wanted_.find(*topic.name) : wanted_.end();
        if (found == wanted_.end()) { continue; }
        TopicView view{.id = topic.topic_id, .partitions = {}, .error = topic.error_code};
        bool whole = true;
        for (const auto& one : topic.partitions) {
            if (one.partition_index < 0 || static_cast<size_t>(one.partition_index) >= topic.partitions.size()) {
                whole = false;
                continue;
            }
            view.partitions.resize(topic.partitions.size());
            const bool led = std::ranges::find(brokers_, one.leader_id) != brokers_.end();
            whole = whole && led;
            view.partitions[static_cast<size_t>(one.partition_index)] = {led ? one.leader_id : -1, one.leader_epoch};
        }
        // What has no leader yet will have one.
        suspect_ |= !whole || kafka::is_retriable(topic.error_code);
        found->second.view = std::move(view);
        found->second.told = true;
    }
    tries_ = suspect_ ? tries_ + 1 : 0;
}

}  // namespace flowstone
