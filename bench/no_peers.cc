#include "bench/peers.h"

namespace flowstone::bench {

std::string peers_missing() {
    return "RocksDB and LMDB are not part of this build (-DFLOWSTONE_BENCH_PEERS=ON with librocksdb-dev and "
           "liblmdb-dev; ./dev bench --peers sees to it)";
}
Result<Outcome> rocksdb_append(const std::string&, const PeerAppend&) { return fail(Code::unsupported, "rocksdb"); }
Result<Outcome> lmdb_append(const std::string&, const PeerAppend&) { return fail(Code::unsupported, "lmdb"); }

}  // namespace flowstone::bench
