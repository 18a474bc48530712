#!/usr/bin/env bash
# Kafka's own command-line tools: java_tools.sh BOOTSTRAP JARS. RESTART ends the broker and starts it again. Prints PASS or
# FAIL a step, and SAW with what a tool printed, without what differs from one run to the next, so that two brokers can
# be compared; exit status 1 when a step failed.
set -uo pipefail
bootstrap=$1
lib=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
cd "$work" || exit 1

tool() {  # tool CLASS ARGUMENTS...
    timeout 100 java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR -cp "$lib/*" "$@" 2>"$work/errors"
}
k() { tool "org.apache.kafka.tools.$1" --bootstrap-server "$bootstrap" "${@:2}"; }
topics() { k TopicCommand "$@"; }
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" "$@"; }
groups() { k consumer.group.ConsumerGroupCommand "$@"; }
offsets() { k GetOffsetShell --topic tools --time "$1"; }

step() {
    if "${@:2}" >"$work/out"; then
        echo "PASS $1"
    else
        echo "FAIL $1: $(cat "$work/errors" "$work/out" | tr '\n' ' ' | cut -c1-300)"
        failed=1
    fi
}
# saw: shows the last step's output.
saw() {
    sed -E -e "s/$bootstrap/BROKER/g" -e 's/TopicId: [A-Za-z0-9_-]+/TopicId: ID/' -e 's/[ \t]+/ /g' -e 's/ $//' \
        "$work/out" | grep -vE '^$|^[0-9-]+T|console-consumer|perf-consumer|log-cleaner-test' | sort | sed 's/^/SAW /' | cut -c1-400
}

version() { basename "$lib"/kafka-clients-*.jar .jar | sed 's/.*-/Kafka tools /'; }
echo "SAW $(version)"

broker_api_versions() { k BrokerApiVersionsCommand >out.versions && grep -q 'Produce(0): ' out.versions; }
step "kafka-broker-api-versions" broker_api_versions
step "kafka-topics --create" topics --create --topic tools --partitions 3 --config retention.ms=3600000
step "kafka-topics --describe" topics --describe --topic tools
saw
step "kafka-topics --alter" topics --alter --topic tools --partitions 4
again() { ! topics --create --topic tools && grep -qi "topic 'tools' already exists" "$work/errors" "$work/out"; }
step "kafka-topics: a topic is not created twice" again
step "kafka-configs --alter" configs --alter --entity-type topics --entity-name tools --add-config max.message.bytes=2000000
step "kafka-configs --alter, delete" configs --alter --entity-type topics --entity-name tools --delete-config retention.ms
step "kafka-configs --describe" configs --describe --entity-type topics --entity-name tools
saw
unknown() { ! configs --alter --entity-type topics --entity-name tools --add-config no.such=1; }
step "kafka-configs: an unknown config is refused" unknown
step "kafka-configs --describe of the broker" configs --describe --entity-type brokers --entity-name 1 --all

for i in $(seq 50); do echo "k$i:v$i"; done >lines
produce() {
    k ConsoleProducer --topic tools --reader-property parse.key=true --reader-property key.separator=: \
        --compression-codec "$1" <lines
}
for codec in none gzip snappy lz4 zstd; do step "kafka-console-producer, $codec" produce "$codec"; done
consume() {  # consume COUNT OPTION...
    k consumer.ConsoleConsumer --topic tools --max-messages "$1" --timeout-ms 15000 \
        --formatter-property print.key=true --formatter-property key.separator=: "${@:2}" >consumed
}
consumed_all() { consume 250 "$@" && diff <(sort -u lines) <(sort -u consumed) >&2 && [ "$(wc -l <consumed)" = 250 ]; }
step "kafka-console-consumer --from-beginning, in a group" consumed_all --from-beginning --group tools-group
step "the broker restarts" bash -c "$RESTART"
step "kafka-console-consumer after it" consumed_all --from-beginning

step "kafka-get-offsets, latest" offsets latest
saw
step "kafka-get-offsets, earliest" offsets earliest
saw
step "kafka-get-offsets, a time to come" offsets 4000000000000
saw
step "kafka-consumer-groups --list" groups --list
saw
step "kafka-consumer-groups --describe" groups --describe --group tools-group
saw
step "kafka-consumer-groups --describe --state" groups --describe --group tools-group --state
saw
step "kafka-consumer-groups --reset-offsets" groups --reset-offsets --group tools-group --topic tools --shift-by -3 --execute
saw
step "kafka-consumer-groups --delete-offsets" groups --delete-offsets --group tools-group --topic tools
saw
step "kafka-consumer-groups --delete" groups --delete --group tools-group
saw
echo '{"partitions": [{"topic": "tools", "partition": 0, "offset": 5}], "version": 1}' >delete.json
step "kafka-delete-records" k DeleteRecordsCommand --offset-json-file delete.json
saw
step "kafka-get-offsets, earliest after it" offsets earliest
saw

perf_producer() {
    k ProducerPerformance --topic perf --num-records 20000 --record-size 100 --throughput -1 >out.perf &&
        grep -q '^20000 records sent' out.perf
}
step "kafka-producer-perf-test" perf_producer
perf_consumer() { k ConsumerPerformance --topic perf --num-records 20000 --timeout 20000 >out.perf && grep -q ', 20000, ' out.perf; }
step "kafka-consumer-perf-test" perf_consumer
verifiable_producer() {
    k VerifiableProducer --topic verifiable --max-messages 500 --acks -1 >out.verifiable &&
        grep -q '"acked":500' out.verifiable
}
step "kafka-verifiable-producer" verifiable_producer
verifiable_consumer() {
    k VerifiableConsumer --topic verifiable --group-id verifiable --max-messages 500 --reset-policy earliest >out.verifiable &&
        grep -q offsets_committed out.verifiable
}
step "kafka-verifiable-consumer" verifiable_consumer
compatible() {
    topics --create --topic compatible --partitions 1 --replication-factor 1 >&2 &&
        k ClientCompatibilityTest --topic compatible --num-cluster-nodes 1 --offsets-for-times-supported true \
            --cluster-id-supported true --expect-record-too-large-exception false --create-topics-supported true \
            --describe-acls-supported true --describe-configs-supported true --idempotent-producer-supported true
}
step "ClientCompatibilityTest" compatible
step "LogCompactionTester" k LogCompactionTester --messages 2000 --topics 1 --percent-deletes 20 --sleep 1

step "kafka-log-dirs" k LogDirsCommand --describe --topic-list tools
step "kafka-metadata-quorum" k MetadataQuorumCommand describe --status
step "kafka-transactions list" k TransactionsCommand list
saw
step "kafka-cluster" tool org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "$bootstrap"
step "kafka-groups" k GroupsCommand --list
saw
for topic in tools perf verifiable compatible; do step "kafka-topics --delete $topic" topics --delete --topic "$topic"; done
step "kafka-topics --list" topics --list
exit "$failed"
