// The kernel interrupts a call, or moves less than it was asked for: nobody notices. The standard scenario on a real
// directory, with one such call at a time.
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "storage/impl/posix_disk.h"
#include "tests/sim/world/scenario.h"

namespace flowstone {
namespace {

constexpr uint64_t sampled_calls = 12;

// What the kernel does to the call numbered `at`, counted from 0. The calls of one run, which has no threads.
struct Kernel {
    uint64_t at = UINT64_MAX;
    int32_t os_errno = 0;  // 0: it moves less
    uint64_t calls = 0;

    bool hit() { return calls++ == at; }
};
Kernel* kernel = nullptr;  // of the run that goes on

// The front of what is asked for: to the middle, on a sector where it was.
std::vector<iovec> front_half(const iovec* pieces, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; ++i) { bytes += pieces[i].iov_len; }
    const size_t unit = bytes % 512 == 0 ? 512 : 1;
    size_t left = std::max(bytes / 2 / unit * unit, unit);
    std::vector<iovec> half;
    for (int i = 0; i < count && left > 0; ++i) {
        half.push_back({pieces[i].iov_base, std::min(pieces[i].iov_len, left)});
        left -= half.back().iov_len;
    }
    return half;
}

// -1 with errno, or what `move` does with the pieces that are left to it.
template <class Move>
ssize_t moved(const iovec* pieces, int count, Move move) {
    if (!kernel->hit()) { return move(pieces, count); }
    if (kernel->os_errno != 0) {
        errno = kernel->os_errno;
        return -1;
    }
    const auto half = front_half(pieces, count);
    return move(half.data(), static_cast<int>(half.size()));
}

ssize_t read_some(int fd, const iovec* pieces, int count, off_t at) {
    return moved(pieces, count, [&](const iovec* some, int few) { return ::preadv(fd, some, few, at); });
}
ssize_t write_some(int fd, const iovec* pieces, int count, off_t at, int flags) {
    return moved(pieces, count, [&](const iovec* some, int few) { return ::pwritev2(fd, some, few, at, flags); });
}
template <int (*Sync)(int)>
int sync_some(int fd) {
    if (!kernel->hit() || kernel->os_errno == 0) { return Sync(fd); }
    errno = kernel->os_errno;
    return -1;
}
constexpr SystemCalls calls_of_kernel{read_some, write_some, sync_some<::fdatasync>, sync_some<::fsync>};

// Memory, where there is such a directory: this is about calls, not about the device.
std::string make_root() {
    const std::string memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK) == 0;
    std::string name = (usable ? memory : std::filesystem::temp_directory_path().string()) + "/flowstone_calls_XXXXXX";
    return ::mkdtemp(name.data());
}

// Runs the scenario and opens it once more. Returns what is wrong, or "".
std::string run(Kernel& with) {
    kernel = &with;
    const std::string root = make_root();
    std::string bad;
    {
        PosixDisk disk(calls_of_kernel);
        Scenario scenario({.threads = 0, .directory = join_path(root, "data")});
        scenario.run(disk);
        bad = scenario.fault();
        for (const auto& trouble : scenario.troubles()) {
            if (bad.empty()) { bad = fmt::format("{}: {}", trouble.what, trouble.error.message()); }
        }
        if (bad.empty()) { bad = scenario.check(disk, Scenario::Since::close); }
    }
    std::filesystem::remove_all(root);
    kernel = nullptr;
    return bad;
}

struct Interruption {
    const char* name;
    int32_t os_errno;
};

class InterruptedCalls : public testing::TestWithParam<Interruption> {};
INSTANTIATE_TEST_SUITE_P(By, InterruptedCalls,
                         testing::Values(Interruption{"Eintr", EINTR}, Interruption{"Eagain", EAGAIN},
                                         Interruption{"MovingLess", 0}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_P(InterruptedCalls, NobodyNotices) {
    Kernel unharmed;
    ASSERT_EQ(run(unharmed), "");
    const uint64_t calls = unharmed.calls;
    const bool all = std::getenv("FLOWSTONE_SIM_EXHAUSTIVE") != nullptr;
    const uint64_t step = all ? 1 : std::max<uint64_t>(1, calls / sampled_calls);
    for (uint64_t number = 0; number < calls; number += step) {
        Kernel interrupting{.at = number, .os_errno = GetParam().os_errno};
        ASSERT_EQ(run(interrupting), "") << "call " << number;
        ASSERT_GT(interrupting.calls, number) << "it never came";
    }
}

}  // namespace
}  // namespace flowstone
