#!/usr/bin/env bash
# MirrorMaker 2 from a real Kafka into a broker and back: mirror.sh BOOTSTRAP JARS. The other Kafka is its own. Prints PASS
# or FAIL a step, and SAW with the topics that it made, so that two brokers can be compared.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bootstrap=$1
lib=$2
work=$(mktemp -d)
cd "$work" || exit 1
maker=
failed=0
end_all() {
    [ -z "$maker" ] || kill -9 "$maker" 2>/dev/null
    wait 2>/dev/null
    "$here/server" stop "$work/kafka"
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
tool() {
    timeout 100 java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR -cp "$lib/*" "$1" \
        --bootstrap-server "${@:2}" 2>>tool.log
}
topics() { tool org.apache.kafka.tools.TopicCommand "$@"; }
configs() { tool kafka.admin.ConfigCommand "$@"; }
produce() { seq "$3" "$4" | kcat -b "$1" -P -t "$2" 2>/dev/null; }
# has BROKER TOPIC COUNT: each number to that one, at least once.
has() { [ "$(timeout 10 kcat -b "$1" -C -t "$2" -o beginning -e -q 2>/dev/null | sort -nu | md5sum)" = "$(seq "$3" | md5sum)" ]; }
mirror() {
    java -Xmx400m -XX:TieredStopAtLevel=1 -Dlog4j2.level=WARN -cp "$lib/*" org.apache.kafka.connect.mirror.MirrorMaker \
        mirror.properties >>mirror.log 2>&1 &
    maker=$!
}

"$here/server" start "$work/kafka" kafka || exit 1
kafka=$(cat "$work/kafka/address")
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
offset.lag.max=0
refresh.topics.interval.seconds=2
refresh.groups.interval.seconds=2
emit.checkpoints.interval.seconds=2
sync.topic.configs.interval.seconds=2
sync.topic.acls.enabled=false
sync.group.offsets.enabled=true
sync.group.offsets.interval.seconds=2
consumer.auto.offset.reset=earliest
END
echo "SAW $(basename "$lib"/kafka-clients-*.jar .jar | sed 's/.*-/MirrorMaker of Kafka /')"

records() {
    topics "$kafka" --create --topic mirror-there --partitions 3 --config retention.ms=123456789 >made &&
        topics "$bootstrap" --create --topic mirror-here --partitions 3 --config retention.ms=123456789 >made &&
        produce "$kafka" mirror-there 1 500 && produce "$bootstrap" mirror-here 1 500
}
group() {  # group BROKER TOPIC: a group that has read it all
    [ "$(timeout 60 kcat -b "$1" -G mirror-group -X auto.offset.reset=earliest -q -c 500 "$2" 2>>kcat.log | wc -l)" = 500 ]
}
groups() { group "$kafka" mirror-there && group "$bootstrap" mirror-here; }
group_has() {  # group_has BROKER TOPIC: an offset behind the beginning of each partition
    tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$1" --describe --group mirror-group >group.there
    [ "$(awk -v topic="$2" '$2 == topic && $4 ~ /^[0-9]+$/ && $4 > 0' group.there | wc -l)" = 3 ]
}
altered() {
    configs "$1" --alter --entity-type topics --entity-name "$2" --add-config retention.ms=234567890 >made &&
        until_true has_config "$3" "$4"
}
has_config() { configs "$1" --describe --entity-type topics --entity-name "$2" | grep -q 'retention.ms=234567890'; }
again() {
    kill -9 "$maker"
    wait "$maker" 2>/dev/null
    produce "$kafka" mirror-there 501 600 && produce "$bootstrap" mirror-here 501 600 && mirror
}
step "records and groups on both" eval 'records && groups'
mirror
step "from Kafka to ours" until_true has "$bootstrap" kafka.mirror-there 500
step "from ours to Kafka" until_true has "$kafka" ours.mirror-here 500
step "a group's offsets from Kafka to ours" until_true group_has "$bootstrap" kafka.mirror-there
step "a group's offsets from ours to Kafka" until_true group_has "$kafka" ours.mirror-here
step "altered configs from Kafka to ours" altered "$kafka" mirror-there "$bootstrap" kafka.mirror-there
step "altered configs from ours to Kafka" altered "$bootstrap" mirror-here "$kafka" ours.mirror-here
step "it is killed, and begins again" again
step "it goes on from Kafka to ours" until_true has "$bootstrap" kafka.mirror-there 600
step "it goes on from ours to Kafka" until_true has "$kafka" ours.mirror-here 600
# Kafka writes min.insync.replicas=1 into the configs of every topic.
topics "$bootstrap" --describe --topic 'kafka[.].*|mm2.*|heartbeats|.*[.]internal' | grep PartitionCount | sort |
    sed -E -e 's/TopicId: [A-Za-z0-9_-]+/TopicId: ID/' -e 's/min.insync.replicas=1,?//' -e 's/,$//' -e 's/[ \t]+/ /g' \
        -e 's/ $//' -e 's/^/SAW /'
exit "$failed"
