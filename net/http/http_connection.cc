#include "net/http/http_connection.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/check.h"

namespace flowstone {
namespace {

constexpr std::string_view blanks = " \t";

std::string_view trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) { return {}; }
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same_word(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               marks.find(c) != std::string_view::npos;
    });
}
bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// Whether a list in a header, such as "close, upgrade", has the word.
bool has_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        if (same_word(trim(list.substr(0, comma)), word)) { return true; }
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

// The line without its break, which may lack the carriage return.
std::string_view take_line(std::string_view& text) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) { line.remove_suffix(1); }
    return line;
}

// Past the empty line that ends a head; 0 when it is not there yet.
size_t end_of_head(std::string_view text) {
    for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
        const std::string_view rest = text.substr(at + 1);
        if (rest.starts_with('\n')) { return at + 2; }
        if (rest.starts_with("\r\n")) { return at + 3; }
    }
    return 0;
}

const char* reason_of(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 413: return "Content Too Large";
        case 417: return "Expectation Failed";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Status";
    }
}

}  // namespace

HttpAnswer http_error(int status) {
    HttpAnswer answer{.status = status, .body = fmt::format("{} {}\n", status, reason_of(status))};
    if (status == 405) { answer.headers.emplace_back("Allow", "GET, HEAD"); }
    return answer;
}

struct HttpConnection::Head {
    HttpRequest request;
    bool keeps_alive = false;
    bool says_keep_alive = false;  // to one of HTTP/1.0 that asked
};

// --- a request comes in ---------------------------------------------------------------------------------------------

void HttpConnection::receive(Bytes bytes, int64_t now_ms) {
    if (closing_) { return; }
    input_.append(as_text(bytes));
    // Empty lines between requests are no beginning of one (RFC 9112, 2.2).
    input_.erase(0, waiting_ ? 0 : std::min(input_.find_first_not_of("\r\n"), input_.size()));
    if (!in_request_ && !waiting_ && output_.empty() && !input_.empty()) {
        in_request_ = true;
        deadline_ms_ = now_ms + http_request_ms_max;
    }
}

std::optional<HttpRequest> HttpConnection::next_request(int64_t now_ms) {
    if (waiting_ || closing_ || !output_.empty()) { return std::nullopt; }
    input_.erase(0, std::min(input_.find_first_not_of("\r\n"), input_.size()));
    const size_t end = end_of_head(std::string_view(input_).substr(0, http_header_bytes_max));
    if (end == 0) {
        if (input_.size() >= http_header_bytes_max) { refuse(431, now_ms); }
        return std::nullopt;
    }
    Head head;
    if (const int status = parse_head(std::string_view(input_).substr(0, end), head); status != 0) {
        refuse(status, now_ms);
        return std::nullopt;
    }
    input_.erase(0, end);
    waiting_ = true;
    in_request_ = false;
    head_only_ = head.request.head;
    keeps_alive_ = head.keeps_alive;
    says_keep_alive_ = head.says_keep_alive;
    return std::move(head.request);
}

bool HttpConnection::may_have_request() const {
    if (waiting_ || closing_ || !output_.empty()) { return false; }
    const std::string_view begun = std::string_view(input_).substr(0, http_header_bytes_max);
    return input_.size() >= http_header_bytes_max || end_of_head(begun) != 0;
}

