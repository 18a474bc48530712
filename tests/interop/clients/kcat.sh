#!/usr/bin/env bash
# kcat as people use it at a prompt: kcat.sh BOOTSTRAP. RESTART ends the broker and starts it again. Prints PASS or FAIL a
# step; exit status 1 when one failed.
set -uo pipefail
bootstrap=$1
work=$(mktemp -d)
members=()
failed=0

cleanup() {
    local id
    for id in "${members[@]}"; do kill "$id" 2>/dev/null; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT

k() { timeout 30 kcat -b "$bootstrap" "$@" 2>>"$work/errors"; }
step() {
    if "${@:2}"; then
        echo "PASS $1"
    else
        echo "FAIL $1: $(tail -n 2 "$work/errors" 2>/dev/null | tr '\n' ' ')"
        failed=1
    fi
}
# until_true COMMAND...: within 30 s.
until_true() {
    local _
    for _ in $(seq 300); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

echo "SAW $(kcat -V 2>&1 | sed -n 's/^Version \([0-9.]*\).*librdkafka \([0-9.]*\).*/kcat \1 on librdkafka \2/p')"

# The codecs' records, in partition 0 so that their order is that of sending.
: >"$work/sent"
produce() {
    local codec=$1 acks i
    for acks in 0 1 all; do
        for i in $(seq 10); do echo "$codec-$acks:$i"; done >"$work/some"
        k -P -t kcat-codecs -p 0 -K: -z "$codec" -X "acks=$acks" <"$work/some" || return 1
        tr : ' ' <"$work/some" >>"$work/sent"
        # With acks=0 nothing says when the records are there, and the next producer must not overtake them.
        until_true ends_at "$(wc -l <"$work/sent")" || return 1
    done
}
ends_at() { [ "$(k -Q -t kcat-codecs:0:-1)" = "kcat-codecs [0] offset $1" ]; }
for codec in none gzip snappy lz4 zstd; do step "produce $codec, acks 0, 1, all" produce "$codec"; done

from_beginning() {
    k -C -t kcat-codecs -p 0 -o beginning -e -q -f '%k %s\n' >"$work/got" && cmp -s "$work/sent" "$work/got"
}
step "consume from the beginning" from_beginning

from_time() {
    sleep 0.01
    local now
    now=$(date +%s%3N)
    k -P -t kcat-codecs -p 0 <<<"later" || return 1
    echo " later" >>"$work/sent"
    [ "$(k -Q -t "kcat-codecs:0:$now")" = "kcat-codecs [0] offset 150" ] || return 1
    [ "$(k -C -t kcat-codecs -p 0 -o "s@$now" -e -q -f '%o %s\n')" = "150 later" ]
}
step "consume from a time" from_time

lists() {
    k -L -J | python3 -c '
import json, sys
seen = json.load(sys.stdin)
topic = [t for t in seen["topics"] if t["topic"] == "kcat-codecs"][0]
assert topic["partitions"][0] == {"partition": 0, "leader": 1, "replicas": [{"id": 1}], "isrs": [{"id": 1}]}, topic
assert len(seen["brokers"]) == 1 and seen["controllerid"] == 1, seen' 2>>"$work/errors"
}
step "list and describe" lists

# Three members of a group on a topic whose only partition one of them has; when that one goes another goes on.
member() {
    kcat -b "$bootstrap" -G kcat-group -X auto.offset.reset=earliest -X heartbeat.interval.ms=300 \
        -X session.timeout.ms=6000 -X auto.commit.interval.ms=200 -u -f '%s\n' kcat-shared \
        >"$work/member$1" 2>"$work/member$1.log" &
    members+=($!)
}
read_by_all() { [ "$(sort -u "$work"/member? | grep -c "^$1")" = "$2" ]; }
owners() { grep -l 'assigned: kcat-shared' "$work"/member?.log 2>/dev/null | wc -l; }
group() {
    seq -f 'first%g' 20 | k -P -t kcat-shared || return 1
    member a
    until_true read_by_all first 20 || return 1
    member b
    member c
    until_true test -s "$work/memberb.log" || return 1
    kill -INT "${members[0]}" && wait "${members[0]}"
    seq -f 'second%g' 20 | k -P -t kcat-shared || return 1
    until_true read_by_all second 20
}
step "a group of three, the first of which leaves" group

restart() {
    local id
    for id in "${members[@]}"; do kill -INT "$id" 2>/dev/null; done
    wait "${members[@]}" 2>/dev/null
    members=()
    $RESTART
}
step "the broker restarts" restart
step "everything is there after the restart" from_beginning
goes_on() {
    echo third1 | k -P -t kcat-shared || return 1
    member d
    until_true test -s "$work/memberd" && [ "$(cat "$work/memberd")" = third1 ]
}
step "a member goes on where the group committed" goes_on
exit "$failed"
