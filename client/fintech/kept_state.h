// What a stage remembers of a partition, kept nowhere but in what it wrote: its own output says it all. So it is as durable
// as that, in step with the input offset by the rule of Stage, and the same after a restart, a rebalance or a step that was
// begun again.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <flowstone/source.h>
#include <flowstone/stage.h>

#include "client/fintech/read_partition.h"
#include "storage/try.h"

namespace flowstone::fintech {

// `State` is what a default-made one becomes by learning the stage's outputs, one after the other. One thread at a time.
template <class State>
class KeptState {
public:
    using Learn = std::function<Result<void>(State&, const RecordView& output)>;
    struct Options {
        std::string stage;   // whose outputs are learned
        std::string output;  // from this topic
        Learn learn;
    };
    KeptState(Client& client, Options options)
        : client_(client), options_(std::move(options)) {}  // client: outlives it

    // The state in front of the record: of all that was made of the records of its partition before it. Reads the output
    // if the record does not follow the one that passed() was told of last. Errors: those worth
    // another try, which those of `learn` become.
    Result<State*> before(const StageRecord& record) {
        Place& place = places_[{std::string(record.topic), record.partition}];
        if (record.offset != place.next) {
            const auto learned = learn_up_to(place, record);
            if (!learned) {
                places_.erase({std::string(record.topic), record.partition});
                return unknown(learned.error());
            }
        }
        return &place.state;
    }
    // The state has what was made of the record, which was nothing if it became a dead letter.
    void passed(const StageRecord& record) {
        places_[{std::string(record.topic), record.partition}].next = record.offset + 1;
    }

private:
    struct Place {
        State state{};
        Offset next{0};         // Invariant: the state is of all inputs before it
        Offset output_next{0};  // outputs before it are in the state, or were made by this object
    };
    // Without its state a stage can say nothing of a record, least of all that it is a dead letter: it waits.
    static std::unexpected<Error> unknown(const Error& error) {
        if (advice(error) != Advice::give_up) { return std::unexpected(error); }
        return fail(Code::offline, "stage.resume", error.message());
    }
    // An output that came twice, by two that ran at a time, counts once.
    Result<void> learn_up_to(Place& place, const StageRecord& record) {
        if (record.offset < place.next) { place = {}; }
        SourcePoint last{Offset{place.next.value - 1}, std::numeric_limits<int32_t>::max()};
        std::optional<Offset> ahead;
        const auto visit = [&](const RecordView& output) -> Result<void> {
            TRY(const auto source, source_of(output));
            if (!source || source->stage != options_.stage || source->topic != record.topic ||
                source->partition != record.partition) {
                return {};
            }
            const SourcePoint point{source->offset, source->output};
            if (point.offset >= record.offset) {  // left by somebody who stopped before he could commit
                if (!ahead) { ahead = output.offset; }
                return {};
            }
            if (point <= last) { return {}; }
            last = point;
            return options_.learn(place.state, output);
        };
        TRY(const Offset end, read_partition(client_, {options_.output, record.partition}, place.output_next, visit));
        place.output_next = ahead.value_or(end);
        place.next = record.offset;
        return {};
    }

    Client& client_;
    const Options options_;
    std::map<TopicPartition, Place> places_;
};

}  // namespace flowstone::fintech
