#include "net/broker/broker.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/try.h"

namespace flowstone {

using kafka::ApiKey;
using kafka::ErrorCode;

namespace {

constexpr int16_t api_versions_last = 4;

// KIP-511: letters, digits, dots and hyphens, a letter or digit at both ends.
bool is_software_name(std::string_view text) {
    const auto solid = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || !solid(text.front()) || !solid(text.back())) { return false; }
    return std::ranges::all_of(text, [&](char c) { return solid(c) || c == '-' || c == '.'; });
}

ServerLimits limits_of(const BrokerConfig& config) {
    return {.connections_max = config.connections_max,
            .connections_per_address_max = config.connections_per_address_max,
            .frame_bytes_max = config.frame_bytes_max,
            .requests_in_flight_max = config.requests_in_flight_max,
            .output_bytes_max = config.connection_output_bytes_max,
            .frames_bytes_max = config.request_memory_bytes_max,
            .frame_time_ms = config.frame_time_ms_max,
            .frame_bytes_per_second_min = config.frame_bytes_per_second_min,
            .idle_time_ms = config.connection_idle_ms_max};
}

}  // namespace

struct Broker::Api {
    ApiKey key;
    int16_t min_version;
    int16_t max_version;
    void (Broker::*handle)(Request);
    int16_t min_advertised = min_version;
};

// A body that cannot be read has no answer that its sender could be sure of.
template <class Message, auto handler>
void Broker::decoded(Request request) {  // NOLINT(performance-unnecessary-value-param): most handlers keep it
    auto message = kafka::decode<Message>(request.body, request.version());
    if (!message) {
        lines_(fmt::format("{} from {}: {}", Message::message_name, request.peer.address.to_string(),
                           message.error().message()));
        return server_.close(request.peer.connection, CloseReason::bad_request);
    }
    if constexpr (std::is_null_pointer_v<decltype(handler)>) {
        on(request, *message);
    } else {
        (this->*handler).on(std::move(request), std::move(*message));
    }
}

