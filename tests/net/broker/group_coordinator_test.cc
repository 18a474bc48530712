#include "net/broker/group_coordinator.h"

#include <memory>

#include <gtest/gtest.h>

#include "tests/net/broker/group_script.h"

namespace flowstone {
namespace {

TEST(GroupCoordinator, FollowsItsScripts) {
    run_scripts("net/broker/groups", [] {
        auto machine = std::make_shared<GroupScript>();
        return ScriptMachine([machine](const ScriptCommand& command) { return machine->run(command); });
    });
}

}  // namespace
}  // namespace flowstone
