// Every message of net/kafka/messages/ in one list, for tests that go through all of them.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "net/kafka/message.h"

namespace flowstone::kafka {

struct AnyMessage {
    MessageType (*type)();
    std::shared_ptr<void> (*make)();  // with its defaults; shared only because that destroys what it is
};

extern const std::span<const AnyMessage> all_messages;  // requests at even places, each before its response

const AnyMessage* find_message(std::string_view name);  // nullptr: there is none

}  // namespace flowstone::kafka
