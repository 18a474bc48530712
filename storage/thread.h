// The door to threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace flowstone {

// A running thread that blocks every signal: signals belong to the program we are a guest of.
class Thread {
public:
    // `name` is what ps and debuggers show, 15 characters at most.
    Thread(const std::string& name, std::function<void()> body);
    Thread(Thread&&) noexcept;
    Thread& operator=(Thread&&) noexcept;
    ~Thread();  // waits for the body to end

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The calling thread works when others leave it a processor, from now on.
void give_way();

}  // namespace flowstone
