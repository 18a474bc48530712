// What a program is given besides its arguments: the environment, and files of text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <flowstone/log.h>
#include <flowstone/result.h>

namespace flowstone {

ConfigMap environment_variables();
std::optional<std::string> variable(const ConfigMap& environment, std::string_view name);
// Errors: not_found, io, too_large (above `bytes_max`).
Result<std::string> read_text_file(const std::string& path, size_t bytes_max);

}  // namespace flowstone
