#!/usr/bin/env python3
"""Makes the seeds of message_fuzz: make_message_corpus.py SCHEMAS, a directory with Kafka's message schemas.

Checked in; run again to change them. One file for each message of the apis below, at its last version, and at its first
where that has the old forms. Values come from a fixed seed.
"""
import json
import pathlib
import random
import sys

FUZZ = pathlib.Path(__file__).parent
sys.path.insert(0, str(FUZZ.parent / "net" / "kafka"))
import schema_oracle as oracle  # noqa: E402

APIS = """Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup SyncGroup DescribeGroups
    ApiVersions CreateTopics DeleteTopics DescribeConfigs SaslAuthenticate DescribeTopicPartitions
    ConsumerGroupHeartbeat StreamsGroupHeartbeat DescribeClientQuotas AddPartitionsToTxn""".split()
BOTH_FORMS = "Produce Fetch Metadata JoinGroup CreateTopics".split()


class ShortMaker(oracle.Maker):
    """Nothing long: a fuzzer learns more from short inputs."""

    def value(self, field):
        value = super().value(field)
        return value[:5] if field.kind in ("string", "bytes", "records") and value is not None else value


def main():
    target = FUZZ / "corpus" / "message_fuzz"
    target.mkdir(parents=True, exist_ok=True)
    for api in APIS:
        for kind in ("Request", "Response"):
            text = (pathlib.Path(sys.argv[1]) / f"{api}{kind}.json").read_text()
            message = oracle.Message(json.loads(oracle.strip_comments(text)))
            versions = {message.versions.high} | ({message.versions.low} if api in BOTH_FORMS else set())
            for version in versions:
                rng = random.Random(f"{message.name} {version}")
                writer = oracle.Writer(version, version in message.flexible, oracle.strange_fields(rng))
                values = ShortMaker(rng, version).struct(message.fields)
                head = bytes([message.key | (0x80 if kind == "Response" else 0), version - message.versions.low])
                body = writer.struct(message.fields, values)
                (target / f"{oracle.snake(message.name)}_{version}").write_bytes(head + body)


if __name__ == "__main__":
    main()
