#include "tests/sim/broker_sim.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "storage/batch.h"
#include "storage/check.h"

namespace flowstone {

using kafka::ErrorCode;

namespace {

constexpr size_t in_flight_max = 5;  // as many as a broker remembers of an idempotent producer (KIP-98)
constexpr int64_t converge_ms_max = 180'000;
constexpr uint32_t rounds_max = 60'000;
constexpr char group[] = "readers";
constexpr char passing[] = "passing";

BrokerConfig config() {
    BrokerConfig config;
    config.groups.partitions = 3;
    config.groups.initial_rebalance_delay_ms = 100;
    config.groups.session_timeout_min_ms = 1'000;
    config.create_topics_on_demand = false;
    return config;
}

}  // namespace

// --- a client ----------------------------------------------------------------------------------------------------------

void SimClient::turn() {
    if (!socket_) {
        const auto address = sim_.address();
        if (!address) { return; }
        const auto connected = sim_.network().dial(*address);
        if (!connected) { return; }
        socket_ = *connected;
    }
    if (!exchange()) { return forget(); }
    act();
    exchange();
}

// False when the connection is over and everything on it was received.
bool SimClient::exchange() {
    if (!out_.empty()) {
        const size_t sent = sim_.network().send(*socket_, out_);
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
    }
    const auto more = sim_.network().receive(*socket_);
    in_.insert(in_.end(), more.begin(), more.end());
    while (in_.size() >= kafka::frame_length_bytes) {
        const auto length = static_cast<size_t>(load_be<int32_t>(in_.data()));
        if (in_.size() < kafka::frame_length_bytes + length) { break; }
        const auto end = in_.begin() + static_cast<std::ptrdiff_t>(kafka::frame_length_bytes + length);
        const std::vector<std::byte> frame(in_.begin() + kafka::frame_length_bytes, end);
        in_.erase(in_.begin(), end);
        sim_.trace(name_);
        sim_.trace(frame);
        if (asked_.empty()) {
            sim_.fault(fmt::format("{} is answered what it did not ask", name_));
            return false;
        }
        asked_.front().then(frame);
        asked_.pop_front();
    }
    return !sim_.network().closed_by_server(*socket_);
}

void SimClient::drop(bool reset) {
    if (!socket_) { return; }
    sim_.trace(name_ + (reset ? " resets" : " ends"));
    if (reset) {
        sim_.network().reset(*socket_);
    } else {
        sim_.network().hang_up(*socket_);
    }
    forget();
}

void SimClient::forget() {
    socket_.reset();
    in_.clear();
    out_.clear();
    asked_.clear();
    lost();
}

void SimClient::misunderstood(const char* what) { sim_.fault(fmt::format("{} cannot read its {}", name_, what)); }

// --- producers ---------------------------------------------------------------------------------------------------------

void SimProducer::make_batch() {
    Batch batch{.first = next_, .values = {}, .bytes = {}};
    const uint64_t records = 1 + sim_.random().below(5);
    size_t bytes = batch_header_bytes;
    for (uint64_t i = 0; i < records; ++i) {
        const size_t padding = sim_.random().below(20) == 0 ? 3'000 : sim_.random().below(60);
        batch.values.push_back(fmt::format("{}{} {}", prefix(), next_++, std::string(padding, '.')));
        bytes += batch.values.back().size() + 64;
    }
    std::vector<std::byte> space(bytes);
    BatchBuilder builder(space, {.producer_id = id_,
                                 .producer_epoch = static_cast<int16_t>(idempotent_ ? 0 : -1),
                                 .base_sequence = idempotent_ ? batch.first : -1});
    for (const std::string& value : batch.values) {
        CHECK(builder.append({.key = std::nullopt, .value = value}, sim_.clock().wall_ms()));
    }
    const BatchView plain = builder.close();
    std::vector<std::byte> packed;
    const auto sent = recompress(plain, sim_.random().below(4) == 0 ? Codec::zstd : Codec::none, packed);
    CHECK(sent.has_value());
    batch.bytes.assign(sent->bytes().begin(), sent->bytes().end());
    unknown_.push_back(std::move(batch));
}

void SimProducer::send(const Batch& batch) {
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    request.topic_data.emplace_back().name = topic_of(place_);
    request.topic_data[0].partition_data.push_back({partition_of(place_), Bytes(batch.bytes)});
    ++on_the_way_;
    ask<kafka::ProduceResponse>(request, 12, [this](kafka::ProduceResponse& response) {
        const auto& answered = response.responses.at(0).partition_responses.at(0);
        const Batch& oldest = unknown_.front();
        if (answered.error_code != ErrorCode::none) {
            return sim_.fault(fmt::format("{}: record {} is answered {}: {}", name(), oldest.first,
                                          static_cast<int>(answered.error_code), answered.error_message.value_or("")));
        }
        for (size_t i = 0; i < oldest.values.size(); ++i) {
            sim_.know(place_, answered.base_offset + static_cast<int64_t>(i), oldest.values[i]);
        }
        unknown_.pop_front();
        --on_the_way_;
    });
}

void SimProducer::act() {
    if (idempotent_ && id_ < 0) {
        if (waiting() > 0) { return; }
        ask<kafka::InitProducerIdResponse>(kafka::InitProducerIdRequest{.transactional_id = std::nullopt}, 4,
                                           [this](kafka::InitProducerIdResponse& response) {
                                               if (response.error_code != ErrorCode::none) {
                                                   return sim_.fault(name() + " gets no id");
                                               }
                                               id_ = response.producer_id;
                                           });
        return;
    }
    while (on_the_way_ < unknown_.size()) { send(unknown_[on_the_way_]); }  // again, after a loss
    if (sim_.healing() || unknown_.size() >= in_flight_max) { return; }
    make_batch();
    send(unknown_.back());
}

// --- the group ---------------------------------------------------------------------------------------------------------

void SimMember::restart(bool as_new) {
    // As a new member after a loss: what the old one asked may still be on its way.
    if (as_new) { member_id_.clear(); }
    state_ = State::finding;
    positions_.clear();
    committed_.clear();
}

std::string SimMember::describe() const {
    std::string out = fmt::format("{} is in state {}", name(), static_cast<int>(state_));
    for (const auto& [partition, position] : positions_) {
        const auto committed = committed_.find(partition);
        out += fmt::format(", has kept-{} at {}, committed {}", partition, position,
                           committed == committed_.end() ? -1 : committed->second);
    }
    return out;
}

void SimMember::failed(ErrorCode error) {
    switch (error) {
        case ErrorCode::coordinator_load_in_progress: return;  // ask again
        case ErrorCode::coordinator_not_available:
        case ErrorCode::not_coordinator: return restart(false);
        case ErrorCode::unknown_member_id:
        case ErrorCode::illegal_generation: return restart(true);
        case ErrorCode::rebalance_in_progress:
            restart(false);
            state_ = State::joining;
            return;
        default: return sim_.fault(fmt::format("{} is answered {}", name(), static_cast<int>(error)));
    }
}

void SimMember::act() {
    if (waiting() > 0) { return; }
    switch (state_) {
        case State::finding: return find();
        case State::joining: return join();
        case State::syncing: return sync();
        case State::asking: return ask_offsets();
        case State::working: return work();
    }
}

void SimMember::find() {
    kafka::FindCoordinatorRequest request;
    request.coordinator_keys = {group};
    ask<kafka::FindCoordinatorResponse>(request, 4, [this](kafka::FindCoordinatorResponse& response) {
        const ErrorCode error = response.coordinators.at(0).error_code;
        if (error != ErrorCode::none) { return failed(error); }
        state_ = State::joining;
    });
}

void SimMember::join() {
    kafka::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 1'000;
    request.rebalance_timeout_ms = 1'000;
    request.member_id = member_id_;
    request.protocol_type = "consumer";
    request.protocols.push_back({"range", as_bytes(std::string_view("kept"))});
    ask<kafka::JoinGroupResponse>(request, 7, [this](kafka::JoinGroupResponse& response) {
        if (response.error_code == ErrorCode::member_id_required) {
            member_id_ = response.member_id;
            return;
        }
        if (response.error_code != ErrorCode::none) { return failed(response.error_code); }
        member_id_ = response.member_id;
        generation_ = response.generation_id;
        all_.clear();
        if (response.leader == member_id_) {
            for (const auto& member : response.members) { all_.push_back(member.member_id); }
        }
        state_ = State::syncing;
    });
}

void SimMember::sync() {
    kafka::SyncGroupRequest request;
    request.group_id = group;
    request.generation_id = generation_;
    request.member_id = member_id_;
    request.protocol_type = "consumer";
    request.protocol_name = "range";
    // The leader decides in its own words: the partitions' digits.
    std::vector<std::string> given(all_.size());
    for (size_t i = 0; i < 2 && !all_.empty(); ++i) { given[i % all_.size()] += std::to_string(i); }
    for (size_t i = 0; i < all_.size(); ++i) { request.assignments.push_back({all_[i], as_bytes(given[i])}); }
    ask<kafka::SyncGroupResponse>(request, 5, [this](kafka::SyncGroupResponse& response) {
        if (response.error_code != ErrorCode::none) { return failed(response.error_code); }
        positions_.clear();
        committed_.clear();
        for (const char digit : as_text(response.assignment)) { positions_[digit - '0'] = 0; }
        beat_ms_ = sim_.clock().wall_ms();
        state_ = positions_.empty() ? State::working : State::asking;
    });
}

void SimMember::ask_offsets() {
    kafka::OffsetFetchRequest request;
    request.groups.push_back({.group_id = group});
    auto& topic = request.groups[0].topics->emplace_back();
    topic.name = "kept";
    for (const auto& [partition, position] : positions_) { topic.partition_indexes.push_back(partition); }
    ask<kafka::OffsetFetchResponse>(request, 8, [this](kafka::OffsetFetchResponse& response) {
        const auto& answered = response.groups.at(0);
        if (answered.error_code != ErrorCode::none) { return failed(answered.error_code); }
        for (const auto& partition : answered.topics.at(0).partitions) {
            const int64_t offset = std::max<int64_t>(partition.committed_offset, 0);
            sim_.committed(static_cast<size_t>(partition.partition_index), offset);
            positions_[partition.partition_index] = offset;
            committed_[partition.partition_index] = offset;
        }
        state_ = State::working;
    });
}

void SimMember::work() {
    if (sim_.clock().wall_ms() >= beat_ms_ + 300) { return heartbeat(); }
    if (positions_.empty()) { return; }
    const bool ahead = std::ranges::any_of(
        positions_, [&](const auto& position) { return position.second > committed_[position.first]; });
    if (ahead && sim_.random().below(3) == 0) { return commit(); }
    fetch();
}

void SimMember::heartbeat() {
    beat_ms_ = sim_.clock().wall_ms();
    ask<kafka::HeartbeatResponse>(kafka::HeartbeatRequest{group, generation_, member_id_, std::nullopt}, 4,
                                  [this](kafka::HeartbeatResponse& response) {
                                      if (response.error_code != ErrorCode::none) { failed(response.error_code); }
                                  });
}

void SimMember::commit() {
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    request.generation_id_or_member_epoch = generation_;
    request.member_id = member_id_;
    auto& topic = request.topics.emplace_back();
    topic.name = "kept";
    for (const auto& [partition, position] : positions_) {
        topic.partitions.push_back({.partition_index = partition, .committed_offset = position});
    }
    ask<kafka::OffsetCommitResponse>(request, 8, [this, asked = positions_](kafka::OffsetCommitResponse& response) {
        for (const auto& partition : response.topics.at(0).partitions) {
            if (partition.error_code != ErrorCode::none) { return failed(partition.error_code); }
        }
        for (const auto& [partition, position] : asked) {
            sim_.committed(static_cast<size_t>(partition), position);
            committed_[partition] = position;
        }
    });
}

void SimMember::fetch() {
    auto chosen = positions_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(sim_.random().below(positions_.size())));
    kafka::FetchRequest request;
    request.max_wait_ms = static_cast<int32_t>(sim_.random().below(200));
    request.min_bytes = 1;
    request.max_bytes = static_cast<int32_t>(1 + sim_.random().below(20'000));
    request.topics.emplace_back().topic = "kept";
    request.topics[0].partitions.push_back(
        {.partition = chosen->first, .fetch_offset = chosen->second, .partition_max_bytes = 10'000});
    ask<kafka::FetchResponse>(
        request, 12, [this, partition = chosen->first, from = chosen->second](kafka::FetchResponse& response) {
            const auto& answered = response.responses.at(0).partitions.at(0);
            if (answered.error_code != ErrorCode::none) {
                return sim_.fault(fmt::format("{}: a fetch of kept-{} from {} is answered {}", name(), partition, from,
                                              static_cast<int>(answered.error_code)));
            }
            positions_[partition] =
                sim_.read(static_cast<size_t>(partition), from, answered.records, answered.high_watermark);
        });
}

// --- the admin ---------------------------------------------------------------------------------------------------------

void SimAdmin::lost() {
    if (becoming_ != passing_) { passing_ = becoming_ = Is::unknown; }
}

void SimAdmin::act() {
    if (waiting() > 0) { return; }
    if (!ready_) {
        create("kept", 2);
        create("trimmed", 1);
        return;
    }
    if (sim_.healing()) { return look(); }
    switch (sim_.random().below(8)) {
        case 0: return create(passing, 1);
        case 1: return remove();
        case 2: return look();
        case 3: return trim();
        default: return;
    }
}

void SimAdmin::create(const std::string& topic, int32_t partitions) {
    kafka::CreateTopicsRequest request;
    auto& one = request.topics.emplace_back();
    one.name = topic;
    one.num_partitions = partitions;
    one.replication_factor = 1;
    one.configs.push_back({"segment.bytes", "1048576"});
    if (topic == passing) { becoming_ = Is::there; }
    ask<kafka::CreateTopicsResponse>(request, 7, [this, topic](kafka::CreateTopicsResponse& response) {
        const ErrorCode error = response.topics.at(0).error_code;
        if (error != ErrorCode::none && error != ErrorCode::topic_already_exists) {
            return sim_.fault(fmt::format("making {} is answered {}", topic, static_cast<int>(error)));
        }
        if (topic == "trimmed") { ready_ = true; }
        if (topic != passing) { return; }
        if (passing_ == (error == ErrorCode::none ? Is::there : Is::absent)) {
            sim_.fault("a topic that was deleted is there, or one that was made is not");
        }
        passing_ = becoming_ = Is::there;
    });
}

void SimAdmin::remove() {
    kafka::DeleteTopicsRequest request;
    request.topics.push_back({passing, {}});
    becoming_ = Is::absent;
    ask<kafka::DeleteTopicsResponse>(request, 6, [this](kafka::DeleteTopicsResponse& response) {
        const ErrorCode error = response.responses.at(0).error_code;
        if (error != ErrorCode::none && error != ErrorCode::unknown_topic_or_partition) {
            return sim_.fault(fmt::format("deleting is answered {}", static_cast<int>(error)));
        }
        if (passing_ == (error == ErrorCode::none ? Is::absent : Is::there)) {
            sim_.fault("a topic that was made is not there to be deleted, or one is that was deleted");
        }
        passing_ = becoming_ = Is::absent;
    });
}

void SimAdmin::look() {
    kafka::MetadataRequest request;
    request.topics = std::nullopt;
    request.allow_auto_topic_creation = false;
    ask<kafka::MetadataResponse>(request, 12, [this](kafka::MetadataResponse& response) {
        size_t kept = 0;
        bool there = false;
        for (const auto& topic : response.topics) {
            kept += topic.name == "kept" || topic.name == "trimmed" ? 1 : 0;
            there = there || topic.name == passing;
        }
        if (kept != 2) { sim_.fault("topics are gone that nobody deleted"); }
        if (passing_ == (there ? Is::absent : Is::there)) { sim_.fault("a topic is not as it was said to be"); }
        passing_ = becoming_ = there ? Is::there : Is::absent;
    });
}

void SimAdmin::trim() {
    const int64_t from = sim_.told_start(trimmed_0);
    const int64_t end = sim_.known_end(trimmed_0);
    if (end <= from) { return; }
    const int64_t to = from + static_cast<int64_t>(sim_.random().below(static_cast<uint64_t>(end - from)));
    kafka::DeleteRecordsRequest request;
    request.topics.push_back({"trimmed", {{0, to}}});
    request.timeout_ms = 30'000;
    ask<kafka::DeleteRecordsResponse>(request, 2, [this, to](kafka::DeleteRecordsResponse& response) {
        const auto& answered = response.topics.at(0).partitions.at(0);
        if (answered.error_code != ErrorCode::none || answered.low_watermark < to) {
            return sim_.fault(fmt::format("deleting records below {} is answered {}, {}", to,
                                          static_cast<int>(answered.error_code), answered.low_watermark));
        }
        sim_.log_start(trimmed_0, answered.low_watermark);
    });
}

// --- the world ---------------------------------------------------------------------------------------------------------

BrokerSim::BrokerSim(const Options& options)
    : options_(options),
      random_(options.seed),
      broker_random_(options.seed + 1),
      network_(clock_, {.seed = options.seed + 2, .buffer_bytes = 4'000 + 1'000 * (options.seed % 60)}),
      disk_(std::make_unique<SimDisk>()) {
    admin_ = std::make_unique<SimAdmin>(*this);
    producers_.push_back(std::make_unique<SimProducer>(*this, 0, true, kept_0));
    producers_.push_back(std::make_unique<SimProducer>(*this, 1, true, kept_0));
    producers_.push_back(std::make_unique<SimProducer>(*this, 2, true, kept_1));
    producers_.push_back(std::make_unique<SimProducer>(*this, 3, false, kept_1));
    producers_.push_back(std::make_unique<SimProducer>(*this, 4, false, trimmed_0));
    for (int i = 0; i < 2; ++i) { members_.push_back(std::make_unique<SimMember>(*this, i)); }
    for (const auto& producer : producers_) { clients_.push_back(producer.get()); }
    for (const auto& member : members_) { clients_.push_back(member.get()); }
    clients_.push_back(admin_.get());
}

BrokerSim::~BrokerSim() {
    broker_.reset();
    log_.reset();
}

void BrokerSim::fault(std::string what) {
    if (fault_.empty()) { fault_ = std::move(what); }
}

// FNV-1a, 64 bits: a fingerprint, not a secret.
void BrokerSim::trace(Bytes bytes) {
    for (const std::byte byte : bytes) { hash_ = (hash_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3ull; }
    hash_ = (hash_ ^ bytes.size()) * 0x100000001b3ull;
}

void BrokerSim::know(size_t place, int64_t offset, std::string_view value) {
    const auto [known, fresh] = known_[place].emplace(offset, value);
    if (!fresh && known->second != value) {
        fault(fmt::format("offset {} of {}-{} was \"{}\" and is \"{}\"", offset, topic_of(place), partition_of(place),
                          known->second, value));
    }
}

int64_t BrokerSim::read(size_t place, int64_t from, const kafka::Records& records, int64_t high_watermark) {
    std::vector<std::byte> scratch;
    int64_t next = from;
    for (Bytes rest : records.pieces) {
        while (!rest.empty()) {
            const auto batch = BatchView::parse(rest);
            if (!batch || !batch->crc_matches()) {
                fault("a fetched batch is damaged");
                return next;
            }
            if (batch->base_offset().value > next) {
                fault(fmt::format("a gap before {}", batch->base_offset().value));
            }
            auto cursor = RecordCursor::open(*batch, scratch);
            while (cursor) {
                const auto record = cursor->next();
                if (!record) { fault("a fetched batch cannot be read"); }
                if (!record || !*record) { break; }
                know(place, (*record)->offset.value, (*record)->value.value_or(""));
            }
            next = batch->next_offset().value;
            rest = rest.subspan(batch->size());
        }
    }
    if (next > std::max(high_watermark, from)) {
        fault(fmt::format("read up to {}, past the high watermark {}", next, high_watermark));
    }
    return next;
}

void BrokerSim::log_start(size_t place, int64_t start) {
    if (start < starts_[place]) {
        fault(fmt::format("the start of {} goes back from {} to {}", topic_of(place), starts_[place], start));
    }
    starts_[place] = std::max(starts_[place], start);
}

void BrokerSim::committed(size_t place, int64_t offset) {
    if (offset < commits_[place]) {
        fault(fmt::format("the group's offset of kept-{} goes back from {} to {}", place, commits_[place], offset));
    }
    commits_[place] = std::max(commits_[place], offset);
}

// --- its broker --------------------------------------------------------------------------------------------------------

void BrokerSim::open() {
    faulty_ = std::make_unique<FaultyDisk>(*disk_);
    auto log =
        open_log({faulty_.get(), &clock_, &broker_random_}, "data",
                 {.threads = 0, .journal_bytes_max = 16u << 20, .dirty_bytes_max = 1u << 20, .reserve_bytes = 0});
    if (!log) { return fault(fmt::format("the log does not open: {}", log.error().message())); }
    log_.emplace(std::move(*log));
    broker_ = std::make_unique<Broker>(*log_, network_, clock_, broker_random_, config(), false,
                                       [this](std::string_view line) { trace(line); });
    const auto address = broker_->listen({"127.0.0.1", 9092});
    CHECK(address.has_value());
    address_ = *address;
}

// The process, or with it everything that was not synced; between two rounds or in the middle of one, before the
// journal is written: what was answered by then has been answered.
void BrokerSim::die(bool power) {
    trace(power ? "power is lost" : "the process dies");
    std::unique_ptr<SimDisk> left;
    const auto lose_power = [&] {
        left = disk_->crash({.keep = Crash::Keep::seeded, .seed = random_.below(UINT64_MAX)});
        network_.lose_server();
    };
    if (power && random_.below(2) == 0) {
        faulty_->interrupt(FaultyDisk::Call::write_durable, [&] {
            if (!left) { lose_power(); }
        });
        for (int i = 0; i < 20 && !left; ++i) {
            clients_[random_.below(clients_.size())]->turn();
            round(0);
        }
    }
    if (power && !left) { lose_power(); }
    broker_.reset();
    log_.reset();
    faulty_.reset();
    if (power) { disk_ = std::move(left); }
    back_at_ms_ = clock_.wall_ms() + static_cast<int64_t>(random_.below(100));
}

void BrokerSim::stop() {
    trace("the broker is stopped");
    broker_->stop(1'000);
    broker_.reset();
    if (const auto closed = log_->close(); !closed) { fault(closed.error().message()); }
    log_.reset();
    faulty_.reset();
    back_at_ms_ = clock_.wall_ms() + static_cast<int64_t>(random_.below(100));
}

void BrokerSim::round(int64_t wait_ms) {
    if (!broker_) {
        clock_.advance_ms(1 + wait_ms);
        if (clock_.wall_ms() >= back_at_ms_) { open(); }
        return;
    }
    const int64_t before = clock_.wall_ms();
    if (const auto ran = broker_->run(wait_ms); !ran) { fault(ran.error().message()); }
    if (clock_.wall_ms() == before) { clock_.advance_ms(1); }  // work takes time, too
}

void BrokerSim::step() {
    const uint64_t dice = random_.below(1'000);
    SimClient& client = *clients_[random_.below(clients_.size())];
    if (dice < 2 && broker_) {
        die(true);
    } else if (dice < 4 && broker_) {
        die(false);
    } else if (dice < 5 && broker_) {
        stop();
    } else if (dice < 13) {
        client.drop(true);
    } else if (dice < 20) {
        // Ended without a reset, what was sent is still read: only producers can tell what that does.
        producers_[random_.below(producers_.size())]->drop(false);
    } else {
        client.turn();
    }
    const uint64_t wait = random_.below(50);
    round(wait == 0 ? 500 : wait < 10 ? 20 : 0);
}

std::string BrokerSim::run() {
    open();
    for (uint32_t i = 0; i < rounds_max && !admin_->ready() && fault_.empty(); ++i) {
        admin_->turn();
        round(1);
    }
    for (uint32_t i = 0; i < options_.steps && fault_.empty(); ++i) { step(); }
    healing_ = true;
    if (fault_.empty()) { converge(); }
    if (fault_.empty()) { read_everything(); }
    if (fault_.empty() && broker_) {
        die(random_.below(2) == 0);
        back_at_ms_ = clock_.wall_ms();
        round(0);
        if (fault_.empty()) { read_everything(); }
    }
    return fault_;
}

bool BrokerSim::settled() const {
    for (const auto& producer : producers_) {
        if (!producer->settled()) { return false; }
    }
    for (const size_t place : {kept_0, kept_1}) {
        const bool done = std::ranges::any_of(
            members_, [&](const auto& member) { return member->committed_to(partition_of(place), known_end(place)); });
        if (!done) { return false; }
    }
    return true;
}

void BrokerSim::converge() {
    const int64_t until = clock_.wall_ms() + converge_ms_max;
    for (uint32_t i = 0; i < rounds_max && fault_.empty(); ++i) {
        if (broker_ && settled()) { return; }
        if (clock_.wall_ms() > until) { break; }
        for (SimClient* client : clients_) { client->turn(); }
        round(10);
    }
    std::string who = broker_ ? "" : "the broker is not back; ";
    for (const auto& producer : producers_) {
        if (!producer->settled()) { who += producer->name() + " is not answered; "; }
    }
    for (const auto& member : members_) { who += member->describe() + "; "; }
    fault(fmt::format("it does not converge: {}kept ends at {} and {}", who, known_end(kept_0), known_end(kept_1)));
}

// From the start to the end, through the front door, and everything known is there.
void BrokerSim::read_everything() {
    class Reader final : public SimClient {
    public:
        Reader(BrokerSim& sim, size_t place) : SimClient(sim, "reader"), place_(place) {}
        int64_t start = -1;
        int64_t next = 0;
        bool done = false;

    protected:
        void act() override {
            if (waiting() > 0 || done) { return; }
            if (start < 0) { return ask_start(); }
            kafka::FetchRequest request;
            request.topics.emplace_back().topic = topic_of(place_);
            request.topics[0].partitions.push_back(
                {.partition = partition_of(place_), .fetch_offset = next, .partition_max_bytes = 100'000});
            ask<kafka::FetchResponse>(request, 12, [this, from = next](kafka::FetchResponse& response) {
                const auto& answered = response.responses.at(0).partitions.at(0);
                if (answered.error_code != ErrorCode::none) {
                    done = true;
                    return sim_.fault(fmt::format("reading {} from {} is answered {}", topic_of(place_), from,
                                                  static_cast<int>(answered.error_code)));
                }
                sim_.log_start(place_, answered.log_start_offset);
                next = sim_.read(place_, from, answered.records, answered.high_watermark);
                done = next == answered.high_watermark;
                if (!done && next == from) { sim_.fault("nothing to read below the high watermark"); }
            });
        }
        void lost() override {
            if (!done) { sim_.fault("a reader loses its connection"); }
            done = true;
        }

    private:
        void ask_start() {
            kafka::ListOffsetsRequest request;
            request.topics.push_back({topic_of(place_), {{.partition_index = partition_of(place_), .timestamp = -2}}});
            ask<kafka::ListOffsetsResponse>(request, 7, [this](kafka::ListOffsetsResponse& response) {
                start = next = response.topics.at(0).partitions.at(0).offset;
                sim_.log_start(place_, start);
            });
        }
        size_t place_;
    };
    for (size_t place = 0; place < places && fault_.empty(); ++place) {
        Reader reader(*this, place);
        for (uint32_t i = 0; i < rounds_max && !reader.done && fault_.empty(); ++i) {
            reader.turn();
            round(1);
        }
        if (!fault_.empty()) { return; }
        if (!reader.done) { return fault("a reader is not answered"); }
        if (reader.next != known_end(place)) {
            return fault(fmt::format("{}-{} ends at {}, but {} was acknowledged or shown", topic_of(place),
                                     partition_of(place), reader.next, known_end(place)));
        }
        // read() looked at gaps; what is known and was not read again would be one.
        int64_t offset = reader.start;
        std::map<std::string, int32_t> next;
        for (auto at = known_[place].lower_bound(reader.start); at != known_[place].end(); ++at) {
            if (at->first != offset++) { return fault(fmt::format("nothing is at {}", offset - 1)); }
            const std::string prefix = at->second.substr(0, at->second.find(':') + 1);
            int32_t number = -1;
            std::from_chars(at->second.data() + prefix.size(), at->second.data() + at->second.size(), number);
            const auto producer = std::ranges::find(producers_, prefix, [](const auto& one) { return one->prefix(); });
            if (producer == producers_.end()) { return fault("a record that nobody sent"); }
            if (!(*producer)->idempotent()) { continue; }
            if (number != next[prefix]++) {
                return fault(
                    fmt::format("record {} of producer {} is there twice, lost, or out of order", number, prefix));
            }
        }
        for (const auto& producer : producers_) {
            if (!producer->idempotent() || producer->place() != place) { continue; }
            if (next[producer->prefix()] != producer->sent()) { return fault("records of a producer are lost"); }
        }
        reader.drop(false);
    }
}

}  // namespace flowstone
