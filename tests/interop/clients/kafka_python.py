"""Adapter of kafka-python."""
import logging
import sys

import kafka
import kafka.codec
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import TopicPartition

from adapter import Adapter, Member, Unsupported, gather, serve

logging.basicConfig(level=logging.ERROR)


class KafkaPython(Adapter):
    # One for each command: its connection would not survive the restart of the broker.
    @property
    def admin(self):
        return KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def hello(self):
        return [f"kafka-python {kafka.__version__}"]

    def create(self, topic, partitions):
        self.admin.create_topics([NewTopic(topic, int(partitions), 1)])

    def codecs(self):
        return ["none"] + [name for name in ("gzip", "snappy", "lz4", "zstd") if getattr(kafka.codec, f"has_{name}")()]

    def produce(self, topic, partitions, codec, acks, prefix, count, time_ms):
        producer = kafka.KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=20,
                                       compression_type=None if codec == "none" else codec,
                                       acks=acks if acks == "all" else int(acks))
        sent = [producer.send(topic, key=f"{prefix}-{i}".encode(), value=b"v" * 100, partition=i % int(partitions),
                              timestamp_ms=int(time_ms) + i) for i in range(int(count))]
        for future in sent:
            future.get(20)
        producer.close(10)

    def read(self, topic, partitions, from_ms, count):
        consumer = kafka.KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        places = [TopicPartition(topic, p) for p in range(int(partitions))]
        consumer.assign(places)
        if from_ms == "-2":
            consumer.seek_to_beginning()
        else:
            for place, found in consumer.offsets_for_times({place: int(from_ms) for place in places}).items():
                consumer.seek(place, found.offset)
        records = gather(int(count), 20, lambda: self.polled(consumer))
        consumer.close()
        return [f"{p} {o} {k}" for p, o, k in records]

    @staticmethod
    def polled(consumer):
        return [(record.partition, record.offset, record.key.decode())
                for records in consumer.poll(100).values() for record in records]

    def new_member(self, group, topic):
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=self.bootstrap, group_id=group,
                                       auto_offset_reset="earliest", enable_auto_commit=False,
                                       heartbeat_interval_ms=300, session_timeout_ms=6000)
        return Member(consumer, self.polled, lambda c: [place.partition for place in c.assignment()],
                      lambda c: c.commit())

    def committed(self, group, topic, partitions):
        found = self.admin.list_consumer_group_offsets(group)
        return [f"{place.partition} {found[place].offset}" for place in found if place.topic == topic]

    def topics(self):
        return self.admin.list_topics()

    def partitions(self, topic):
        return [str(len(self.admin.describe_topics([topic])[0]["partitions"]))]

    def groups(self):
        return [group for group, _ in self.admin.list_consumer_groups()]

    def delete(self, topic):
        self.admin.delete_topics([topic])

    def delete_group(self, group):
        for _, error in self.admin.delete_consumer_groups([group]):
            if error.errno:
                raise error

    def transaction(self, topic):
        raise Unsupported()


serve(KafkaPython(sys.argv[1]))
