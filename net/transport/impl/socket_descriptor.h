// A descriptor of the network that is closed with its owner.
#pragma once

#include <utility>

#include <unistd.h>

namespace flowstone {

class SocketDescriptor {
public:
    explicit SocketDescriptor(int number = -1) : number_(number) {}
    SocketDescriptor(SocketDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    SocketDescriptor& operator=(SocketDescriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~SocketDescriptor() {
        if (number_ >= 0) { ::close(number_); }
    }
    int get() const { return number_; }

private:
    int number_;
};

}  // namespace flowstone
