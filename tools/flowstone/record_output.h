// How `consume` shows a record: by a format, or as JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/record.h>
#include <flowstone/result.h>

namespace flowstone::tool {

struct RecordPlace {
    std::string_view topic;
    int32_t partition = 0;
};

// %t topic, %p partition, %o offset, %T time (RFC 3339, UTC), %k key, %h headers (name=value,...), %v value, %% a per
// cent sign; \n, \t, \\ as in C. What is absent is empty. A record's line ends with a line break besides.
class RecordFormat {
public:
    static Result<RecordFormat> parse(std::string_view text);  // Errors: invalid.
    void append(std::string& out, const RecordPlace& place, const RecordView& record) const;

private:
    struct Piece {
        char letter = 0;   // of what is put here; 0: only text
        std::string text;  // after it
    };
    std::vector<Piece> pieces_;
};

// {"topic":"t","partition":0,"offset":42,"timestamp":"2014-04-01T00:00:00.000Z","key":null,"value":"v",
//  "headers":[{"name":"n","value":"v"}]}, on one line.
void append_record_json(std::string& out, const RecordPlace& place, const RecordView& record);

}  // namespace flowstone::tool
