#include "client/fintech/pipeline.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include <flowstone/admin.h>
#include <fmt/format.h>

#include "client/fintech/journal_stage.h"
#include "client/fintech/validate_stage.h"
#include "storage/try.h"

namespace flowstone::fintech {
namespace {

Result<bool> all_stored(Admin admin, const std::string& group, const std::vector<std::string>& inputs) {
    std::map<TopicPartition, Offset> stored;
    TRY(const auto offsets, admin.offsets(group));
    for (const GroupOffset& one : offsets) { stored[{one.topic, one.partition}] = one.offset; }
    for (const std::string& input : inputs) {
        TRY(const RemoteTopic topic, admin.topic(input));
        for (int32_t partition = 0; partition < std::ssize(topic.partitions); ++partition) {
            TRY(const PartitionOffsets ends, admin.ends({input, partition}));
            const auto found = stored.find({input, partition});
            const Offset done = found == stored.end() ? ends.log_start : found->second;
            if (done < ends.high_watermark) { return false; }
        }
    }
    return true;
}

}  // namespace

struct Pipeline::Running {
    std::string name;
    std::vector<std::string> inputs;
    std::optional<Enricher> enricher;
    std::unique_ptr<ValidateStage> validate;
    std::unique_ptr<JournalStage> journal;
    std::optional<Stage> stage;  // goes before what it calls
};

Pipeline::Pipeline(Client& client) : client_(client) {}
Pipeline::~Pipeline() {
    const auto stopped = stop();
    (void)stopped;  // who wants to know asks before
}

std::vector<std::string> Pipeline::stage_names() { return {ValidateStage::name, JournalStage::name}; }

Result<void> Pipeline::add(const std::string& name, const Schemas& schemas, Clock& clock,
                           const PipelineOptions& options) {
    auto running = std::make_unique<Running>();
    running->name = name;
    StageOptions stage_options;
    StageFunction function;
    if (name == ValidateStage::name) {
        running->enricher.emplace(options.reporting, options.rates);
        running->validate = std::make_unique<ValidateStage>(client_, schemas, *running->enricher, clock);
        stage_options = ValidateStage::options();
        function = [stage = running->validate.get()](const StageRecord& record, StageOutput& out) {
            return stage->process(record, out);
        };
    } else if (name == JournalStage::name) {
        running->journal = std::make_unique<JournalStage>(client_, options.fees, clock);
        stage_options = JournalStage::options();
        function = [stage = running->journal.get()](const StageRecord& record, StageOutput& out) {
            return stage->process(record, out);
        };
    } else {
        return fail(Code::invalid, "fintech.run", fmt::format("there is no stage {}", name));
    }
    running->inputs = stage_options.inputs;
    stage_options.instance = options.instance;
    TRY(running->stage, Stage::open(client_, std::move(stage_options), std::move(function)));
    running_.push_back(std::move(running));
    return {};
}

void Pipeline::start() {
    for (const auto& running : running_) {
        threads_.emplace_back(running->name, [this, stage = &*running->stage] {
            const auto ended = stage->run(stop_);
            if (ended) { return; }
            const std::lock_guard guard(lock_);
            if (!error_) { error_ = ended.error(); }
            ended_ = true;
        });
    }
}

Result<std::unique_ptr<Pipeline>> Pipeline::open(Client& client, const Schemas& schemas, Clock& clock,
                                                 const PipelineOptions& options) {
    std::unique_ptr<Pipeline> pipeline(new Pipeline(client));
    std::vector<std::string> once = options.stages;
    std::ranges::sort(once);
    if (once.empty() || std::ranges::adjacent_find(once) != once.end()) {
        return fail(Code::invalid, "fintech.run", "no stage, or one of them twice");
    }
    for (const std::string& name : options.stages) { TRY_VOID(pipeline->add(name, schemas, clock, options)); }
    pipeline->start();
    return pipeline;
}

Result<bool> Pipeline::drained() {
    for (const std::string& name : stage_names()) {
        const auto found = std::ranges::find_if(running_, [&](const auto& running) { return running->name == name; });
        if (found == running_.end()) { continue; }
        TRY(const bool stored, all_stored(client_.admin(), name, (**found).inputs));
        if (!stored) { return false; }
    }
    return true;
}

Result<void> Pipeline::stop() {
    stop_ = true;
    threads_.clear();  // waits for each
    for (const auto& running : running_) { running->stage.reset(); }
    const std::lock_guard guard(lock_);
    if (error_) { return std::unexpected(*error_); }
    return {};
}

std::vector<StageMetrics> Pipeline::metrics() const {
    std::vector<StageMetrics> out;
    for (const auto& running : running_) {
        if (running->stage) { out.push_back(running->stage->metrics()); }
    }
    return out;
}

}  // namespace flowstone::fintech
