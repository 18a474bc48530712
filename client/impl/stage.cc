#include <flowstone/stage.h>

#include <utility>

#include "client/impl/client_stage_port.h"
#include "client/impl/stage_core.h"
#include "storage/try.h"

namespace flowstone {

Stage::Stage(std::unique_ptr<StagePort> port, std::unique_ptr<StageCore> core)
    : port_(std::move(port)), core_(std::move(core)) {}
Stage::Stage(Stage&&) noexcept = default;
Stage& Stage::operator=(Stage&& other) noexcept {
    std::swap(port_, other.port_);
    std::swap(core_, other.core_);
    return *this;
}
// The core first: the port tells it nothing any more, and it was made of the port.
Stage::~Stage() = default;

Result<Stage> Stage::open_with(Client& client, StageOptions options, StageFunction function, StageSink* sink) {
    TRY(auto port, ClientStagePort::open(client, options));
    auto core = std::make_unique<StageCore>(*port, std::move(options), std::move(function), sink);
    TRY_VOID(core->open());
    return Stage(std::move(port), std::move(core));
}

Result<Stage> Stage::open(Client& client, StageOptions options, StageFunction function) {
    return open_with(client, std::move(options), std::move(function), nullptr);
}
Result<Stage> Stage::open(Client& client, StageOptions options, StageSink& sink, StageFunction function) {
    return open_with(client, std::move(options), std::move(function), &sink);
}

Result<void> Stage::run(const std::atomic<bool>& stop) { return core_->run(stop); }
Result<size_t> Stage::step(std::chrono::milliseconds timeout) {
    static constexpr std::atomic<bool> never = false;
    return core_->step(timeout.count(), never);
}
StageMetrics Stage::metrics() const { return core_->metrics(); }

}  // namespace flowstone
