// Messages to and from bytes: decode, encode, size, print, compare; one function each for all of net/kafka/messages/.
//
// Pure: no I/O, no clock, any thread. A message does not know its version; whoever encodes or decodes says it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <flowstone/result.h>

#include "net/kafka/api.h"
#include "net/kafka/fields.h"
#include "net/kafka/gather.h"
#include "storage/bytes.h"
#include "storage/limits.h"
#include "storage/try.h"

namespace flowstone::kafka {

// A message's type without its type.
struct MessageType {
    const char* name;
    ApiKey api_key;
    const FieldTable& table;
};
template <class T>
MessageType message_type() {
    return {T::message_name, T::api_key, table_of<T>()};
}

// The functions below, for messages whose type is known at run time only. `message` points to the struct.
Result<void> decode_message(const MessageType& type, int16_t version, Bytes body, uint64_t memory_max, void* message);
void encode_message(const MessageType& type, int16_t version, const void* message, Gather& out);
size_t message_size(const MessageType& type, int16_t version, const void* message);
Result<void> check_message_encodable(const MessageType& type, int16_t version, const void* message);
std::string print_message(const MessageType& type, const void* message, size_t bytes_max);
bool same_message(const MessageType& type, const void* a, const void* b);

// Reads a body, all of it. Bytes in the result are views into `body`. A field that the version lacks has its default.
// Unknown tagged fields are skipped. What is allocated for strings and lists stays below `memory_max` at every moment;
// the default is for bytes of strangers and refuses messages of very many tiny elements, which a client of its own
// broker may allow.
// Errors: unsupported, for a version outside of the api's range; corrupt, for what is no such message; too_large, above
// a limit of limits.h or `memory_max`.
template <class T>
Result<T> decode(Bytes body, int16_t version, uint64_t memory_max) {
    T message{};
    TRY_VOID(decode_message(message_type<T>(), version, body, memory_max, &message));
    return message;
}
template <class T>
Result<T> decode(Bytes body, int16_t version) {
    return decode<T>(body, version, decode_bytes_max(body.size()));
}

// Appends the body. Requires a version in the api's range. It always works, by one rule: what the version cannot say is
// left unsaid. A field that the version lacks is left out; null where the version knows none becomes empty; a string
// above kafka_string_bytes_max is cut there (between characters of UTF-8). A broker answers with what the asker can
// read; whoever asks, and would be misunderstood, calls check_encodable() first. Records, and bytes whose rule says
// spliced, are referred to and must live until `out` is written; all else is copied.
template <class T>
void encode(const T& message, int16_t version, Gather& out) {
    encode_message(message_type<T>(), version, &message, out);
}

// Exactly what encode() appends.
template <class T>
size_t encoded_size(const T& message, int16_t version) {
    return message_size(message_type<T>(), version, &message);
}

// Whether the version can say all that the message does: Kafka's own rule, by which its clients refuse to send.
// Errors: unsupported, for the version; invalid, naming the first field that is neither ignorable nor has its default
// and that the version lacks, or is null where it must not be, or a string that is too long.
template <class T>
Result<void> check_encodable(const T& message, int16_t version) {
    return check_message_encodable(message_type<T>(), version, &message);
}

// For people and logs: `ProduceRequest(acks=-1, topic_data=[(name="orders", ...`. Bytes are shown as their number only,
// but configuration values as they are, passwords too. Ends in "..." when it would be longer than `bytes_max`.
template <class T>
std::string to_string(const T& message, size_t bytes_max = printed_message_bytes_max) {
    return print_message(message_type<T>(), &message, bytes_max);
}

// Field by field; bytes by content, wherever they are.
template <class T>
bool same(const T& a, const T& b) {
    return same_message(message_type<T>(), &a, &b);
}

}  // namespace flowstone::kafka
