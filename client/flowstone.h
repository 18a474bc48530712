// Flowstone in C: the log in this process, and the client of a log here, on this machine or across the network. How to use
// them: docs/C.md.
//
//   flowstone_log* log = NULL;
//   flowstone_topic* topic = NULL;
//   flowstone_error error;
//   if (flowstone_log_open(flowstone_text("data"), NULL, &log, &error) != FLOWSTONE_OK) { return complain(error.message); }
//   flowstone_log_topic(log, flowstone_text("transactions.raw"), &topic, &error);
//   flowstone_record record = {.key = flowstone_text("card 7"), .value = flowstone_text("12.50 EUR")};
//   flowstone_topic_append(topic, &record, FLOWSTONE_ANY_PARTITION, NULL, &error);    // durable when it returns
//
// It says what <flowstone/log.h> and <flowstone/client.h> say, in C's words; what a call promises stands there. Here:
//
// Errors: every call that can fail returns FLOWSTONE_OK or one of the codes below, and says more in `error`, which may be
//   NULL. What a call gives back (its last parameters before `error`) is only written when it returns FLOWSTONE_OK.
//   A pointer that must not be NULL and is, or a handle of another kind, is FLOWSTONE_INVALID.
// Ownership: a handle that a call gives is the caller's, to be ended by its _free or _close. NULL may be freed. Handles may
//   be ended in any order: those of a log or client that is closed answer FLOWSTONE_CLOSED, and hold its memory until
//   the last has been freed. What a call is given stays the caller's and need live only until it returns. What records,
//   lists and names that a call gives point at belongs to their handle: until its next call, or its end, as said there.
// Threads: handles may be used by any number of threads, except readers, consumers, deliveries and lists: by one at a
//   time. No handle may be used while or after it is ended. Nothing calls back, but
//   what flowstone_set_check_handler was given.
// Memory: when there is none left the process ends. No C++ exception leaves a call.
// Numbers: all zero is the default of every options struct. `size` is sizeof the struct, as the caller was compiled: so
//   later releases may add members at the end, whose zero means what there was before. FLOWSTONE_UNSUPPORTED: a member
//   that this release does not have is not zero. Structs without a size, codes and other numbers are frozen.
//
// This header is public (installed as <flowstone/flowstone.h>): C11 or C++, the standard library only.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define FLOWSTONE_EXPORT __attribute__((visibility("default")))
#else
#define FLOWSTONE_EXPORT
#endif

