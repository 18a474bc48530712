#include "storage/thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace flowstone {

struct Thread::Impl {
    std::jthread thread;
};

Thread::Thread(const std::string& name, std::function<void()> body) : impl_(std::make_unique<Impl>()) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
    impl_->thread = std::jthread(std::move(body));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(impl_->thread.native_handle(), name.substr(0, 15).c_str());
}

Thread::Thread(Thread&&) noexcept = default;
Thread& Thread::operator=(Thread&&) noexcept = default;
Thread::~Thread() = default;

// Of the thread alone, whatever POSIX says of setpriority(): Linux keeps niceness for each. Where it is refused nothing is
// lost but the courtesy.
void give_way() {
    constexpr int niceness = 5;
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
}

}  // namespace flowstone
