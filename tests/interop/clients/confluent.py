"""Adapter of confluent-kafka, Python's binding of librdkafka."""
import sys
import time

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

from adapter import Adapter, Member, Unsupported, gather, serve


def record(message):
    return message.partition(), message.offset(), message.key().decode()


class Confluent(Adapter):
    def __init__(self, bootstrap):
        super().__init__(bootstrap)
        self.admin = AdminClient(self.config())

    def config(self, **more):
        return {"bootstrap.servers": self.bootstrap, **{name.replace("_", "."): value for name, value in more.items()}}

    def hello(self):
        return [f"confluent-kafka {ck.version()[0]} on librdkafka {ck.libversion()[0]}"]

    def create(self, topic, partitions):
        for future in self.admin.create_topics([NewTopic(topic, int(partitions), 1)]).values():
            future.result(10)

    def codecs(self):
        return ["none", "gzip", "snappy", "lz4", "zstd"]

    def produce(self, topic, partitions, codec, acks, prefix, count, time_ms):
        producer = ck.Producer(self.config(compression_type=codec, acks=acks, linger_ms=20))
        errors = []
        for i in range(int(count)):
            producer.produce(topic, key=f"{prefix}-{i}", value="v" * 100, partition=i % int(partitions),
                             timestamp=int(time_ms) + i, on_delivery=lambda error, _: error and errors.append(error))
        left = producer.flush(20)
        if left or errors:
            raise RuntimeError(f"{left} not delivered {errors[:1]}")

    def read(self, topic, partitions, from_ms, count):
        consumer = ck.Consumer(self.config(group_id="reader", enable_auto_commit=False))
        places = [ck.TopicPartition(topic, p, int(from_ms)) for p in range(int(partitions))]
        consumer.assign(places if from_ms == "-2" else consumer.offsets_for_times(places, timeout=10))
        records = gather(int(count), 20, lambda: self.polled(consumer))
        consumer.close()
        return [f"{p} {o} {k}" for p, o, k in records]

    @staticmethod
    def polled(consumer):
        records = []
        for message in consumer.consume(100, 0.1):
            if message.error():
                raise ck.KafkaException(message.error())
            records.append(record(message))
        return records

    def new_member(self, group, topic):
        consumer = ck.Consumer(self.config(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                           heartbeat_interval_ms=300, session_timeout_ms=6000))
        consumer.subscribe([topic])
        return Member(consumer, self.polled, lambda c: [place.partition for place in c.assignment()], self.commit_read)

    # Without a record since the assignment there is nothing to commit, which librdkafka calls an error.
    @staticmethod
    def commit_read(consumer):
        try:
            consumer.commit(asynchronous=False)
        except ck.KafkaException as error:
            if error.args[0].code() != ck.KafkaError._NO_OFFSET:
                raise

    def committed(self, group, topic, partitions):
        consumer = ck.Consumer(self.config(group_id=group))
        places = consumer.committed([ck.TopicPartition(topic, p) for p in range(int(partitions))], timeout=10)
        consumer.close()
        return [f"{place.partition} {place.offset}" for place in places]

    def topics(self):
        return list(self.admin.list_topics(timeout=10).topics)

    def partitions(self, topic):
        return [str(len(self.admin.list_topics(topic, timeout=10).topics[topic].partitions))]

    def groups(self):
        return [group.id for group in self.admin.list_groups(timeout=10)]

    def delete(self, topic):
        for future in self.admin.delete_topics([topic]).values():
            future.result(10)

    def delete_group(self, group):
        if not hasattr(self.admin, "delete_consumer_groups"):
            raise Unsupported()
        for future in self.admin.delete_consumer_groups([group]).values():
            future.result(10)

    def transaction(self, topic):
        producer = ck.Producer(self.config(transactional_id="t"))
        began = time.monotonic()
        try:
            producer.init_transactions(20)
        except ck.KafkaException as error:
            return [f"{error.args[0].name()}: {error.args[0].str()}"]
        raise RuntimeError(f"init_transactions went well after {time.monotonic() - began:.1f} s")


serve(Confluent(sys.argv[1]))