// 0, or the status to refuse it with.
int HttpConnection::parse_head(std::string_view text, Head& head) const {
    const std::string_view line = take_line(text);
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) { return 400; }
    const std::string_view method = line.substr(0, first);
    std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (!is_token(method) || target.empty() || !is_visible(target)) { return 400; }
    if (!version.starts_with("HTTP/") || version.size() != 8 || version[6] != '.') { return 400; }
    if (version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9') { return 400; }
    if (version[5] != '1') { return 505; }
    const bool is_1_0 = version[7] == '0';
    head.keeps_alive = !is_1_0;

    size_t hosts = 0;
    bool has_body = false;
    bool expects = false;
    while (true) {
        const std::string_view field = take_line(text);
        if (field.empty()) { break; }
        const size_t colon = field.find(':');
        // A line that begins with a blank went on the one before it, once; it is refused, as is a blank before the colon.
        if (colon == std::string_view::npos || !is_token(field.substr(0, colon))) { return 400; }
        const std::string_view name = field.substr(0, colon);
        const std::string_view value = trim(field.substr(colon + 1));
        if (std::ranges::any_of(value, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; })) {
            return 400;
        }
        if (same_word(name, "host")) { ++hosts; }
        if (same_word(name, "transfer-encoding")) { has_body = true; }
        if (same_word(name, "content-length") && value != "0") { has_body = true; }
        if (same_word(name, "expect")) { expects = true; }
        if (same_word(name, "connection")) {
            if (has_word(value, "close")) {
                head.keeps_alive = false;
            } else if (is_1_0 && has_word(value, "keep-alive")) {
                head.keeps_alive = head.says_keep_alive = true;
            }
        }
        if (same_word(name, "accept")) {
            if (!head.request.accept.empty()) { head.request.accept += ", "; }
            head.request.accept += value;
        }
    }
    if (hosts > 1 || (hosts == 0 && !is_1_0)) { return 400; }
    if (method != "GET" && method != "HEAD") { return 405; }
    if (expects) { return 417; }
    if (has_body) { return 413; }
    head.request.head = method == "HEAD";

    if (const size_t scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
        if (!same_word(target.substr(0, scheme), "http")) { return 400; }
        target.remove_prefix(scheme + 3);
        const size_t slash = target.find_first_of("/?");
        const bool is_rooted = slash != std::string_view::npos && target[slash] == '/';
        head.request.path = is_rooted ? "" : "/";
        target.remove_prefix(std::min(slash, target.size()));
    } else if (!target.starts_with('/')) {
        return 400;
    }
    const size_t question = target.find('?');
    head.request.path += target.substr(0, question);
    if (question != std::string_view::npos) { head.request.query = target.substr(question + 1); }
    return 0;
}

void HttpConnection::refuse(int status, int64_t now_ms) {
    keeps_alive_ = false;
    waiting_ = true;
    head_only_ = false;
    answer(http_error(status), now_ms);
}

// --- an answer goes out ---------------------------------------------------------------------------------------------

void HttpConnection::answer(const HttpAnswer& answer, int64_t now_ms) {
    CHECK(waiting_);
    waiting_ = false;
    write(answer, head_only_);
    if (!keeps_alive_) {
        closing_ = true;
        input_.clear();
    }
    deadline_ms_ = now_ms + http_answer_ms_max;
}

void HttpConnection::write(const HttpAnswer& answer, bool head_only) {
    output_ = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", answer.status,
                          reason_of(answer.status), answer.content_type, answer.body.size());
    for (const auto& [name, value] : answer.headers) {
        CHECK(is_token(name) && value.find_first_of("\r\n") == std::string::npos);
        output_ += fmt::format("{}: {}\r\n", name, value);
    }
    if (!keeps_alive_) { output_ += "Connection: close\r\n"; }
    if (keeps_alive_ && says_keep_alive_) { output_ += "Connection: keep-alive\r\n"; }
    output_ += "\r\n";
    if (!head_only) { output_ += answer.body; }
    sent_ = 0;
}

void HttpConnection::sent(size_t bytes, int64_t now_ms) {
    CHECK(bytes <= output().size());
    sent_ += bytes;
    if (sent_ < output_.size()) { return; }
    output_ = {};
    sent_ = 0;
    in_request_ = !input_.empty();
    deadline_ms_ = now_ms + (in_request_ ? http_request_ms_max : http_idle_ms_max);
}

bool HttpConnection::should_close() const {
    if (waiting_ || !output_.empty()) { return false; }
    return closing_ || (input_ended_ && end_of_head(std::string_view(input_).substr(0, http_header_bytes_max)) == 0);
}

}  // namespace flowstone
