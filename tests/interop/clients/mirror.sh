#!/usr/bin/env bash
# MirrorMaker 2 from a real Kafka into a broker and back: mirror.sh BOOTSTRAP KAFKA JARS. Prints PASS or FAIL a step.
set -uo pipefail
bootstrap=$1
kafka=$2
lib=$3
work=$(mktemp -d)
cd "$work" || exit 1
maker=
failed=0
end_all() {
    [ -z "$maker" ] || kill -9 "$maker" 2>/dev/null
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
produce() { seq "$3" | kcat -b "$1" -P -t "$2" 2>/dev/null; }
has() { [ "$(timeout 10 kcat -b "$1" -C -t "$2" -o beginning -e -q 2>/dev/null | sort -n | md5sum)" = "$(seq "$3" | md5sum)" ]; }

cat >mirror.properties <<END
clusters=kafka,ours
kafka.bootstrap.servers=$kafka
ours.bootstrap.servers=$bootstrap
kafka->ours.enabled=true
ours->kafka.enabled=true
topics=mirror-.*
groups=mirror-.*
replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
offset.storage.replication.factor=1
config.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=2
refresh.topics.interval.seconds=2
refresh.groups.interval.seconds=2
emit.checkpoints.interval.seconds=2
sync.topic.acls.enabled=false
sync.group.offsets.enabled=true
consumer.auto.offset.reset=earliest
END
echo "SAW $(basename "$lib"/kafka-clients-*.jar .jar | sed 's/.*-/MirrorMaker of Kafka /')"
step "records into both" eval 'produce "$kafka" mirror-there 500 && produce "$bootstrap" mirror-here 500'
java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=WARN -cp "$lib/*" org.apache.kafka.connect.mirror.MirrorMaker \
    mirror.properties >mirror.log 2>&1 &
maker=$!
step "from Kafka to ours" until_true has "$bootstrap" kafka.mirror-there 500
step "from ours to Kafka" until_true has "$kafka" ours.mirror-here 500
exit "$failed"
