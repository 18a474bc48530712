#!/usr/bin/env python3
"""Makes the seeds of connection_fuzz: make_connection_corpus.py SCHEMAS, a directory with Kafka's message schemas.

Checked in; run again to change them. Each is a conversation of a few whole requests about one topic and one group, at
the first or at the last version of each that the broker serves. Values come from a fixed seed.
"""
import json
import pathlib
import random
import struct
import sys

FUZZ = pathlib.Path(__file__).parent
sys.path.insert(0, str(FUZZ.parent / "net" / "kafka"))
import schema_oracle as oracle  # noqa: E402

CONVERSATIONS = {
    "topics": "ApiVersions Metadata CreateTopics CreatePartitions DescribeTopicPartitions DeleteTopics",
    "records": "CreateTopics Produce Fetch ListOffsets OffsetForLeaderEpoch DeleteRecords DescribeProducers",
    "group": "FindCoordinator JoinGroup SyncGroup Heartbeat LeaveGroup DescribeGroups ListGroups DeleteGroups",
    "offsets": "FindCoordinator CreateTopics OffsetCommit OffsetFetch OffsetDelete",
    "configs": "CreateTopics DescribeConfigs AlterConfigs IncrementalAlterConfigs ListConfigResources",
    "admin": "InitProducerId DescribeCluster DescribeLogDirs DescribeQuorum ElectLeaders DescribeAcls DescribeClientQuotas",
}
CAPS = {"InitProducerId": 5}  # the last one is not stable


class NamedMaker(oracle.Maker):
    """One topic, one group, small numbers: so that requests are about what the ones before made."""

    def value(self, field):
        value = super().value(field)
        if field.kind == "string":
            return "g" if "roup" in field.name else "t"
        if field.kind in ("bytes", "records"):
            return value[:5]
        if field.kind in ("int16", "int32", "int64"):
            return self.rng.choice((-1, 0, 0, 1, 1, 10))
        return value


def request(schemas, name, version_of, rng):
    message = oracle.Message(json.loads(oracle.strip_comments((schemas / f"{name}Request.json").read_text())))
    version = min(version_of(message.versions), CAPS.get(name, 99))
    flexible = version in message.flexible
    body = oracle.Writer(version, flexible).struct(message.fields, NamedMaker(rng, version).struct(message.fields))
    head = struct.pack(">hhih", message.key, version, 1, 1) + b"c" + (b"\0" if flexible else b"")
    return head + body


def main():
    schemas = pathlib.Path(sys.argv[1])
    target = FUZZ / "corpus" / "connection_fuzz"
    target.mkdir(parents=True, exist_ok=True)
    for name, apis in CONVERSATIONS.items():
        for end, version_of in (("first", lambda all: all.low), ("last", lambda all: all.high)):
            for number in range(3):
                rng = random.Random(f"{name} {end} {number}")
                out = b""
                for api in apis.split():
                    frame = request(schemas, api, version_of, rng)
                    out += struct.pack(">H", len(frame)) + frame
                (target / f"{name}_{end}_{number}").write_bytes(out)
    (target / "half_frame").write_bytes(struct.pack(">H", 0x8003) + b"\0\0\0")
    (target / "huge_frame").write_bytes(struct.pack(">H", 0x8004) + struct.pack(">i", 100 << 20))


if __name__ == "__main__":
    main()
