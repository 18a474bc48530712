import java.nio.file.Files;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams counts records by their values and window, at least once: Streams BOOTSTRAP. Values are not what the records
 * were partitioned by, so they go through a repartition topic, which Streams purges. Its store must come back from its
 * changelog after the broker was restarted (RESTART in the environment) and its own directory is gone. SAW tells of the
 * topics that Streams made, so that two brokers can be compared.
 */
public final class Streams {
    private static final int KEYS = 3;
    private static final int WINDOWS = 4;
    private static final int EACH = 10;
    private static final long WINDOW_MS = 10_000;
    private static final long BEGIN = (System.currentTimeMillis() / WINDOW_MS - 360) * WINDOW_MS; // no retention is over
    private static final String REPARTITION = "streams-app-by-value-repartition";
    private static final String CHANGELOG = "streams-app-counts-changelog";

    private static String bootstrap;
    private static boolean failed;

    private interface Check { boolean holds() throws Exception; }

    private static void step(String name, Check check) {
        String why = "";
        try {
            for (long end = System.currentTimeMillis() + 60_000; System.currentTimeMillis() < end; Thread.sleep(100)) {
                if (check.holds()) {
                    System.out.println("PASS " + name);
                    return;
                }
            }
            why = "not within 60 s";
        } catch (Exception error) {
            why = error.toString();
        }
        failed = true;
        System.out.println("FAIL " + name + ": " + why);
    }

    private static Properties settings(String... more) {
        Properties made = new Properties();
        made.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) { made.put(more[i], more[i + 1]); }
        return made;
    }

    private static KafkaStreams start() throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        var window = Duration.ofMillis(WINDOW_MS);
        var store = Stores.inMemoryWindowStore("counts", Duration.ofDays(1), window, false);
        builder.stream("streams-in", Consumed.with(Serdes.String(), Serdes.String()))
                .groupBy((key, value) -> value, Grouped.with("by-value", Serdes.String(), Serdes.String()))
                .windowedBy(TimeWindows.ofSizeAndGrace(window, Duration.ofHours(1)))
                .count(Materialized.<String, Long>as(store).withKeySerde(Serdes.String()))
                .toStream()
                .map((key, count) -> KeyValue.pair(key.key() + "@" + (key.window().start() - BEGIN), count))
                .to("streams-out", Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings("application.id", "streams-app",
                "commit.interval.ms", "200", "repartition.purge.interval.ms", "100", "processing.guarantee", "at_least_once", "state.dir",
                Files.createTempDirectory("streams").toString()));
        streams.start();
        return streams;
    }

    private static Map<TopicPartition, Long> offsets(Admin admin, OffsetSpec which) throws Exception {
        int partitions = admin.describeTopics(List.of(REPARTITION)).allTopicNames().get().get(REPARTITION).partitions().size();
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int i = 0; i < partitions; i++) { asked.put(new TopicPartition(REPARTITION, i), which); }
        Map<TopicPartition, Long> found = new HashMap<>();
        admin.listOffsets(asked).all().get().forEach((partition, told) -> found.put(partition, told.offset()));
        return found;
    }

    private static long total(Map<TopicPartition, Long> offsets) {
        return offsets.values().stream().mapToLong(Long::longValue).sum();
    }

    // Each partition that ever had records begins behind some of them.
    private static boolean purged(Admin admin) throws Exception {
        var begins = offsets(admin, OffsetSpec.earliest());
        return total(begins) > 0 && offsets(admin, OffsetSpec.latest()).entrySet().stream()
                .allMatch(end -> end.getValue() == 0 || begins.get(end.getKey()) > 0);
    }

    private static String config(Admin admin, String topic, String name) throws Exception {
        var owner = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(owner)).all().get().get(owner).get(name).value();
    }

    private static void produce(int windows) throws Exception {
        try (var producer = new KafkaProducer<>(settings(), new StringSerializer(), new StringSerializer())) {
            for (int window = 0; window < windows; window++) {
                for (int i = 0; i < KEYS * EACH; i++) {
                    producer.send(new ProducerRecord<>("streams-in", null, BEGIN + window * WINDOW_MS + i, "r" + i, "k" + i % KEYS));
                }
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        System.out.println("SAW Kafka Streams " + AppInfoParser.getVersion());
        Map<String, Long> counts = new TreeMap<>();
        Map<String, Long> expected = new TreeMap<>();
        try (Admin admin = Admin.create(settings());
             var consumer = new KafkaConsumer<>(settings("group.id", "streams-reader", "auto.offset.reset", "earliest"),
                     new StringDeserializer(), new LongDeserializer())) {
            admin.createTopics(List.of(new NewTopic("streams-in", 2, (short) 1), new NewTopic("streams-out", 1, (short) 1)))
                    .all().get();
            consumer.subscribe(List.of("streams-out"));
            Check counted = () -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> counts.put(record.key(), record.value()));
                return counts.equals(expected);
            };
            for (int key = 0; key < KEYS; key++) {
                for (int window = 0; window < WINDOWS; window++) {
                    expected.put("k" + key + "@" + window * WINDOW_MS, (long) EACH);
                }
            }
            produce(WINDOWS);
            KafkaStreams streams = start();
            step("windows are counted", counted);
            step("the repartition topic is purged", () -> purged(admin));
            step("the changelog is compacted and deleted", () -> config(admin, CHANGELOG, "cleanup.policy").equals("compact,delete"));
            for (String topic : List.of(REPARTITION, CHANGELOG)) {
                for (String name : List.of("cleanup.policy", "retention.ms", "segment.bytes", "message.timestamp.type")) {
                    System.out.println("SAW " + topic + ": " + name + "=" + config(admin, topic, name));
                }
            }
            var purgedTo = offsets(admin, OffsetSpec.earliest());
            streams.close(Duration.ofSeconds(20));

            step("the broker restarts", () ->
                    new ProcessBuilder("bash", "-c", System.getenv("RESTART")).inheritIO().start().waitFor() == 0);
            streams = start();
            expected.replaceAll((key, count) -> key.endsWith("@0") ? count + EACH : count);
            produce(1);
            step("the store comes back from its changelog", counted);
            step("the repartition topic is purged further", () -> purged(admin) &&
                    total(offsets(admin, OffsetSpec.earliest())) > total(purgedTo));
            streams.close(Duration.ofSeconds(20));
        }
        System.exit(failed ? 1 : 0);
    }
}
