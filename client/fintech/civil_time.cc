#include "client/fintech/civil_time.h"

#include <chrono>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::fintech {
namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t day_s = 86'400;
// Whole years, so that every offset from UTC and every leap second still fits.
constexpr int32_t year_min = 1678;
constexpr int32_t year_max = 2261;

std::unexpected<Error> refuse(std::string_view what) { return fail(Code::invalid, "time.parse", what); }

// Takes exactly `count` digits off the front; -1 when they are not there.
int32_t take_number(std::string_view& text, size_t count) {
    if (text.size() < count) { return -1; }
    int32_t value = 0;
    for (size_t at = 0; at < count; ++at) {
        if (text[at] < '0' || text[at] > '9') { return -1; }
        value = value * 10 + (text[at] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, char letter) {
    if (!text.starts_with(letter)) { return false; }
    text.remove_prefix(1);
    return true;
}

Result<Date> take_date(std::string_view& text) {
    const int32_t year = take_number(text, 4);
    const bool first = take(text, '-');
    const int32_t month = take_number(text, 2);
    const bool second = take(text, '-');
    const int32_t day = take_number(text, 2);
    if (year < 0 || !first || month < 0 || !second || day < 0) { return refuse("not a date as RFC 3339 spells it"); }
    const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day)));
    if (!date.ok()) { return refuse("no such day"); }
    return Date{static_cast<int32_t>(std::chrono::sys_days(date).time_since_epoch().count())};
}

struct TimeOfDay {
    int32_t minutes = 0;
    int32_t seconds = 0;  // 60: a leap second
    int64_t ns = 0;
};

Result<TimeOfDay> take_time(std::string_view& text) {
    const int32_t hour = take_number(text, 2);
    const bool first = take(text, ':');
    const int32_t minute = take_number(text, 2);
    const bool second = take(text, ':');
    const int32_t seconds = take_number(text, 2);
    if (hour < 0 || !first || minute < 0 || !second || seconds < 0) {
        return refuse("not a time as RFC 3339 spells it");
    }
    if (hour > 23 || minute > 59 || seconds > 60) { return refuse("no such time of day"); }
    TimeOfDay time{.minutes = hour * 60 + minute, .seconds = seconds};
    if (take(text, '.')) {
        int64_t unit = second_ns;
        while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
            unit /= 10;
            if (unit == 0) { return refuse("more than nine decimals of a second"); }
            time.ns += take_number(text, 1) * unit;
        }
        if (unit == second_ns) { return refuse("no decimals behind the point"); }
    }
    return time;
}

// Minutes east of UTC, which is what is left of the text.
Result<int32_t> take_zone(std::string_view& text) {
    if (take(text, 'Z') || take(text, 'z')) { return 0; }
    const bool west = take(text, '-');
    if (!west && !take(text, '+')) { return refuse("a time without its zone"); }
    const int32_t hours = take_number(text, 2);
    const bool colon = take(text, ':');
    const int32_t minutes = take_number(text, 2);
    if (hours < 0 || hours > 23 || !colon || minutes < 0 || minutes > 59) { return refuse("no such zone"); }
    const int32_t east = hours * 60 + minutes;
    return west ? -east : east;
}

}  // namespace

Result<Moment> parse_moment(std::string_view text) {
    TRY(const Date date, take_date(text));
    if (!take(text, 'T') && !take(text, 't')) { return refuse("a date without a time"); }
    TRY(const TimeOfDay time, take_time(text));
    TRY(const int32_t east, take_zone(text));
    if (!text.empty()) { return refuse("more than a time"); }
    const std::chrono::year_month_day day(std::chrono::sys_days(std::chrono::days(date.days)));
    if (int(day.year()) < year_min || int(day.year()) > year_max) {
        return fail(Code::out_of_range, "time.parse", fmt::format("a year before {} or after {}", year_min, year_max));
    }
    const int64_t minutes_utc = int64_t{date.days} * (day_s / 60) + time.minutes - east;
    if (time.seconds == 60 && (minutes_utc + 1) % (day_s / 60) != 0) { return refuse("no leap second is there"); }
    const int64_t seconds = minutes_utc * 60 + time.seconds;
    return Moment{seconds * second_ns + time.ns};
}

std::string format_moment(Moment moment) {
    const Date date = date_of(moment);
    const int64_t of_day = moment.ns - begin_of(date).ns;
    const int64_t seconds = of_day / second_ns;
    const int64_t ns = of_day % second_ns;
    std::string out =
        fmt::format("{}T{:02}:{:02}:{:02}", format_date(date), seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (ns % 1'000 != 0) {
        out += fmt::format(".{:09}", ns);
    } else if (ns % 1'000'000 != 0) {
        out += fmt::format(".{:06}", ns / 1'000);
    } else if (ns != 0) {
        out += fmt::format(".{:03}", ns / 1'000'000);
    }
    return out + 'Z';
}

Date date_of(Moment moment) {
    const auto day = std::chrono::floor<std::chrono::days>(std::chrono::nanoseconds(moment.ns));
    return Date{static_cast<int32_t>(day.count())};
}

Moment begin_of(Date date) { return Moment{date.days * day_s * second_ns}; }

Result<Date> parse_date(std::string_view text) {
    TRY(const Date date, take_date(text));
    if (!text.empty()) { return refuse("more than a date"); }
    return date;
}

std::string format_date(Date date) {
    const std::chrono::year_month_day day(std::chrono::sys_days(std::chrono::days(date.days)));
    return fmt::format("{:04}-{:02}-{:02}", int(day.year()), unsigned(day.month()), unsigned(day.day()));
}

}  // namespace flowstone::fintech
