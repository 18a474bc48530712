// The log that this process holds for a client, and serves to all who may reach its directory; what is behind it knows
// the log and the broker, and is in client/embedded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <flowstone/log.h>

#include <flowstone/client.h>

#include "net/transport/host_port.h"

namespace flowstone {

class NativeProducer;
class NearLog;

class HeldLog {
public:
    // Opens the log, with a thread that commits at least, and a broker on threads of its own that listens in the directory.
    // Errors: as Log::open; invalid (options that only read); io, not_found (no socket can be made there).
    static Result<std::unique_ptr<HeldLog>> open(std::string directory, Options options);
    ~HeldLog();  // as close() with no time, but the log flushes nothing; in a forked child it touches nothing
    HeldLog(const HeldLog&) = delete;
    HeldLog& operator=(const HeldLog&) = delete;

    Log& log();
    const HostPort& address() const;                               // where its broker listens
    NativeProducer& add_producer(const ProducerOptions& options);  // stays as long as the log
    std::unique_ptr<NearLog> near();                               // for one consumer; must not outlive the log
    // Waits for what producers sent, answers what is asked, as far as a second goes, ends the threads and closes the log. A
    // second call does nothing. Errors: as Log::close; timed_out: of the producers, too.
    Result<void> close(int64_t timeout_ns);

private:
    struct Impl;
    explicit HeldLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flowstone
