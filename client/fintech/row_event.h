// Rows of a table, such as a bank's or a council's CSV, as events of transactions.raw. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flowstone/result.h>

namespace flowstone::fintech {

// Which column has what. Fields: accountId, merchantId, amount, currency, timestamp, paymentMethod, billedAmount,
// billedCurrency. The first five there must be, from a column or the same for all rows.
struct RowMapping {
    std::map<std::string, std::string> columns{};   // field to column
    std::map<std::string, std::string> defaults{};  // field to what it is where the column is empty, or there is none
    std::string source;                             // in the ids: lower-case letters and digits
    // Where the time is a date alone, the time of day is drawn from this and the row's number, from 06:00 to 22:00 UTC.
    uint64_t seed = 1;
};

struct RowEvent {
    std::string_view key;    // the account
    std::string_view value;  // the event
};

class RowEvents {
public:
    // `header`: the names of the columns. Errors: invalid (a field that there is not; a column that there is not; a field
    // that is needed has neither column nor default; the source).
    static Result<RowEvents> make(const RowMapping& mapping, const std::vector<std::string>& header);

    // The event of a row, valid until the next call. Whatever the row has becomes one: that it is right is for validation to
    // say. A negative amount is a refund of the positive one. Ids come from the source and the row's number, so that the
    // same row is the same event. Currency codes are upper-cased, accounts prefixed by "acct_" and kept to letters,
    // digits, - and _. Errors: invalid (not UTF-8, more or fewer fields than the header).
    Result<RowEvent> event(const std::vector<std::string_view>& fields, uint64_t row);

private:
    struct Field {
        std::optional<size_t> column;
        std::string otherwise;
    };
    std::string_view value_of(const std::vector<std::string_view>& fields, const char* field) const;
    void add_optional(const std::vector<std::string_view>& fields, const char* field);
    void add_data(const std::vector<std::string_view>& fields, uint64_t row, bool refund, std::string_view amount);
    std::string time_of(std::string_view text, uint64_t row) const;

    std::map<std::string, Field, std::less<>> fields_;
    std::string source_;
    uint64_t seed_ = 1;
    size_t columns_ = 0;
    std::string key_;
    std::string json_;
};

}  // namespace flowstone::fintech
