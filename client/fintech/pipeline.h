// The stages that run in this process, each in a thread of its own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>
#include <flowstone/stage.h>

#include "client/fintech/enrich.h"
#include "client/fintech/ledger.h"
#include "client/fintech/schema.h"
#include "storage/clock.h"
#include "storage/thread.h"

namespace flowstone::fintech {

struct PipelineOptions {
    std::vector<std::string> stages{"validate", "journal"};  // which of them, each once
    // Of this process alone among all that run these stages (StageOptions::instance): killed and started again it goes on at
    // once, where others wait until the one that died is given up. Empty: none.
    std::string instance{};
    std::vector<Fee> fees{};                      // of the journal
    const ReferenceRates* rates = nullptr;        // for reports; null: none. Outlives the pipeline
    Currency reporting = *Currency::find("EUR");  // what they are in
};

// Client, schemas and clock must outlive it.
class Pipeline {
public:
    static std::vector<std::string> stage_names();  // all that there are, in the order of the flow

    // Makes the stages; the topics must be there. Errors: invalid (a stage that there is not, or twice); those of Stage::open.
    static Result<std::unique_ptr<Pipeline>> open(Client& client, const Schemas& schemas, Clock& clock,
                                                  const PipelineOptions& options);
    ~Pipeline();  // stops

    // Whether the stages, from the first to the last, have stored all that was in their inputs. Errors: the client's.
    Result<bool> drained();
    // A stage has ended by itself, which only an error makes it do.
    bool ended() const { return ended_; }
    // Asks the stages to end, and waits for them; each ends within a step. Errors: that of the first that ended by one.
    Result<void> stop();
    std::vector<StageMetrics> metrics() const;

private:
    struct Running;
    explicit Pipeline(Client& client);
    Result<void> add(const std::string& name, const Schemas& schemas, Clock& clock, const PipelineOptions& options);
    void start();

    Client& client_;
    std::vector<std::unique_ptr<Running>> running_;
    std::atomic<bool> stop_ = false;
    std::atomic<bool> ended_ = false;
    std::mutex lock_;  // guards the next one
    std::optional<Error> error_;
    std::vector<Thread> threads_;
};

}  // namespace flowstone::fintech
