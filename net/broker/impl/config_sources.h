// The three places where settings of a broker stand, each as a list of names and values. Private to broker_config.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <flowstone/log.h>
#include <flowstone/result.h>

#include "net/broker/broker_config.h"

namespace flowstone {

using SaidSettings = std::vector<BrokerConfig::Set>;

// Errors: invalid: no TOML, an unknown name, one said twice, a value that is no text, number, truth or list of them.
// too_large.
Result<SaidSettings> settings_of_file(std::string_view file_name, std::string_view text);
// Errors: invalid: an unknown name, one said twice (by two names).
Result<SaidSettings> settings_of_environment(const ConfigMap& variables);
Result<SaidSettings> settings_of_flags(const ConfigMap& flags);

// FLOWSTONED_ and the name in capitals, with underscores for dots.
std::string environment_name(std::string_view setting);

// "where: text". Errors of a configuration all look like that.
std::unexpected<Error> refuse_setting(std::string_view where, std::string_view text);

}  // namespace flowstone
