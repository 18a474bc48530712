// Other engines that keep an ordered log of small values: what RocksDB's write-ahead log and LMDB do with the same
// records. Built only where their development packages are (librocksdb-dev, liblmdb-dev).
#pragma once

#include <cstdint>
#include <string>

#include "bench/workload.h"

namespace flowstone::bench {

// Why they are not part of this build; empty when they are.
std::string peers_missing();

struct PeerAppend {
    uint64_t records = 0;
    uint32_t record_bytes = 100;
    uint32_t records_each = 1;  // in one WriteBatch or transaction
    uint32_t threads = 1;
    bool sync = false;  // each batch is durable when its call returns; else only the end is
};
// Keys are the record's number. The memtable is RocksDB's fastest (a vector) and never flushed, compaction is off: what
// is left is its write-ahead log.
Result<Outcome> rocksdb_append(const std::string& directory, const PeerAppend& wanted);
// MDB_APPEND into an integer-keyed table; without sync, MDB_NOSYNC and one sync at the end.
Result<Outcome> lmdb_append(const std::string& directory, const PeerAppend& wanted);

}  // namespace flowstone::bench
