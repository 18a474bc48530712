#include "tools/flowstone/record_output.h"

#include <iterator>

#include <fmt/format.h>

#include "tools/flowstone/output.h"

namespace flowstone::tool {
namespace {

std::vector<Header> headers_of(const RecordView& record) {
    std::vector<Header> headers(record.header_count());
    record.headers(headers);
    return headers;
}

void append_headers(std::string& out, const RecordView& record) {
    bool first = true;
    for (const Header& header : headers_of(record)) {
        if (!first) { out += ','; }
        first = false;
        out += header.name;
        if (header.value) {
            out += '=';
            out += *header.value;
        }
    }
}

}  // namespace

Result<RecordFormat> RecordFormat::parse(std::string_view text) {
    RecordFormat format;
    format.pieces_.push_back({});
    for (size_t at = 0; at < text.size(); ++at) {
        const char letter = text[at];
        if (letter != '%' && letter != '\\') {
            format.pieces_.back().text += letter;
            continue;
        }
        const char next = ++at < text.size() ? text[at] : '\0';
        if (letter == '%' && std::string_view("tpoTkhv").find(next) != std::string_view::npos) {
            format.pieces_.push_back({.letter = next, .text = {}});
        } else if (letter == '%' && next == '%') {
            format.pieces_.back().text += '%';
        } else if (letter == '\\' && (next == 'n' || next == 't' || next == '\\')) {
            format.pieces_.back().text += next == 'n' ? '\n' : next == 't' ? '\t' : '\\';
        } else {
            return fail(Code::invalid, "format",
                        fmt::format("'{}' in '{}' means nothing", text.substr(at - 1, 2), text));
        }
    }
    return format;
}

void RecordFormat::append(std::string& out, const RecordPlace& place, const RecordView& record) const {
    for (const Piece& piece : pieces_) {
        switch (piece.letter) {
            case 't': out += place.topic; break;
            case 'p': fmt::format_to(std::back_inserter(out), "{}", place.partition); break;
            case 'o': fmt::format_to(std::back_inserter(out), "{}", record.offset.value); break;
            case 'T':
                if (record.timestamp_ms != -1) { out += format_time(record.timestamp_ms); }
                break;
            case 'k': out += record.key.value_or(""); break;
            case 'h': append_headers(out, record); break;
            case 'v': out += record.value.value_or(""); break;
            default: break;
        }
        out += piece.text;
    }
    out += '\n';
}

void append_record_json(std::string& out, const RecordPlace& place, const RecordView& record) {
    JsonLine line(out);
    line.text("topic", place.topic)
        .number("partition", int64_t{place.partition})
        .number("offset", record.offset.value)
        .time("timestamp", record.timestamp_ms)
        .nullable("key", record.key)
        .nullable("value", record.value);
    std::string headers = "[";
    for (const Header& header : headers_of(record)) {
        headers += headers.size() == 1 ? "{\"name\":" : ",{\"name\":";
        append_json_bytes(headers, header.name);
        headers += ",\"value\":";
        if (header.value) {
            append_json_bytes(headers, *header.value);
        } else {
            headers += "null";
        }
        headers += '}';
    }
    line.raw("headers", headers + ']');
}

}  // namespace flowstone::tool
