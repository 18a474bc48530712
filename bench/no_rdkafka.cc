#include "bench/rdkafka.h"

namespace flowstone::bench {

std::string rdkafka_missing() { return "no librdkafka: built without it (librdkafka-dev)"; }
Result<Outcome> rdkafka_produce(const RdkafkaLoad& /*load*/) { return fail(Code::unsupported, "bench.rdkafka"); }
Result<Outcome> rdkafka_consume(const RdkafkaLoad& /*load*/) { return fail(Code::unsupported, "bench.rdkafka"); }

}  // namespace flowstone::bench
