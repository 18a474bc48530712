// Strangers who mean ill, against a broker on this machine: from making one until it goes.
//
// Each kind does what a program of few lines can do from anywhere, at a pace, so that what is measured beside it is what
// the broker makes of it and not the processor time of the attack. Bounded: so many connections of each kind, over
// loopback only, and none is opened after `seconds_max`. Threads: one of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "storage/thread.h"

namespace flowstone::bench {

class Attack {
public:
    static constexpr size_t malformed_per_s = 200;     // connections that send a frame of nonsense each
    static constexpr size_t slow_connections = 64;     // a byte now and then
    static constexpr size_t deaf_connections = 8;      // fetch a hundred times a second and read no answer
    static constexpr size_t claim_connections = 10;    // say 100 MiB and send a few bytes of it
    static constexpr size_t bomb_connections = 2;      // produce what unpacks to nearly 64 MiB, one after the other
    static constexpr size_t crowd_connections = 2000;  // opened at once, each second anew
    static constexpr int64_t seconds_max = 60;

    // Begins once everything that is thrown is made. `topic` is what they fetch and produce to.
    Attack(uint16_t port, const std::string& topic);
    ~Attack();  // ends it, and waits
    Attack(const Attack&) = delete;
    Attack& operator=(const Attack&) = delete;

    // Whether the broker took a bomb, and closed a connection that sent nonsense: else nothing was attacked.
    bool bit() const { return bombs_thrown_ > 0 && nonsense_closed_ > 0; }

private:
    class Run;
    void run();

    std::unique_ptr<Run> run_;
    std::atomic<bool> stop_ = false;
    std::atomic<uint64_t> bombs_thrown_ = 0;
    std::atomic<uint64_t> nonsense_closed_ = 0;
    Thread thread_;
};

}  // namespace flowstone::bench
