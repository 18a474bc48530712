// Every bound that has a name, in one place. Defaults; what can be configured says so where it is read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace flowstone {

constexpr size_t io_pieces_max = 64;                 // iovecs of one disk request
constexpr uint32_t disk_block_bytes_min = 4096;      // JOURNAL 1.2: commits never start on less
constexpr uint32_t disk_block_bytes_max = 1u << 20;  // a device that claims more is not believed
constexpr uint32_t io_attempts_max = 10'000;         // of one request without progress: EINTR, EAGAIN, short
constexpr uint32_t ring_entries = 64;                // requests of one io_uring in flight; a run() may have more
constexpr uint32_t rings_max = 256;                  // run() calls at once; further ones take the plain way
constexpr uint32_t rings_idle_max = 8;               // kept open between calls
constexpr uint32_t background_reads_max = 32;        // at once, each with a ring and a buffer of its own

constexpr size_t topic_name_bytes_max = 249;  // Kafka's: leaves room for "-<partition>" in a file name
constexpr size_t kafka_string_bytes_max = 32 * 1024 - 1;
constexpr size_t group_name_bytes_max = kafka_string_bytes_max;
constexpr int32_t partitions_per_topic_max = 100'000;
constexpr uint32_t headers_per_record_max = 10'000;
constexpr size_t refused_records_told_max = 1'000;      // of one batch: its producer is told each
constexpr uint32_t records_per_batch_max = 10'000'000;  // and never more than the bytes could hold

constexpr size_t frame_bytes_max_before_authentication = 64 * 1024;
constexpr size_t connections_max = 10'000;
constexpr uint64_t shared_tail_bytes = 16u << 20;  // of each directory, while other processes of the machine read
constexpr size_t requests_in_flight_max = 100;     // of one connection, answers not yet sent
constexpr size_t connection_output_bytes_max = 16u << 20;    // answers that a peer does not fetch
constexpr uint64_t request_memory_bytes_max = 256ull << 20;  // of all frames that came or are coming
constexpr size_t frame_bytes_small = 1u << 20;               // what producers send unless told otherwise
constexpr int64_t frame_time_ms_max = 30'000;                // until a frame is whole, or as long as
constexpr int64_t frame_bytes_per_second_min = 64 * 1024;    // it comes at this rate
constexpr int64_t connection_idle_ms_max = 600'000;
constexpr size_t frame_bytes_max = 100u << 20;          // Kafka's socket.request.max.bytes
constexpr size_t array_elements_max = 1'000'000;        // of one array in a message, and never more than the bytes left
constexpr size_t tagged_fields_max = 10'000;            // of one struct in a message
constexpr size_t gather_copy_bytes_max = 512;           // shorter pieces are copied: an iovec costs more
constexpr size_t printed_message_bytes_max = 4 * 1024;  // of a message as text, for people
// What decoding a message may allocate. A broker decodes one at a time: what outlives that is bounded by who keeps it.
constexpr uint64_t decode_bytes_max(uint64_t received) { return 2 * received + (1u << 20); }

constexpr uint64_t decompressed_batch_bytes_max = 64ull << 20;
constexpr uint64_t decompression_ratio_max = 1000;       // a batch may claim at most this many times its own size
constexpr uint64_t batch_bytes_max_default = 1'048'588;  // Kafka's max.message.bytes

constexpr size_t groups_max = 100'000;                 // consumer groups of one coordinator
constexpr size_t members_per_group_max = 10'000;       // Kafka's group.max.size, which has no bound of its own
constexpr size_t joins_pending_per_group_max = 1'000;  // told a member id, not back with it; the first to time out goes
constexpr uint64_t member_bytes_max = 1u << 20;        // what one member says of all its protocols
constexpr uint64_t members_bytes_max = 256ull << 20;   // of all groups
constexpr size_t committed_offsets_max = 10'000'000;   // of all groups
constexpr size_t group_answers_waiting_max = 100'000;  // for the log, of all groups
constexpr size_t tombstones_per_append_max = 1'000;    // a group may have more offsets than a batch has room for

constexpr size_t fetch_sessions_max = 1'000;                 // Kafka's max.incremental.fetch.session.cache.slots
constexpr size_t fetch_session_partitions_max = 100'000;     // of one session
constexpr uint64_t fetch_sessions_bytes_max = 128ull << 20;  // of all

constexpr size_t http_header_bytes_max = 8 * 1024;  // of one request, its first line too
constexpr int64_t http_request_ms_max = 10'000;     // until that is whole
constexpr int64_t http_answer_ms_max = 60'000;      // until it is fetched
constexpr int64_t http_idle_ms_max = 60'000;        // between two requests of a connection
constexpr size_t http_connections_max = 100;
constexpr size_t metrics_series_max = 10'000;           // a metric with one set of labels; without the two below
constexpr size_t metric_partitions_max = 10'000;        // of each metric of partitions
constexpr size_t metric_group_partitions_max = 10'000;  // of each metric of what groups committed
constexpr size_t metric_label_bytes_max = 256;          // of a value, which may be a stranger's

constexpr uint32_t meta_file_bytes_max = 1u << 20;  // meta.properties, partition.metadata, epoch checkpoints
constexpr uint32_t leader_epochs_max = 100'000;     // per partition

}  // namespace flowstone
