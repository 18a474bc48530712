// `-X NAME=VALUE`: settings of the client library under the names that Kafka's clients have for them. docs/CLIENT.md lists
// them. They count before a flag that says the same, and the last one of a name before those in front of it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <flowstone/client.h>

namespace flowstone::tool {

std::vector<std::string_view> client_setting_names();  // sorted

// For CLI11's check(): empty, or what is wrong with "NAME=VALUE".
std::string check_client_setting(const std::string& text);

// `options` with what `settings` say of them; those of another kind are passed over. Requires that all were checked.
ClientOptions with_settings(const std::vector<std::string>& settings, ClientOptions options);
ProducerOptions with_settings(const std::vector<std::string>& settings, ProducerOptions options);
ConsumerOptions with_settings(const std::vector<std::string>& settings, ConsumerOptions options);

}  // namespace flowstone::tool
