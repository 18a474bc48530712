// Sockets of one machine, by a path in its file system, of any length that a path may have.
#pragma once

#include <string>

#include <flowstone/result.h>

#include "net/transport/impl/socket_descriptor.h"

namespace flowstone {

// Listens at the path. Who may make files in its directory may connect, nobody else. What a dead process left there is
// replaced. Errors: io (somebody listens there, or it is no socket); not_found, no_space, read_only: of the directory.
Result<SocketDescriptor> listen_at_path(const std::string& path, int backlog);

// A connection that does not block. Errors: not_found (no socket there, or nobody listens at it); busy (no descriptors, or
// it is not accepted fast enough); read_only (we may not); io.
Result<SocketDescriptor> connect_to_path(const std::string& path);

void remove_socket(const std::string& path);  // no other kind of file

}  // namespace flowstone
