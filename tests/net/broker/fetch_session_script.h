// FetchSessions as the golden scripts speak of it (tests/net/broker/fetch_sessions).
//
//   options sessions=2 partitions=3 bytes=1000 idle=100
//   at 3000                                     monotonic time, in ms
//   fetch a session=1 epoch=2 asks=t-0:5,u-1:0 forgets=t-2 [ids]
//                                               begins a fetch named a: the partitions in their order, or an error
//   answer a finds=t-0:10,u-1:3/2/records       ends it; high watermark[/log start][/records][/must][/ERROR_NAME]
//   drop a                                      its connection went
//   show                                        what is kept
//
// Session ids count up from 1. With `ids` topics are named by an id, which is printed as #t.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "net/broker/fetch_sessions.h"
#include "tests/script.h"

namespace flowstone {

// Counts instead of rolling dice.
class CountingRandom final : public Random {
public:
    void fill(MutableBytes out) override {
        if (!stuck) { ++last_; }
        for (size_t i = 0; i < out.size(); ++i) {
            out[i] = static_cast<std::byte>(i < sizeof(last_) ? last_ >> (8 * i) : 0);
        }
    }
    bool stuck = false;

private:
    uint64_t last_ = 0;
};

class FetchSessionScript {
public:
    std::string run(const ScriptCommand& c) {
        if (c.name == "options") { return options(c); }
        if (!sessions_) { sessions_.emplace(options_, random_); }
        if (c.name == "at") {
            now_ms_ = std::stoll(c.words.at(0));
            return "";
        }
        if (c.name == "random") {
            random_.stuck = c.words.at(0) == "stuck";
            return "";
        }
        if (c.name == "fetch") { return begin(c); }
        if (c.name == "answer") { return finish(c); }
        if (c.name == "drop") { return fetches_.erase(c.words.at(0)) == 1 ? "ok\n" : "no such fetch\n"; }
        if (c.name == "show") {
            return fmt::format("{} sessions of {} partitions, {} evicted\n", sessions_->session_count(),
                               sessions_->partition_count(), sessions_->evicted_count());
        }
        return "unknown command " + c.name + "\n";
    }

private:
    struct Open {
        Fetch fetch;
        bool ids;
    };

    std::string options(const ScriptCommand& c) {
        const auto size = [&](const char* key, auto& value) {
            value = static_cast<std::remove_reference_t<decltype(value)>>(c.number(key, static_cast<int64_t>(value)));
        };
        size("sessions", options_.sessions_max);
        size("partitions", options_.partitions_max);
        size("bytes", options_.bytes_max);
        size("idle", options_.idle_ms_min);
        return "";
    }

    static Uuid id_of(std::string_view topic) {
        Uuid id;
        for (size_t i = 0; i < topic.size() && i < id.bytes.size(); ++i) { id.bytes[i] = std::byte(topic[i]); }
        return id;
    }
    static std::string print(const FetchKey& key) {
        if (key.topic_id.is_zero()) { return fmt::format("{}-{}", key.topic, key.partition); }
        std::string topic;
        for (const std::byte b : key.topic_id.bytes) {
            if (b != std::byte{0}) { topic += static_cast<char>(b); }
        }
        return fmt::format("#{}-{}", topic, key.partition);
    }
    static std::vector<std::string> split(const std::string& text, char by) {
        std::vector<std::string> parts;
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(by, at), text.size());
            parts.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        return parts;
    }
    // Views `topics_`, where names stay.
    FetchKey key(const std::string& text, bool ids) {
        const size_t dash = text.rfind('-');
        const std::string& topic = *topics_.insert(text.substr(0, dash)).first;
        const int32_t partition = std::stoi(text.substr(dash + 1));
        return ids ? FetchKey{id_of(topic), {}, partition} : FetchKey{{}, topic, partition};
    }