#define SERVES(key, min, max, Message, ...) \
    {ApiKey::key, min, max, &Broker::decoded<kafka::Message##Request, __VA_ARGS__>}

const std::vector<Broker::Api>& Broker::apis() {
    // The ranges are Kafka 4.3's, stable versions only. Produce below 3 is advertised and refused, or librdkafka takes us
    // for a broker without compression (KAFKA-18659; SERVE.md rule 12).
    static const std::vector<Api> all = {
        {ApiKey::produce, 3, 13, &Broker::decoded<kafka::ProduceRequest, &Broker::produce_>, 0},
        SERVES(fetch, 4, 18, Fetch, &Broker::fetch_),
        SERVES(list_offsets, 1, 11, ListOffsets, &Broker::offsets_),
        SERVES(metadata, 0, 13, Metadata, &Broker::topics_),
        SERVES(offset_commit, 2, 10, OffsetCommit, &Broker::groups_),
        SERVES(offset_fetch, 1, 10, OffsetFetch, &Broker::groups_),
        SERVES(find_coordinator, 0, 6, FindCoordinator, &Broker::groups_),
        SERVES(join_group, 0, 9, JoinGroup, &Broker::groups_),
        SERVES(heartbeat, 0, 4, Heartbeat, &Broker::groups_),
        SERVES(leave_group, 0, 5, LeaveGroup, &Broker::groups_),
        SERVES(sync_group, 0, 5, SyncGroup, &Broker::groups_),
        SERVES(describe_groups, 0, 6, DescribeGroups, &Broker::groups_),
        SERVES(list_groups, 0, 5, ListGroups, &Broker::groups_),
        SERVES(api_versions, 0, api_versions_last, ApiVersions, nullptr),
        SERVES(create_topics, 2, 7, CreateTopics, &Broker::topics_),
        SERVES(delete_topics, 1, 6, DeleteTopics, &Broker::topics_),
        SERVES(delete_records, 0, 2, DeleteRecords, &Broker::offsets_),
        SERVES(init_producer_id, 0, 5, InitProducerId, &Broker::admin_),
        SERVES(offset_for_leader_epoch, 2, 4, OffsetForLeaderEpoch, &Broker::offsets_),
        SERVES(describe_acls, 1, 3, DescribeAcls, &Broker::admin_),
        SERVES(create_acls, 1, 3, CreateAcls, &Broker::admin_),
        SERVES(delete_acls, 1, 3, DeleteAcls, &Broker::admin_),
        SERVES(describe_configs, 1, 4, DescribeConfigs, &Broker::configs_),
        SERVES(alter_configs, 0, 2, AlterConfigs, &Broker::configs_),
        SERVES(describe_log_dirs, 1, 5, DescribeLogDirs, &Broker::admin_),
        SERVES(create_partitions, 0, 3, CreatePartitions, &Broker::topics_),
        SERVES(delete_groups, 0, 2, DeleteGroups, &Broker::groups_),
        SERVES(elect_leaders, 0, 2, ElectLeaders, &Broker::admin_),
        SERVES(incremental_alter_configs, 0, 1, IncrementalAlterConfigs, &Broker::configs_),
        SERVES(list_partition_reassignments, 0, 0, ListPartitionReassignments, &Broker::admin_),
        SERVES(offset_delete, 0, 0, OffsetDelete, &Broker::groups_),
        SERVES(describe_client_quotas, 0, 1, DescribeClientQuotas, &Broker::admin_),
        SERVES(describe_quorum, 0, 2, DescribeQuorum, &Broker::admin_),
        SERVES(describe_producers, 0, 0, DescribeProducers, &Broker::admin_),
        SERVES(list_transactions, 0, 2, ListTransactions, &Broker::admin_),
        SERVES(list_config_resources, 0, 1, ListConfigResources, &Broker::configs_),
        SERVES(describe_cluster, 0, 2, DescribeCluster, &Broker::topics_),
        SERVES(describe_topic_partitions, 0, 0, DescribeTopicPartitions, &Broker::topics_),
    };
    return all;
}

const Broker::Api* Broker::find_api(ApiKey key) {
    const auto found = std::ranges::find(apis(), key, &Api::key);
    return found == apis().end() ? nullptr : &*found;
}

Broker::Broker(Log& log, Network& network, Clock& clock, Random& random, BrokerConfig config, bool threads,
               std::function<void(std::string_view)> lines)
    : Broker(std::make_unique<ServedLog>(log), network, clock, random, std::move(config), threads, std::move(lines)) {}

Broker::Broker(LogDirectories& directories, Network& network, Clock& clock, Random& random, BrokerConfig config,
               bool threads, std::function<void(std::string_view)> lines)
    : Broker(std::make_unique<ServedLog>(directories), network, clock, random, std::move(config), threads,
             std::move(lines)) {}

Broker::Broker(std::unique_ptr<ServedLog> served, Network& network, Clock& clock, Random& random, BrokerConfig config,
               bool threads, std::function<void(std::string_view)> lines)
    : network_(network),
      config_(std::move(config)),
      lines_(std::move(lines)),
      served_(std::move(served)),
      server_(network, clock, *this, limits_of(config_)),
      http_(network, clock, pages_),
      cluster_(config_.node_id, served_->cluster_id().to_string()),
      context_{*served_, clock, random, server_, worker_, unpacker_, cluster_, config_, metrics_},
      produce_(context_),
      fetch_(context_),
      sharers_(*served_, lines_),
      topics_(context_, [this](const std::string& topic) { groups_.topic_deleted(topic); }),
      offsets_(context_),
      admin_(context_),
      configs_(context_),
      groups_(
          context_, [this] { return topics_.offsets_topic(); }, [this](const std::string& line) { lines_(line); }),
      clock_(clock),
      worker_("flowstone-read", threads, [this] { network_.wake(); }),
      unpacker_("flowstone-unzip", threads, [this] { network_.wake(); }, /*gives_way=*/true) {
    served_->set_notice([this] { network_.wake(); });
    metrics_.watch(context_, produce_, fetch_, groups_, pages_);
    // Parsed with the configuration, so it cannot fail.
    CHECK(served_->set_topic_defaults(config_.topic_defaults).has_value());
    groups_.start();
}

Broker::~Broker() {
    served_->set_notice({});
    served_->set_commit_notice({});
}

Result<HostPort> Broker::listen(const HostPort& address, const std::optional<HostPort>& advertised) {
    TRY(const auto listener, server_.listen(address));
    if (advertised) { cluster_.advertise(listener.id, *advertised); }
    return listener.address;
}

// --- the loop ----------------------------------------------------------------------------------------------------------

int64_t Broker::next_deadline_ms() const {
    return std::min({produce_.next_deadline_ms(), fetch_.next_deadline_ms(), groups_.next_deadline_ms()});
}

Result<void> Broker::run(int64_t timeout_ms) {
    const int64_t deadline = next_deadline_ms();
    if (deadline != INT64_MAX) {
        const int64_t left = std::max<int64_t>(deadline - context_.now_ms(), 0);
        timeout_ms = timeout_ms < 0 ? left : std::min(timeout_ms, left);
    }
    int64_t wait_ns = timeout_ms < 0 ? -1 : timeout_ms * 1'000'000;
    for (const int64_t quiet_ns : {server_.quiet_ns(), http_.quiet_ns()}) {
        if (quiet_ns >= 0) { wait_ns = wait_ns < 0 ? quiet_ns : std::min(wait_ns, quiet_ns); }
    }
    events_.clear();
    TRY_VOID(network_.wait(wait_ns, events_));
    server_.turn(events_);
    http_.turn(events_);
    // What failed shows where it is waited for: every append is told so.
    (void)served_->poll();
    work();
    server_.flush();
    return {};
}

void Broker::work() {
    worker_.run_results();
    unpacker_.run_results();
    for (const ServedPartition partition : served_->moved()) {
        produce_.moved(partition);
        groups_.moved(partition);
        fetch_.moved(partition);
    }
    const int64_t now = context_.now_ms();
    produce_.tick(now);
    fetch_.tick(now);
    groups_.tick(now);
}

size_t Broker::waiting() const { return produce_.waiting() + fetch_.waiting() + groups_.waiting() + worker_.waiting(); }

void Broker::stop(int64_t timeout_ms) {
    server_.stop_listening();
    server_.hold();
    fetch_.tick(INT64_MAX);  // there will be no more to wait for
    const int64_t until = context_.now_ms() + timeout_ms;
    while (!server_.idle() && context_.now_ms() < until) {
        if (!run(std::min<int64_t>(until - context_.now_ms(), 100))) { break; }
    }
    server_.close_all(CloseReason::shutdown);
}

// --- requests ----------------------------------------------------------------------------------------------------------

void Broker::on_open(const Peer& /*peer*/) {}
void Broker::on_close(ConnectionId connection) {
    fetch_.closed(connection);
    sharers_.closed(connection);
}

void Broker::on_frame(const Peer& peer, AnswerSlot slot, FramePtr frame) {
    auto parsed = kafka::parse_request(frame->bytes());
    if (!parsed) {
        lines_(fmt::format("a frame from {}: {}", peer.address.to_string(), parsed.error().message()));
        return server_.close(peer.connection, CloseReason::bad_request);
    }
    Request request{peer, slot, std::move(parsed->header), std::move(frame), parsed->body, clock_.monotonic_ns()};
    const Api* api = find_api(request.header.api_key);
    if (api != nullptr && request.version() >= api->min_version && request.version() <= api->max_version) {
        if (api->key == ApiKey::fetch) { sharers_.fetched(peer); }
        return (this->*api->handle)(std::move(request));
    }
    if (request.header.api_key == ApiKey::api_versions) {
        // Whoever asks in a version that is too new learns which there are, in version 0 (rule 11).
        request.header.api_version = 0;
        return answer_api_versions(request, ErrorCode::unsupported_version);
    }
    lines_(fmt::format("{} asks for api key {} in version {}, which is not served", peer.address.to_string(),
                       static_cast<int16_t>(request.header.api_key), request.version()));
    server_.close(peer.connection, CloseReason::unsupported);
}

void Broker::on(const Request& request, const kafka::ApiVersionsRequest& asked) {
    const bool named = request.version() < 3 || (is_software_name(asked.client_software_name) &&
                                                 is_software_name(asked.client_software_version));
    answer_api_versions(request, named ? ErrorCode::none : ErrorCode::invalid_request);
}

void Broker::answer_api_versions(const Request& request, ErrorCode error) {
    kafka::ApiVersionsResponse response;
    response.error_code = error;
    if (error == ErrorCode::unsupported_version) {
        response.api_keys.push_back({static_cast<int16_t>(ApiKey::api_versions), 0, api_versions_last});
    } else if (error == ErrorCode::none) {
        for (const Api& api : apis()) {
            response.api_keys.push_back({static_cast<int16_t>(api.key), api.min_advertised, api.max_version});
        }
    }
    context_.answer(request, response);
}

}  // namespace flowstone
