#include "net/transport/impl/unix_socket.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fmt/format.h>

#include "net/transport/network.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr const char* listening = "network.listen";
constexpr const char* connecting = "network.connect";

struct PathAddress {
    sockaddr_un name{};
    SocketDescriptor directory;  // that the name goes through; open while it is used
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
    static constexpr socklen_t size = sizeof(sockaddr_un);
};

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// A name has room for about a hundred bytes. A longer path goes through a descriptor of its directory.
Result<PathAddress> address_of(const std::string& path, const char* operation) {
    PathAddress address;
    address.name.sun_family = AF_UNIX;
    std::string fitting = path;
    if (fitting.size() >= sizeof address.name.sun_path) {
        const std::string directory = directory_of(path);
        address.directory = SocketDescriptor(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (address.directory.get() < 0) { return fail_errno(errno, operation, directory); }
        fitting = fmt::format("/proc/self/fd/{}/{}", address.directory.get(), path.substr(directory.size()));
    }
    if (fitting.size() >= sizeof address.name.sun_path) { return fail_errno(ENAMETOOLONG, operation, path); }
    std::memcpy(address.name.sun_path, fitting.c_str(), fitting.size() + 1);
    return address;
}

Result<SocketDescriptor> open_socket(const char* operation) {
    SocketDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket.get() >= 0) { return socket; }
    if (errno == EMFILE || errno == ENFILE) { return fail(Code::busy, operation, "no descriptors are left"); }
    return fail_errno(errno, operation);
}

// Whoever may write into the directory may write to the log, so it may connect. Until here only the owner could.
void open_to_writers(const std::string& path) {
    struct stat directory{};
    struct stat socket{};
    if (::stat(directory_of(path).c_str(), &directory) != 0) { return; }
    (void)!::lchown(path.c_str(), directory.st_uid, directory.st_gid);  // a superuser's log in somebody's directory
    if (::lstat(path.c_str(), &socket) != 0) { return; }
    mode_t mode = S_IRUSR | S_IWUSR;
    if ((directory.st_mode & S_IWGRP) != 0 && socket.st_gid == directory.st_gid) { mode |= S_IRGRP | S_IWGRP; }
    if ((directory.st_mode & S_IWOTH) != 0) { mode |= S_IROTH | S_IWOTH; }
    (void)!::chmod(path.c_str(), mode);
}

}  // namespace

Result<SocketDescriptor> listen_at_path(const std::string& path, int backlog) {
    TRY(const PathAddress address, address_of(path, listening));
    TRY(SocketDescriptor socket, open_socket(listening));
    // The file takes its mode from the socket, so that at no moment more may connect than should.
    if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) { return fail_errno(errno, listening, path); }
    if (::bind(socket.get(), address.get(), PathAddress::size) != 0) {
        if (errno != EADDRINUSE) { return fail_errno(errno, listening, path); }
        const auto other = connect_to_path(path);
        if (other || other.error().code != Code::not_found) { return fail_errno(EADDRINUSE, listening, path); }
        remove_socket(path);
        if (::bind(socket.get(), address.get(), PathAddress::size) != 0) { return fail_errno(errno, listening, path); }
    }
    open_to_writers(path);
    if (::listen(socket.get(), backlog) != 0) { return fail_errno(errno, listening, path); }
    return socket;
}

Result<SocketDescriptor> connect_to_path(const std::string& path) {
    TRY(const PathAddress address, address_of(path, connecting));
    TRY(SocketDescriptor socket, open_socket(connecting));
    if (::connect(socket.get(), address.get(), PathAddress::size) == 0) { return socket; }
    if (errno == ECONNREFUSED) { return fail(Code::not_found, connecting, fmt::format("nobody listens at {}", path)); }
    if (errno == EAGAIN) { return fail(Code::busy, connecting, path); }
    return fail_errno(errno, connecting, path);
}

void remove_socket(const std::string& path) {
    struct stat found{};
    if (::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) { ::unlink(path.c_str()); }
}

Result<HostPort> socket_in(const std::string& directory) {
    char* const whole = ::realpath(directory.c_str(), nullptr);
    if (whole == nullptr) { return fail_errno(errno, "network.socket_in", directory); }
    std::string path = whole;
    std::free(whole);
    if (!path.ends_with('/')) { path += '/'; }
    return HostPort{path + "flowstone.sock", 0};
}

}  // namespace flowstone
