// Messages as text, for people: all fields, whatever version they came in.
#include <iterator>

#include <fmt/format.h>

#include "net/kafka/impl/walk.h"
#include "net/kafka/message.h"

namespace flowstone::kafka {
namespace {

class Printer {
public:
    explicit Printer(size_t bytes_max) : bytes_max_(bytes_max) {}

    void structure(const FieldTable& table, const std::byte* object);
    void add(std::string_view text) { out_ += text; }
    std::string take();

private:
    void field(const Field& field, const std::byte* object);
    void value(const Field& field, const void* value);
    void text(std::string_view text);
    void list(const Field& field, const void* list);
    template <class T>
    void number(const void* at) {
        T read;
        std::memcpy(&read, at, sizeof read);
        fmt::format_to(std::back_inserter(out_), "{}", read);
    }
    bool is_full() const { return out_.size() > bytes_max_; }

    size_t bytes_max_;
    std::string out_;
};

void Printer::structure(const FieldTable& table, const std::byte* object) {
    out_ += '(';
    bool is_first = true;
    for (const auto* list : {&table.fields, &table.tagged}) {
        for (const Field& one : *list) {
            if (is_full()) { return; }
            if (!is_first) { out_ += ", "; }
            is_first = false;
            field(one, object);
        }
    }
    out_ += ')';
}

void Printer::field(const Field& field, const std::byte* object) {
    out_ += field.name;
    out_ += '=';
    const void* there = value_of(field, object + field.offset);
    if (there == nullptr) { return add("null"); }
    if (field.type.list != nullptr) { return list(field, there); }
    value(field, there);
}

void Printer::value(const Field& field, const void* value) {
    switch (field.type.kind) {
        case Kind::boolean: return add(*static_cast<const bool*>(value) ? "true" : "false");
        case Kind::int8: return number<int8_t>(value);
        case Kind::int16: return number<int16_t>(value);
        case Kind::uint16: return number<uint16_t>(value);
        case Kind::int32: return number<int32_t>(value);
        case Kind::uint32: return number<uint32_t>(value);
        case Kind::int64: return number<int64_t>(value);
        case Kind::float64: return number<double>(value);
        case Kind::uuid: return add(static_cast<const Uuid*>(value)->to_string());
        case Kind::text: return text(*static_cast<const std::string*>(value));
        case Kind::bytes: return add(fmt::format("<{} bytes>", static_cast<const Bytes*>(value)->size()));
        case Kind::records: {
            const auto& records = *static_cast<const Records*>(value);
            size_t size = 0;
            for (const Bytes piece : records.pieces) { size += piece.size(); }
            return add(records.is_null ? "null" : fmt::format("<{} bytes>", size));
        }
        case Kind::structure: return structure(*field.structure, static_cast<const std::byte*>(value));
    }
}

// Of foreign text, nothing that could break a line or steer a terminal.
void Printer::text(std::string_view text) {
    out_ += '"';
    for (const char letter : text) {
        if (is_full()) { return; }
        const auto code = static_cast<uint8_t>(letter);
        if (letter == '"' || letter == '\\') {
            out_ += '\\';
            out_ += letter;
        } else if (code < 0x20 || code >= 0x7f) {
            fmt::format_to(std::back_inserter(out_), "\\x{:02x}", code);
        } else {
            out_ += letter;
        }
    }
    out_ += '"';
}

void Printer::list(const Field& field, const void* list) {
    const ListAccess& access = *field.type.list;
    const auto* element = static_cast<const std::byte*>(access.data(list));
    out_ += '[';
    for (size_t i = 0; i < access.size(list) && !is_full(); ++i, element += access.element_bytes) {
        if (i > 0) { out_ += ", "; }
        value(field, element);
    }
    out_ += ']';
}

std::string Printer::take() {
    constexpr std::string_view more = "...";
    if (is_full()) {
        out_.resize(bytes_max_ - std::min(bytes_max_, more.size()));
        out_ += more.substr(0, std::min(bytes_max_, more.size()));
    }
    return std::move(out_);
}

}  // namespace

std::string print_message(const MessageType& type, const void* message, size_t bytes_max) {
    Printer printer(bytes_max);
    printer.add(type.name);
    printer.structure(type.table, static_cast<const std::byte*>(message));
    return printer.take();
}

}  // namespace flowstone::kafka
