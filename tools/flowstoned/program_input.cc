#include "tools/flowstoned/program_input.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

extern char** environ;

namespace flowstone {

ConfigMap environment_variables() {
    ConfigMap out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const size_t equals = text.find('=');
        if (equals != std::string_view::npos) { out.emplace_back(text.substr(0, equals), text.substr(equals + 1)); }
    }
    return out;
}

std::optional<std::string> variable(const ConfigMap& environment, std::string_view name) {
    for (const auto& [known, value] : environment) {
        if (known == name) { return value; }
    }
    return std::nullopt;
}

Result<std::string> read_text_file(const std::string& path, size_t bytes_max) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) { return fail_errno(errno, "file.read", path); }
    std::string text(bytes_max + 1, '\0');
    const size_t got = std::fread(text.data(), 1, text.size(), file.get());
    if (std::ferror(file.get()) != 0) { return fail_errno(errno, "file.read", path); }
    if (got > bytes_max) {
        return fail(Code::too_large, "file.read", fmt::format("{}: {} bytes at most", path, bytes_max));
    }
    text.resize(got);
    return text;
}

}  // namespace flowstone
