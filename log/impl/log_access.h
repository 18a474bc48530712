// Access across the classes of the public header, for the rest of the room.
#pragma once

#include <memory>

#include <flowstone/log.h>

#include "log/impl/store.h"
#include "storage/disk.h"

namespace flowstone {

struct LogAccess {
    // `disk` is null when the environment owns it.
    static Log make(std::unique_ptr<Disk> disk, std::unique_ptr<Store> store);
    static Topic topic(Store& opened, std::shared_ptr<TopicTable> table, std::shared_ptr<Store> snapshot = {});
    static Store& store(Log& log);  // of a log that was not moved away
};

}  // namespace flowstone
