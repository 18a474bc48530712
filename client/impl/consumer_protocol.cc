#include "client/impl/consumer_protocol.h"

#include <map>

#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int16_t subscription_version = 3;
constexpr int16_t assignment_version = 3;

void put_text(ByteWriter& out, std::string_view text) {
    out.be<int16_t>(static_cast<int16_t>(text.size()));
    out.text(text);
}

void put_places(ByteWriter& out, const std::vector<TopicPartition>& places) {
    std::map<std::string_view, std::vector<int32_t>> by_topic;
    for (const TopicPartition& place : places) { by_topic[place.topic].push_back(place.partition); }
    out.be<int32_t>(static_cast<int32_t>(by_topic.size()));
    for (const auto& [topic, partitions] : by_topic) {
        put_text(out, topic);
        out.be<int32_t>(static_cast<int32_t>(partitions.size()));
        for (const int32_t partition : partitions) { out.be<int32_t>(partition); }
    }
}

void put_bytes(ByteWriter& out, Bytes bytes) {
    out.be<int32_t>(static_cast<int32_t>(bytes.size()));
    out.bytes(bytes);
}

class Input {
public:
    explicit Input(Bytes bytes) : in_(bytes) {}
    bool failed() const { return failed_ || in_.failed(); }
    template <class T>
    T be() {
        return in_.be<T>();
    }
    std::string text() {
        const auto size = in_.be<int16_t>();
        if (size < 0) { failed_ = true; }
        const Bytes bytes = in_.bytes(failed() ? 0 : static_cast<uint64_t>(size));
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    Bytes nullable_bytes() {
        const auto size = in_.be<int32_t>();
        return in_.bytes(size < 0 || failed() ? 0 : static_cast<uint64_t>(size));
    }
    // Each element has two bytes at least, so that no count is believed beyond what is there.
    size_t count() {
        const auto count = in_.be<int32_t>();
        if (count < 0 || static_cast<size_t>(count) > in_.remaining() / 2) { failed_ = true; }
        return failed() ? 0 : static_cast<size_t>(count);
    }
    std::vector<TopicPartition> places() {
        std::vector<TopicPartition> out;
        for (size_t topics = count(); topics > 0 && !failed(); --topics) {
            const std::string topic = text();
            for (size_t partitions = count(); partitions > 0 && !failed(); --partitions) {
                out.push_back({topic, in_.be<int32_t>()});
            }
        }
        return out;
    }

private:
    ByteReader in_;
    bool failed_ = false;
};

}  // namespace

std::vector<std::byte> encode_subscription(Assignor assignor, const Subscriber& member) {
    ByteWriter data;
    if (assignor == Assignor::sticky) { put_places(data, member.owned); }
    if (assignor == Assignor::sticky || assignor == Assignor::cooperative_sticky) {
        data.be<int32_t>(member.generation);
    }
    ByteWriter out;
    out.be<int16_t>(subscription_version);
    out.be<int32_t>(static_cast<int32_t>(member.topics.size()));
    for (const std::string& topic : member.topics) { put_text(out, topic); }
    put_bytes(out, data.view());
    put_places(out, member.owned);
    out.be<int32_t>(member.generation);
    out.be<int16_t>(-1);  // no rack
    return out.take();
}

Result<void> decode_subscription(Assignor assignor, Bytes bytes, Subscriber& out) {
    Input in(bytes);
    const auto version = in.be<int16_t>();
    out.topics.clear();
    for (size_t topics = in.count(); topics > 0 && !in.failed(); --topics) { out.topics.push_back(in.text()); }
    const Bytes data = in.nullable_bytes();
    out.owned.clear();
    out.generation = -1;
    if (version >= 1) { out.owned = in.places(); }
    if (version >= 2) { out.generation = in.be<int32_t>(); }
    if (in.failed() || version < 0) { return fail(Code::corrupt, "group.subscription"); }
    // Who does not say it openly says it here, or not at all: what cannot be read is as if it had nothing.
    Input extra(data);
    if (assignor == Assignor::sticky && out.owned.empty() && !data.empty()) {
        std::vector<TopicPartition> owned = extra.places();
        const auto generation = extra.be<int32_t>();
        if (!extra.failed()) {
            out.owned = std::move(owned);
            out.generation = generation;
        }
    }
    if (assignor == Assignor::cooperative_sticky && out.generation < 0 && !data.empty()) {
        const auto generation = extra.be<int32_t>();
        if (!extra.failed()) { out.generation = generation; }
    }
    return {};
}

std::vector<std::byte> encode_assignment(const std::vector<TopicPartition>& places) {
    ByteWriter out;
    out.be<int16_t>(assignment_version);
    put_places(out, places);
    out.be<int32_t>(-1);  // no userdata
    return out.take();
}

Result<std::vector<TopicPartition>> decode_assignment(Bytes bytes) {
    if (bytes.empty()) { return std::vector<TopicPartition>(); }
    Input in(bytes);
    const auto version = in.be<int16_t>();
    std::vector<TopicPartition> places = in.places();
    if (in.failed() || version < 0) { return fail(Code::corrupt, "group.assignment"); }
    return places;
}

}  // namespace flowstone
