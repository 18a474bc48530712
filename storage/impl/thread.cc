#include "storage/thread.h"

#include <pthread.h>
#include <signal.h>

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

}  // namespace flowstone
