// What `produce` appends: events made of the lines of a text or of the rows of a CSV, each with its key.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

#include "tools/flowstone/csv.h"
#include "tools/flowstone/json_line.h"
#include "tools/flowstone/lines.h"

namespace flowstone::tool {

struct Event {
    std::optional<std::string_view> key;
    std::string_view value;
    uint64_t row = 0;  // from 1; the header line of a CSV does not count
};

class EventSource {
public:
    virtual ~EventSource() = default;
    // The next event, valid until the next call; nothing at the end.
    // Errors: invalid, not_found, unsupported, too_large with the number of the line in the detail; the source's.
    virtual Result<std::optional<Event>> next() = 0;
    virtual uint64_t bytes_read() const = 0;  // of the source, up to the end of that event
};

struct EventOptions {
    bool csv = false;
    std::optional<std::string> key_field{};      // JSON pointer into the value
    std::optional<std::string> key_separator{};  // what stands before it is the key; lines only
    std::optional<std::string> row_field{};      // rows get their number under this name; CSV only
};

// Errors: invalid, for options that contradict each other or a bad JSON pointer.
Result<std::unique_ptr<EventSource>> make_event_source(ByteSource& source, const EventOptions& options);

}  // namespace flowstone::tool