#ifdef __cplusplus
#define FLOWSTONE_NOEXCEPT noexcept
extern "C" {
#else
#define FLOWSTONE_NOEXCEPT
#endif

// --- errors ------------------------------------------------------------------------------------------------------------

enum {
    FLOWSTONE_OK = 0,
    FLOWSTONE_IO = 1,             // the operating system refused or failed; os_errno says why
    FLOWSTONE_CORRUPT = 2,        // bytes are not what was written, or claim what cannot be
    FLOWSTONE_NOT_FOUND = 3,      // no such topic, partition, group, file or directory
    FLOWSTONE_OUT_OF_RANGE = 4,   // an offset below the start or above the end, a partition number past the last
    FLOWSTONE_STALE_EPOCH = 5,    // a leader or producer epoch that has been succeeded
    FLOWSTONE_BUSY = 6,           // a named limit is reached; try again later
    FLOWSTONE_CLOSED = 7,         // the log, client or process side is closed
    FLOWSTONE_INVALID = 8,        // the caller's argument can never be right
    FLOWSTONE_EXISTS = 9,         // a topic or file of that name is already there
    FLOWSTONE_LOCKED = 10,        // another process has the directory open for writing
    FLOWSTONE_READ_ONLY = 11,     // the log was opened for reading, or its directory does not allow writing
    FLOWSTONE_OFFLINE = 12,       // a disk error was seen; nothing further is acknowledged until reopened
    FLOWSTONE_TOO_LARGE = 13,     // a record, batch or value above its named limit
    FLOWSTONE_OUT_OF_ORDER = 14,  // a producer's sequence number does not follow its last
    FLOWSTONE_NO_SPACE = 15,      // the disk or quota is full; nothing was changed
    FLOWSTONE_UNSUPPORTED = 16,   // a format version, codec, feature or member that this release does not know
    FLOWSTONE_TIMED_OUT = 17      // the time-out passed first
};

// Whether an append may still turn out to have happened.
enum {
    FLOWSTONE_FATE_NONE = 0,                 // not an append
    FLOWSTONE_FATE_NOT_APPENDED = 1,         // certainly not in the log
    FLOWSTONE_FATE_UNKNOWN_UNTIL_REOPEN = 2  // may be found in the log after the next open
};

// What is worth doing.
enum {
    FLOWSTONE_ADVICE_NONE = 0,     // there is no error
    FLOWSTONE_ADVICE_RETRY = 1,    // the same again later may succeed
    FLOWSTONE_ADVICE_GIVE_UP = 2,  // it never will
    FLOWSTONE_ADVICE_FENCED = 3,   // somebody newer has taken this one's place: end
    FLOWSTONE_ADVICE_REOPEN = 4    // of a log: close it, and look after the next open
};

typedef struct flowstone_error {
    int32_t code;
    int32_t fate;
    int32_t advice;
    int32_t os_errno;   // 0, or the errno behind it
    char message[496];  // one full sentence for people, UTF-8, zero-terminated; empty when there is no error
} flowstone_error;

// The frozen name of a code, such as "not_found"; "ok"; "unknown" of a number that is none. Never freed.
FLOWSTONE_EXPORT const char* flowstone_code_name(int32_t code) FLOWSTONE_NOEXCEPT;
// Of the library that is running, such as "0.1.0". Never freed.
FLOWSTONE_EXPORT const char* flowstone_version(void) FLOWSTONE_NOEXCEPT;

// A broken invariant of the library's own is no error: `handler` is called with one line of text, then the process is aborted.
// NULL, as at the start: the line goes to standard error. What it may do: set_check_handler() in <flowstone/result.h>.
typedef void (*flowstone_check_handler)(const char* text);
FLOWSTONE_EXPORT void flowstone_set_check_handler(flowstone_check_handler handler) FLOWSTONE_NOEXCEPT;

// --- words of both -------------------------------------------------------------------------------------------------------

// A string with its length; no zero ends it. `data` NULL: absent (a record without key; a tombstone's value).
typedef struct flowstone_bytes {
    const char* data;
    size_t size;
} flowstone_bytes;

static inline flowstone_bytes flowstone_text(const char* zero_terminated) {
    flowstone_bytes bytes = {zero_terminated, zero_terminated == NULL ? 0 : strlen(zero_terminated)};
    return bytes;
}

typedef struct flowstone_header {
    flowstone_bytes name;
    flowstone_bytes value;  // may be absent
} flowstone_header;

// A record to append or send. Copied.
typedef struct flowstone_record {
    flowstone_bytes key;    // decides the partition; absent: the sticky one
    flowstone_bytes value;  // absent: a tombstone
    const flowstone_header* headers;
    size_t header_count;
    int64_t timestamp_ms;    // milliseconds since 1970 UTC
    uint32_t has_timestamp;  // 0: the time of the append
    uint32_t reserved;       // 0
} flowstone_record;

// A record as read. It points into its reader or consumer, until the next read, poll, seek or end of that.
typedef struct flowstone_view {
    int64_t offset;
    int64_t timestamp_ms;
    flowstone_bytes key;
    flowstone_bytes value;
    flowstone_bytes encoded_headers;  // for flowstone_view_headers
} flowstone_view;

// Fills up to `capacity` of the record's headers and returns how many it has in all. They live as long as the view.
FLOWSTONE_EXPORT size_t flowstone_view_headers(const flowstone_view* view, flowstone_header* into,
                                               size_t capacity) FLOWSTONE_NOEXCEPT;

typedef struct flowstone_position {
    int64_t offset;
    int32_t partition;
    uint32_t reserved;
} flowstone_position;

typedef struct flowstone_topic_partition {
    flowstone_bytes topic;
    int32_t partition;
    uint32_t reserved;
} flowstone_topic_partition;

// Where reading begins. All zero is the beginning.
enum { FLOWSTONE_FROM_BEGINNING = 0, FLOWSTONE_FROM_END = 1, FLOWSTONE_FROM_OFFSET = 2, FLOWSTONE_FROM_TIME = 3 };
typedef struct flowstone_from {
    int32_t kind;
    uint32_t reserved;
    int64_t value;  // the offset; or milliseconds since 1970 UTC: the first record at or after then
} flowstone_from;

static inline flowstone_from flowstone_from_offset(int64_t offset) {
    flowstone_from from = {FLOWSTONE_FROM_OFFSET, 0, offset};
    return from;
}

#define FLOWSTONE_ANY_PARTITION (-1)  // the one that the key decides
#define FLOWSTONE_FOREVER (-1)        // as a time-out: none. All are milliseconds; 0 does not wait.

typedef struct flowstone_config {
    flowstone_bytes name;  // Kafka's, such as "retention.ms"
    flowstone_bytes value;
} flowstone_config;

typedef struct flowstone_topic_options {
    uint32_t size;
    int32_t partitions;  // 0: 1
    const flowstone_config* configs;
    size_t config_count;
    uint32_t exists_ok;  // a topic that exists is no error
    uint32_t reserved;
} flowstone_topic_options;

enum { FLOWSTONE_DURABLE = 0, FLOWSTONE_WRITTEN = 1, FLOWSTONE_MEMORY = 2 };
typedef struct flowstone_topic_info {
    uint32_t size;  // set by the caller
    int32_t partitions;
    flowstone_bytes name;  // until the list is freed
    uint8_t id[16];
    int32_t durability;  // -1: a broker does not tell
    uint32_t internal;
} flowstone_topic_info;

// Topics, by name.
typedef struct flowstone_topic_list flowstone_topic_list;
FLOWSTONE_EXPORT size_t flowstone_topic_list_count(const flowstone_topic_list* list) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_topic_list_get(const flowstone_topic_list* list, size_t index,
                                                  flowstone_topic_info* info,
                                                  flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT void flowstone_topic_list_free(flowstone_topic_list* list) FLOWSTONE_NOEXCEPT;

// How far a consumer group has come in a partition.
typedef struct flowstone_group_offset {
    flowstone_bytes topic;
    int64_t offset;  // of the next record to read
    int32_t partition;
    uint32_t reserved;
    flowstone_bytes metadata;  // may be absent
} flowstone_group_offset;

typedef struct flowstone_offset_list flowstone_offset_list;
FLOWSTONE_EXPORT size_t flowstone_offset_list_count(const flowstone_offset_list* list) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_offset_list_get(const flowstone_offset_list* list, size_t index,
                                                   flowstone_group_offset* offset,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT void flowstone_offset_list_free(flowstone_offset_list* list) FLOWSTONE_NOEXCEPT;

// --- the log in this process -----------------------------------------------------------------------------------------------

typedef struct flowstone_log flowstone_log;
typedef struct flowstone_topic flowstone_topic;
typedef struct flowstone_reader flowstone_reader;

typedef struct flowstone_log_options {
    uint32_t size;
    uint32_t threads;  // that commit; 0: whoever waits does it, and without wait, flush or poll nothing is written
    uint32_t read_only;
    uint32_t must_exist;   // the directory is not made when it is missing
    uint32_t adopt;        // open a directory that Kafka wrote for writing
    uint32_t accept_loss;  // go on behind acknowledged records that an earlier opening found lost
    uint64_t journal_bytes_max;
    uint64_t dirty_bytes_max;
    uint64_t tail_bytes_max;
    int64_t reserve_bytes;  // given up when the disk is full; -1: none
    uint32_t open_files_max;
    uint32_t reserved;
} flowstone_log_options;

// Errors: locked, invalid (not a Flowstone directory), unsupported, corrupt, read_only, no_space, io.
FLOWSTONE_EXPORT int32_t flowstone_log_open(flowstone_bytes path, const flowstone_log_options* options,
                                            flowstone_log** log, flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Makes everything that was appended durable, and ends the handle whatever it returns. After an error the next open
// recovers; then the directory is locked until the last topic and reader is freed. Errors: timed_out, io, offline.
FLOWSTONE_EXPORT int32_t flowstone_log_close(flowstone_log* log, int64_t timeout_ms,
                                             flowstone_error* error) FLOWSTONE_NOEXCEPT;

// `topic` of create may be NULL. Errors: exists, invalid (the name, a config).
FLOWSTONE_EXPORT int32_t flowstone_log_create_topic(flowstone_log* log, flowstone_bytes name,
                                                    const flowstone_topic_options* options, flowstone_topic** topic,
                                                    flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_log_topic(flowstone_log* log, flowstone_bytes name, flowstone_topic** topic,
                                             flowstone_error* error) FLOWSTONE_NOEXCEPT;  // Errors: not_found.
FLOWSTONE_EXPORT int32_t flowstone_log_delete_topic(flowstone_log* log, flowstone_bytes name,
                                                    flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_log_topics(flowstone_log* log, flowstone_topic_list** list,
                                              flowstone_error* error) FLOWSTONE_NOEXCEPT;

// Until everything appended before has reached its topic's level.
FLOWSTONE_EXPORT int32_t flowstone_log_flush(flowstone_log* log, flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Does what is due and waits for nobody: for event loops.
FLOWSTONE_EXPORT int32_t flowstone_log_poll(flowstone_log* log, flowstone_error* error) FLOWSTONE_NOEXCEPT;

// Offsets of consumer groups; durable when commit returns. A group that nobody knows has none.
FLOWSTONE_EXPORT int32_t flowstone_log_commit_offsets(flowstone_log* log, flowstone_bytes group,
                                                      const flowstone_group_offset* offsets, size_t count,
                                                      flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_log_fetch_offsets(flowstone_log* log, flowstone_bytes group,
                                                     flowstone_offset_list** list,
                                                     flowstone_error* error) FLOWSTONE_NOEXCEPT;

FLOWSTONE_EXPORT void flowstone_topic_free(flowstone_topic* topic) FLOWSTONE_NOEXCEPT;
// Until the topic is freed; absent of NULL.
FLOWSTONE_EXPORT flowstone_bytes flowstone_topic_name(const flowstone_topic* topic) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_topic_partitions(const flowstone_topic* topic) FLOWSTONE_NOEXCEPT;  // of NULL: 0

// Waits until the record has reached the topic's level. `at` may be NULL.
// Errors: busy, no_space, too_large, invalid, out_of_range (partition or timestamp), not_found (deleted), read_only,
// offline, closed; `fate` says whether the record was not appended or that is unknown until reopen.
FLOWSTONE_EXPORT int32_t flowstone_topic_append(flowstone_topic* topic, const flowstone_record* record,
                                                int32_t partition, flowstone_position* at,
                                                flowstone_error* error) FLOWSTONE_NOEXCEPT;
// All or none are accepted together when they share a partition. `at` has room for `count`, or is NULL.
FLOWSTONE_EXPORT int32_t flowstone_topic_append_many(flowstone_topic* topic, const flowstone_record* records,
                                                     size_t count, int32_t partition, flowstone_position* at,
                                                     flowstone_error* error) FLOWSTONE_NOEXCEPT;

// An append under way. A value: nothing leaks when it is dropped.
typedef struct flowstone_pending {
    flowstone_position at;  // where the record is, once it is acknowledged
    const void* owner;
    uint32_t shard;
    uint32_t reserved;
} flowstone_pending;
// The same without waiting: see flowstone_log_wait, _flush and _poll. Allocates nothing. `pending` may be NULL.
FLOWSTONE_EXPORT int32_t flowstone_topic_append_async(flowstone_topic* topic, const flowstone_record* record,
                                                      int32_t partition, flowstone_pending* pending,
                                                      flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Errors: invalid (of another log, or none), and what the append would have said.
FLOWSTONE_EXPORT int32_t flowstone_log_wait(flowstone_log* log, const flowstone_pending* pending,
                                            flowstone_error* error) FLOWSTONE_NOEXCEPT;

typedef struct flowstone_partition_info {
    uint32_t size;           // set by the caller
    int32_t epoch;           // of the leadership
    int64_t log_start;       // the first offset that can be read
    int64_t high_watermark;  // readers see up to here, exclusive
    int64_t log_end;         // the next offset to be given
    uint64_t bytes;          // in segments and memory
    uint32_t segments;
    uint32_t reserved;
} flowstone_partition_info;
FLOWSTONE_EXPORT int32_t flowstone_topic_partition_info(flowstone_topic* topic, int32_t partition,
                                                        flowstone_partition_info* info,
                                                        flowstone_error* error) FLOWSTONE_NOEXCEPT;
// The first offset whose record is at that time or later; else the end.
FLOWSTONE_EXPORT int32_t flowstone_topic_offset_for_time(flowstone_topic* topic, int32_t partition,
                                                         int64_t timestamp_ms, int64_t* offset,
                                                         flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Makes everything before `before` unreadable. `log_start`, which may be NULL: the first offset that is left.
FLOWSTONE_EXPORT int32_t flowstone_topic_delete_records(flowstone_topic* topic, int32_t partition, int64_t before,
                                                        int64_t* log_start, flowstone_error* error) FLOWSTONE_NOEXCEPT;

// Reads one partition forwards.
FLOWSTONE_EXPORT int32_t flowstone_topic_read(flowstone_topic* topic, int32_t partition, flowstone_from from,
                                              flowstone_reader** reader, flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT void flowstone_reader_free(flowstone_reader* reader) FLOWSTONE_NOEXCEPT;
// The next records, up to `capacity`, all of one stored batch, waiting up to the time-out for the first. None when there
// is none. Allocates nothing for a record. Errors: corrupt (the range is named; seek past it to go on), out_of_range (what
// comes next was trimmed away), not_found (the topic was deleted), closed, io.
FLOWSTONE_EXPORT int32_t flowstone_reader_read(flowstone_reader* reader, flowstone_view* into, size_t capacity,
                                               int64_t timeout_ms, size_t* count,
                                               flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Of the next record that read gives. -1 of NULL.
FLOWSTONE_EXPORT int64_t flowstone_reader_position(const flowstone_reader* reader) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_reader_seek(flowstone_reader* reader, flowstone_from from,
                                               flowstone_error* error) FLOWSTONE_NOEXCEPT;

// --- the client ----------------------------------------------------------------------------------------------------------

typedef struct flowstone_client flowstone_client;
typedef struct flowstone_producer flowstone_producer;
typedef struct flowstone_producer_topic flowstone_producer_topic;
typedef struct flowstone_delivery flowstone_delivery;
typedef struct flowstone_consumer flowstone_consumer;

typedef struct flowstone_client_options {
    uint32_t size;
    uint32_t reserved;
    flowstone_bytes client_id;         // absent: "flowstone"
    int64_t request_timeout_ms;        // of one request; 0: 30 s
    const flowstone_log_options* log;  // of dir:PATH; NULL: its defaults, with one thread
} flowstone_client_options;

// The endpoint says where the log is, as in <flowstone/client.h>: HOST:PORT[,HOST:PORT]..., dir:PATH or shm:PATH. Threads of
// the library's own serve what belongs to a client, until it is closed. Errors: invalid (the endpoint), io; of dir:, those of
// flowstone_log_open; of shm:, not_found (nobody holds the log), read_only.
FLOWSTONE_EXPORT int32_t flowstone_client_open(flowstone_bytes endpoint, const flowstone_client_options* options,
                                               flowstone_client** client, flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Sends what producers hold, as far as the time goes, and ends threads and handle, whatever it returns.
// Errors: timed_out: something was not acknowledged; of dir:, as flowstone_log_close.
FLOWSTONE_EXPORT int32_t flowstone_client_close(flowstone_client* client, int64_t timeout_ms,
                                                flowstone_error* error) FLOWSTONE_NOEXCEPT;

// Each asks brokers until one has answered, up to the time-out.
FLOWSTONE_EXPORT int32_t flowstone_client_create_topic(flowstone_client* client, flowstone_bytes name,
                                                       const flowstone_topic_options* options, int64_t timeout_ms,
                                                       flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_client_delete_topic(flowstone_client* client, flowstone_bytes name,
                                                       int64_t timeout_ms, flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_client_topics(flowstone_client* client, int64_t timeout_ms,
                                                 flowstone_topic_list** list,
                                                 flowstone_error* error) FLOWSTONE_NOEXCEPT;
// The first offset that can be read, and the next that readers will see. Either may be NULL.
FLOWSTONE_EXPORT int32_t flowstone_client_ends(flowstone_client* client, flowstone_topic_partition partition,
                                               int64_t timeout_ms, int64_t* log_start, int64_t* high_watermark,
                                               flowstone_error* error) FLOWSTONE_NOEXCEPT;

enum { FLOWSTONE_ACKS_ALL = 0, FLOWSTONE_ACKS_LEADER = 1, FLOWSTONE_ACKS_NONE = 2 };
enum {
    FLOWSTONE_COMPRESSION_NONE = 0,
    FLOWSTONE_COMPRESSION_GZIP = 1,
    FLOWSTONE_COMPRESSION_SNAPPY = 2,
    FLOWSTONE_COMPRESSION_LZ4 = 3,
    FLOWSTONE_COMPRESSION_ZSTD = 4
};
typedef struct flowstone_producer_options {
    uint32_t size;
    int32_t acks;             // other than all needs not_idempotent
    uint32_t not_idempotent;  // 0: no record twice, and in order, whatever is sent again
    int32_t compression;
    int64_t linger_ms;  // a batch that is not full waits so long for more; 0: 5 ms; -1: not at all
    uint64_t batch_bytes_max;
    uint64_t buffer_bytes_max;    // of all that is not acknowledged
    int64_t full_wait_ms;         // that send waits for room there; 0: 60 s; -1: busy at once
    int64_t delivery_timeout_ms;  // from send to the verdict; 0: 120 s
} flowstone_producer_options;

FLOWSTONE_EXPORT int32_t flowstone_client_producer(flowstone_client* client, const flowstone_producer_options* options,
                                                   flowstone_producer** producer,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;
// What was sent is sent all the same.
FLOWSTONE_EXPORT void flowstone_producer_free(flowstone_producer* producer) FLOWSTONE_NOEXCEPT;
// Asks until the brokers know the topic. Errors: not_found, timed_out, closed, invalid (the name).
FLOWSTONE_EXPORT int32_t flowstone_producer_open_topic(flowstone_producer* producer, flowstone_bytes name,
                                                       int64_t timeout_ms, flowstone_producer_topic** topic,
                                                       flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT void flowstone_producer_topic_free(flowstone_producer_topic* topic) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_producer_topic_partitions(const flowstone_producer_topic* topic) FLOWSTONE_NOEXCEPT;

// Copies the record into a batch that goes out with others. With `delivery` NULL the next flush tells a failure.
// Errors: busy (no room in time), too_large, out_of_range (the partition), closed. The record was not sent.
FLOWSTONE_EXPORT int32_t flowstone_producer_topic_send(flowstone_producer_topic* topic, const flowstone_record* record,
                                                       int32_t partition, flowstone_delivery** delivery,
                                                       flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Sends what is there at once and waits for all of it.
// Errors: timed_out; else that of the first record without a delivery that failed since the last flush.
FLOWSTONE_EXPORT int32_t flowstone_producer_flush(flowstone_producer* producer, int64_t timeout_ms,
                                                  flowstone_error* error) FLOWSTONE_NOEXCEPT;

// Waits until the record is acknowledged or never will be; `at` may be NULL, and its offset is -1 without acks.
// Errors: timed_out, of this wait, after which it may be called again; else why it was not, where `fate` says whether the
// record is certainly not in the log or that is unknown.
FLOWSTONE_EXPORT int32_t flowstone_delivery_wait(flowstone_delivery* delivery, int64_t timeout_ms,
                                                 flowstone_position* at, flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT uint32_t flowstone_delivery_done(const flowstone_delivery* delivery) FLOWSTONE_NOEXCEPT;  // of NULL: 0
FLOWSTONE_EXPORT void flowstone_delivery_free(flowstone_delivery* delivery) FLOWSTONE_NOEXCEPT;

// How a group shares its partitions, and where a member begins where its group has committed nothing, or what it committed is
// no longer there: Assignor and Start of <flowstone/client.h>.
enum {
    FLOWSTONE_ASSIGNOR_RANGE = 0,
    FLOWSTONE_ASSIGNOR_ROUND_ROBIN = 1,
    FLOWSTONE_ASSIGNOR_STICKY = 2,
    FLOWSTONE_ASSIGNOR_COOPERATIVE_STICKY = 3
};
enum { FLOWSTONE_START_BEGINNING = 0, FLOWSTONE_START_END = 1, FLOWSTONE_START_ERROR = 2 };
typedef struct flowstone_consumer_options {
    uint32_t size;
    uint32_t read_committed;       // leave out what aborted transactions wrote, and wait for open ones
    uint64_t fetch_bytes_max;      // of one answer
    uint64_t partition_bytes_max;  // of one partition in it
    int64_t fetch_wait_ms;         // that a broker waits for something to answer; 0: 500; -1: not at all
    uint32_t unchecked_crcs;       // batches are believed
    uint32_t reserved;
    flowstone_bytes group;     // whose offsets are committed, and with subscribe whose member this is; absent: none
    flowstone_bytes instance;  // of a static member; absent: none
    const int32_t* assignors;  // the dearest first; NULL: range, then cooperative sticky
    uint32_t assignor_count;
    int32_t start;
    int64_t session_timeout_ms;     // unheard of for so long it is no member any more; 0: 45 s
    int64_t heartbeat_interval_ms;  // a third of that at most; 0: 3 s
    int64_t max_poll_interval_ms;   // it leaves when poll begins no other batch for so long; 0: 300 s
    int64_t auto_commit_ms;     // so often poll commits what it gave before; so do a rebalance and close. 0: neither
    int64_t topics_refresh_ms;  // between two looks for topics of a pattern, and new partitions; 0: 300 s
} flowstone_consumer_options;

FLOWSTONE_EXPORT int32_t flowstone_client_consumer(flowstone_client* client, const flowstone_consumer_options* options,
                                                   flowstone_consumer** consumer,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Leaves its group, but neither waits for that nor commits.
FLOWSTONE_EXPORT void flowstone_consumer_free(flowstone_consumer* consumer) FLOWSTONE_NOEXCEPT;
// Commits if auto_commit_ms says so, leaves its group, and ends the handle whatever it returns.
// Errors: timed_out; those of the commit.
FLOWSTONE_EXPORT int32_t flowstone_consumer_close(flowstone_consumer* consumer, int64_t timeout_ms,
                                                  flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Reads exactly these from now on; those that were assigned before go on where they stand, others from `from`.
// Errors: invalid, while it is subscribed.
FLOWSTONE_EXPORT int32_t flowstone_consumer_assign(flowstone_consumer* consumer,
                                                   const flowstone_topic_partition* partitions, size_t count,
                                                   flowstone_from from, flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Errors: invalid (not assigned).
FLOWSTONE_EXPORT int32_t flowstone_consumer_seek(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                                 flowstone_from from, flowstone_error* error) FLOWSTONE_NOEXCEPT;
// What is left of the batch that poll is in comes all the same.
FLOWSTONE_EXPORT int32_t flowstone_consumer_pause(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                                  flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_consumer_resume(flowstone_consumer* consumer, flowstone_topic_partition partition,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;

// The next records, up to `capacity`, all of one batch, waiting up to the time-out for the first; none when there is none.
// `source`, which may be NULL: whose they are, until the next poll; written only where there are any.
// Allocates nothing for a record. Errors: out_of_range (what comes next was trimmed away, or never was: seek), corrupt,
// not_found (the topic is gone), closed. The message names the partition; the others can be polled on.
// Of a member it returns as well, without records, whenever its group gives or takes partitions: flowstone_consumer_change.
// Errors besides, each time until it unsubscribes: stale_epoch (another has its instance id), invalid, unsupported: the group
// will not have it.
FLOWSTONE_EXPORT int32_t flowstone_consumer_poll(flowstone_consumer* consumer, flowstone_view* into, size_t capacity,
                                                 int64_t timeout_ms, flowstone_topic_partition* source, size_t* count,
                                                 flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Of the next record that poll gives; and the records between there and the partition's end, as of the last answer.
// Errors: not_found (not known yet, or not assigned).
FLOWSTONE_EXPORT int32_t flowstone_consumer_position(const flowstone_consumer* consumer,
                                                     flowstone_topic_partition partition, int64_t* offset,
                                                     flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_consumer_lag(const flowstone_consumer* consumer, flowstone_topic_partition partition,
                                                int64_t* records, flowstone_error* error) FLOWSTONE_NOEXCEPT;

// --- a consumer as a member of a group: flowstone_consumer_options.group ---

// Joins the group, in the background, or says what it wants from now on: these topics, or those whose whole names match an
// ECMAScript expression ("orders\\..*"), as they come and go. poll reads what the group gives it, and is where it hears of it.
// Errors: invalid (no group, no or bad names, a bad expression, or partitions are assigned), closed.
FLOWSTONE_EXPORT int32_t flowstone_consumer_subscribe(flowstone_consumer* consumer, const flowstone_bytes* topics,
                                                      size_t count, flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_consumer_subscribe_matching(flowstone_consumer* consumer, flowstone_bytes expression,
                                                               flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Gives up what it reads, with a commit if auto_commit_ms says so, and leaves the group unless it is a static member.
// Errors: timed_out, after which it is out all the same.
FLOWSTONE_EXPORT int32_t flowstone_consumer_unsubscribe(flowstone_consumer* consumer, int64_t timeout_ms,
                                                        flowstone_error* error) FLOWSTONE_NOEXCEPT;
// The partitions that it reads. `partitions` points into the consumer until its next call, and may be NULL.
FLOWSTONE_EXPORT int32_t flowstone_consumer_assignment(flowstone_consumer* consumer,
                                                       const flowstone_topic_partition** partitions, size_t* count,
                                                       flowstone_error* error) FLOWSTONE_NOEXCEPT;

// What the last poll found that the group did.
enum {
    FLOWSTONE_CHANGE_NONE = 0,
    FLOWSTONE_CHANGE_ASSIGNED = 1,  // in addition to what it has, perhaps nothing; a seek before the next poll holds
    FLOWSTONE_CHANGE_REVOKED = 2,   // these go with the next poll, and may be committed before
    FLOWSTONE_CHANGE_LOST = 3       // these have gone, and another may read them already: a commit of them is refused
};
typedef struct flowstone_change {
    const flowstone_topic_partition* partitions;  // in the consumer, until its next poll
    size_t count;
    int32_t kind;
    uint32_t reserved;
} flowstone_change;
// Who does not ask goes on with the next poll all the same. A poll that gave records found none.
FLOWSTONE_EXPORT int32_t flowstone_consumer_change(const flowstone_consumer* consumer, flowstone_change* change,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;

// The positions, that is behind all that poll has given; or these. Done again while that may help.
// Errors: stale_epoch (fenced: the partitions are another's), busy (the group is sharing anew: poll, and again), invalid,
// not_found, too_large (the metadata), timed_out, which leaves it unknown.
FLOWSTONE_EXPORT int32_t flowstone_consumer_commit(flowstone_consumer* consumer, int64_t timeout_ms,
                                                   flowstone_error* error) FLOWSTONE_NOEXCEPT;
FLOWSTONE_EXPORT int32_t flowstone_consumer_commit_offsets(flowstone_consumer* consumer,
                                                           const flowstone_group_offset* offsets, size_t count,
                                                           int64_t timeout_ms,
                                                           flowstone_error* error) FLOWSTONE_NOEXCEPT;
// Of these, what the group has committed, in their order; those of which it has nothing are not in the list.
// Errors: invalid (no group), not_found, timed_out, closed.
FLOWSTONE_EXPORT int32_t flowstone_consumer_committed(flowstone_consumer* consumer,
                                                      const flowstone_topic_partition* partitions, size_t count,
                                                      int64_t timeout_ms, flowstone_offset_list** list,
                                                      flowstone_error* error) FLOWSTONE_NOEXCEPT;

#ifdef __cplusplus
}
#endif