    std::string begin(const ScriptCommand& c) {
        const std::string& name = c.words.at(0);
        const bool ids = c.words.size() > 1 && c.words[1] == "ids";
        FetchSessionRequest request{.session_id = static_cast<int32_t>(c.number("session")),
                                    .session_epoch = static_cast<int32_t>(c.number("epoch")),
                                    .by_topic_id = ids};
        for (const std::string& one : c.list("asks")) {
            const auto parts = split(one, ':');
            const FetchKey at = key(parts[0], ids);
            request.partitions.push_back({.topic_id = at.topic_id,
                                          .topic = std::string(at.topic),
                                          .partition = at.partition,
                                          .current_leader_epoch = static_cast<int32_t>(c.number("leader_epoch", -1)),
                                          .fetch_offset = std::stoll(parts.at(1)),
                                          .last_fetched_epoch = static_cast<int32_t>(c.number("last_epoch", -1)),
                                          .log_start_offset = c.number("log_start", -1),
                                          .partition_max_bytes = static_cast<int32_t>(c.number("max", 100))});
        }
        for (const std::string& one : c.list("forgets")) { request.forgotten.push_back(key(one, ids)); }
        Fetch fetch = sessions_->begin(std::move(request), now_ms_);
        if (fetch.error() != kafka::ErrorCode::none) {
            return fmt::format("{}: {}\n", name, kafka::name(fetch.error()));
        }
        std::string line = fmt::format("{}: {}", name, fetch.is_incremental() ? "incremental" : "full");
        for (const auto& entry : fetch.due()) {
            const FetchPartition& asked = entry.asked;
            line += fmt::format(" {}:{}", print(key_of(asked)), asked.fetch_offset);
            if (asked.current_leader_epoch != -1) { line += fmt::format("/leader {}", asked.current_leader_epoch); }
            if (asked.last_fetched_epoch != -1) { line += fmt::format("/last {}", asked.last_fetched_epoch); }
            if (asked.log_start_offset != -1) { line += fmt::format("/start {}", asked.log_start_offset); }
            if (asked.partition_max_bytes != 100) { line += fmt::format("/max {}", asked.partition_max_bytes); }
        }
        fetches_.insert_or_assign(name, Open{std::move(fetch), ids});
        return line + "\n";
    }

    std::string finish(const ScriptCommand& c) {
        const std::string& name = c.words.at(0);
        const auto found = fetches_.find(name);
        if (found == fetches_.end()) { return "no such fetch\n"; }
        std::vector<FetchOutcome> outcomes;
        for (const std::string& one : c.list("finds")) {
            const auto parts = split(one, ':');
            FetchOutcome& outcome = outcomes.emplace_back();
            outcome.key = key(parts[0], found->second.ids);
            const auto facts = split(parts.at(1), '/');
            outcome.high_watermark = std::stoll(facts[0]);
            outcome.log_start_offset = 0;
            for (size_t i = 1; i < facts.size(); ++i) {
                if (facts[i] == "records") {
                    outcome.has_records = true;
                } else if (facts[i] == "must") {
                    outcome.must_answer = true;
                } else if (const auto error = kafka::error_code_named(facts[i])) {
                    outcome.error = *error;
                } else {
                    outcome.log_start_offset = std::stoll(facts[i]);
                }
            }
        }
        const FetchAnswer answer = sessions_->finish(std::move(found->second.fetch), outcomes, now_ms_);
        fetches_.erase(found);
        std::string line = fmt::format("{}: session {}", name, answer.session_id);
        if (answer.error != kafka::ErrorCode::none) { line += fmt::format(" {}", kafka::name(answer.error)); }
        for (const size_t i : answer.partitions) { line += " " + print(outcomes[i].key); }
        return line + "\n";
    }

    FetchSessionsOptions options_;
    CountingRandom random_;
    std::optional<FetchSessions> sessions_;
    int64_t now_ms_ = 0;
    std::set<std::string> topics_;
    std::map<std::string, Open> fetches_;
};

}  // namespace flowstone
