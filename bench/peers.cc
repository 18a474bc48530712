#include "bench/peers.h"

#include <lmdb.h>
#include <rocksdb/c.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <vector>

#include "bench/source.h"
#include "storage/bytes.h"
#include "storage/try.h"

namespace flowstone::bench {
namespace {

Result<void> rocksdb_said(char* error) {
    if (error == nullptr) { return {}; }
    auto failed = fail(Code::io, "rocksdb", error);
    rocksdb_free(error);
    return failed;
}

Result<void> lmdb_said(int code) {
    if (code == 0) { return {}; }
    return fail(Code::io, "lmdb", mdb_strerror(code));
}

Result<void> put_batches(rocksdb_t* database, const rocksdb_writeoptions_t* how, const Source& source,
                         const PeerAppend& wanted, uint64_t first, uint64_t end, Histogram& latency) {
    rocksdb_writebatch_t* batch = rocksdb_writebatch_create();
    Result<void> result;
    for (uint64_t i = first; i < end && result;) {
        const int64_t began = system_clock().monotonic_ns();
        rocksdb_writebatch_clear(batch);
        for (uint32_t k = 0; k < wanted.records_each && i < end; ++k, ++i) {
            std::byte key[8];
            store_be(key, i);
            const std::string_view value = source.value(i);
            rocksdb_writebatch_put(batch, reinterpret_cast<const char*>(key), sizeof key, value.data(), value.size());
        }
        char* error = nullptr;
        rocksdb_write(database, how, batch, &error);
        result = rocksdb_said(error);
        latency.record(static_cast<uint64_t>(system_clock().monotonic_ns() - began));
    }
    rocksdb_writebatch_destroy(batch);
    return result;
}

}  // namespace

std::string peers_missing() { return {}; }

Result<Outcome> rocksdb_append(const std::string& directory, const PeerAppend& wanted) {
    const Source source(wanted.record_bytes);
    rocksdb_options_t* options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_memtable_vector_rep(options);
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
    rocksdb_options_set_write_buffer_size(options, size_t{4} << 30);
    rocksdb_options_set_disable_auto_compactions(options, 1);
    char* error = nullptr;
    rocksdb_t* database = rocksdb_open(options, (directory + "/rocksdb").c_str(), &error);
    TRY_VOID(rocksdb_said(error));
    rocksdb_writeoptions_t* how = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(how, wanted.sync ? 1 : 0);

    Outcome outcome;
    const uint64_t each = std::max<uint64_t>(1, wanted.records / wanted.threads);
    outcome.records = each * wanted.threads;
    outcome.bytes = outcome.records * wanted.record_bytes;
    std::vector<Histogram> latency(wanted.threads);
    std::vector<Result<void>> results(wanted.threads);
    const Stopwatch watch;
    {
        std::vector<std::jthread> threads;
        for (uint32_t thread = 0; thread < wanted.threads; ++thread) {
            threads.emplace_back([&, thread] {
                results[thread] =
                    put_batches(database, how, source, wanted, thread * each, (thread + 1) * each, latency[thread]);
            });
        }
    }
    rocksdb_flush_wal(database, 1, &error);
    watch.stop(outcome);
    TRY_VOID(rocksdb_said(error));
    for (const auto& result : results) { TRY_VOID(result); }
    for (const Histogram& part : latency) { outcome.latency_ns.merge(part); }
    outcome.hash = outcome.records;
    rocksdb_close(database);
    rocksdb_writeoptions_destroy(how);
    rocksdb_options_destroy(options);
    return outcome;
}

Result<Outcome> lmdb_append(const std::string& directory, const PeerAppend& wanted) {
    const Source source(wanted.record_bytes);
    std::filesystem::create_directories(directory + "/lmdb");
    MDB_env* environment = nullptr;
    TRY_VOID(lmdb_said(mdb_env_create(&environment)));
    TRY_VOID(lmdb_said(mdb_env_set_mapsize(environment, size_t{64} << 30)));
    TRY_VOID(lmdb_said(mdb_env_open(environment, (directory + "/lmdb").c_str(), wanted.sync ? 0 : MDB_NOSYNC, 0644)));
    Outcome outcome;
    outcome.records = wanted.records;
    outcome.bytes = wanted.records * wanted.record_bytes;
    const Stopwatch watch;
    MDB_dbi table = 0;
    for (uint64_t i = 0; i < wanted.records;) {
        const int64_t began = system_clock().monotonic_ns();
        MDB_txn* transaction = nullptr;
        TRY_VOID(lmdb_said(mdb_txn_begin(environment, nullptr, 0, &transaction)));
        if (table == 0) { TRY_VOID(lmdb_said(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table))); }
        for (uint32_t k = 0; k < wanted.records_each && i < wanted.records; ++k, ++i) {
            const std::string_view value = source.value(i);
            MDB_val key{sizeof i, &i};
            MDB_val data{value.size(), const_cast<char*>(value.data())};
            TRY_VOID(lmdb_said(mdb_put(transaction, table, &key, &data, MDB_APPEND)));
        }
        TRY_VOID(lmdb_said(mdb_txn_commit(transaction)));
        outcome.latency_ns.record(static_cast<uint64_t>(system_clock().monotonic_ns() - began));
    }
    TRY_VOID(lmdb_said(mdb_env_sync(environment, 1)));
    watch.stop(outcome);
    outcome.hash = outcome.records;
    mdb_env_close(environment);
    return outcome;
}

}  // namespace flowstone::bench
