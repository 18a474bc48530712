#!/usr/bin/env bash
# Kafka Connect, distributed: connect.sh BOOTSTRAP JARS. A file is read into a topic and the topic written to a file; the
# worker that does it is killed, and a second one takes over from the three compacted topics. Prints PASS or FAIL a step,
# and SAW with those topics, so that two brokers can be compared.
set -uo pipefail
bootstrap=$1
lib=$2
work=$(mktemp -d)
cd "$work" || exit 1
workers=()
failed=0
end_all() {
    local id
    for id in "${workers[@]}"; do kill -9 "$id" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$work"
}
trap end_all EXIT

step() {
    if "${@:2}"; then echo "PASS $1"; else
        echo "FAIL $1: $(grep -hE 'ERROR|Exception' "$work"/*.log | tail -n 2 | tr '\n' ' ' | cut -c1-400)"
        failed=1
    fi
}
until_true() {
    local _
    for _ in $(seq 300); do
        "$@" && return
        sleep 0.3
    done
    return 1
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

worker() {  # worker NAME: $port
    port=$(free_port)
    cat >"$1.properties" <<END
bootstrap.servers=$bootstrap
group.id=connect-workers
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.topic=connect-offsets
config.storage.topic=connect-configs
status.storage.topic=connect-status
offset.storage.replication.factor=1
config.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=2
status.storage.partitions=1
offset.flush.interval.ms=500
heartbeat.interval.ms=500
session.timeout.ms=6000
scheduled.rebalance.max.delay.ms=0
listeners=HTTP://127.0.0.1:$port
plugin.discovery=service_load
END
    java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=WARN -cp "$lib/*" \
        org.apache.kafka.connect.cli.ConnectDistributed "$1.properties" >"$1.log" 2>&1 &
    workers+=($!)
    until_true rest GET / >answer
}
rest() {  # rest METHOD PATH [JSON]
    python3 - "http://127.0.0.1:$port$2" "$1" "${3:-}" 2>/dev/null <<'END'
import sys, urllib.request
url, method, body = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, {"Content-Type": "application/json"}, method=method)
print(urllib.request.urlopen(request, timeout=20).read().decode())
END
}
connectors() {
    rest PUT /connectors/source/config '{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "tasks.max": "1", "file": "'"$work"'/in", "topic": "connect-lines"}' >answer &&
        rest PUT /connectors/sink/config '{"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "tasks.max": "1", "file": "'"$work"'/out", "topics": "connect-lines",
        "consumer.override.auto.offset.reset": "earliest"}' >answer
}
flowed() { [ "$(sort -u out 2>/dev/null | wc -l)" = "$1" ] && diff <(sort in) <(sort -u out) >/dev/null; }
running() { rest GET /connectors/sink/status | grep -q '"tasks":\[{"id":0,"state":"RUNNING"'; }
compacted() {
    java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR -cp "$lib/*" org.apache.kafka.tools.TopicCommand \
        --bootstrap-server "$bootstrap" --describe --topic 'connect-(offsets|configs|status)' >described
    [ "$(grep -c cleanup.policy=compact described)" = 3 ]
}

echo "SAW $(basename "$lib"/kafka-clients-*.jar .jar | sed 's/.*-/Kafka Connect /')"
seq 100 >in
step "a worker starts" worker first
step "connectors are made" until_true connectors
step "lines flow from file to topic to file" until_true flowed 100
step "its three topics are compacted" compacted
# Kafka writes min.insync.replicas=1 into the configs of every topic.
grep PartitionCount described | sort | sed -E -e 's/TopicId: [A-Za-z0-9_-]+/TopicId: ID/' -e 's/min.insync.replicas=1,?//' \
    -e 's/,$//' -e 's/[ \t]+/ /g' -e 's/ $//' -e 's/^/SAW /'
step "a second worker joins" worker second
kill -9 "${workers[0]}"
seq 101 200 >>in
step "it takes over when the first is killed" until_true flowed 200
step "the status says so" until_true running
exit "$failed"
