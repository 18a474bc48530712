import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.AppInfoParser;

/** Adapter of Kafka's own Java clients; scenario.py says what the commands are. */
public final class Adapter {
    private static final String STRING = "org.apache.kafka.common.serialization.StringSerializer";
    private static final String FROM_STRING = "org.apache.kafka.common.serialization.StringDeserializer";

    private final String bootstrap;
    private final Admin admin;
    private final Map<String, Member> members = new HashMap<>();

    private Adapter(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(settings());
    }

    private Properties settings(String... more) {
        Properties made = new Properties();
        made.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) { made.put(more[i], more[i + 1]); }
        return made;
    }

    private KafkaConsumer<String, String> consumer(String... more) {
        Properties made = settings(more);
        made.put("key.deserializer", FROM_STRING);
        made.put("value.deserializer", FROM_STRING);
        made.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(made);
    }

    private static String line(ConsumerRecord<String, String> record) {
        return record.partition() + " " + record.offset() + " " + record.key();
    }

    /** A consumer on a thread of its own, as programs have it. */
    private static final class Member extends Thread {
        final KafkaConsumer<String, String> consumer;
        private final List<String> records = new ArrayList<>();
        private Set<TopicPartition> assigned = Set.of();
        private boolean commit;
        private boolean end;
        private RuntimeException error;

        Member(KafkaConsumer<String, String> consumer) {
            this.consumer = consumer;
            start();
        }

        @Override
        public void run() {
            try (consumer) {
                while (true) {
                    var polled = consumer.poll(Duration.ofMillis(100));
                    synchronized (this) {
                        polled.forEach(record -> records.add(line(record)));
                        assigned = new HashSet<>(consumer.assignment());
                        if (commit) { consumer.commitSync(); }
                        commit = false;
                        notifyAll();
                        if (end) { return; }
                    }
                }
            } catch (RuntimeException failed) {
                synchronized (this) {
                    error = failed;
                    notifyAll();
                }
            }
        }

        private void check() {
            if (error != null) { throw error; }
        }
        synchronized List<String> drain() {
            check();
            List<String> drained = new ArrayList<>(records);
            records.clear();
            return drained;
        }
        synchronized List<String> partitions() {
            check();
            return assigned.stream().map(place -> String.valueOf(place.partition())).sorted().toList();
        }
        synchronized List<String> commitNow() throws InterruptedException {
            commit = true;
            while (commit && error == null) { wait(); }
            check();
            return List.of();
        }
        List<String> leave() throws InterruptedException {
            synchronized (this) { end = true; }
            join();
            check();
            return List.of();
        }
    }

    private List<String> produce(String[] words) throws Exception {
        Properties settings = settings("compression.type", words[3], "acks", words[4], "linger.ms", "20",
                "enable.idempotence", String.valueOf(words[4].equals("all")), "key.serializer", STRING, "value.serializer", STRING);
        try (var producer = new KafkaProducer<String, String>(settings)) {
            List<Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < Integer.parseInt(words[6]); i++) {
                sent.add(producer.send(new ProducerRecord<>(words[1], i % Integer.parseInt(words[2]),
                        Long.parseLong(words[7]) + i, words[5] + "-" + i, "v".repeat(100))));
            }
            for (Future<?> each : sent) { each.get(); }
        }
        return List.of();
    }

    private static List<TopicPartition> places(String topic, String partitions) {
        List<TopicPartition> places = new ArrayList<>();
        for (int p = 0; p < Integer.parseInt(partitions); p++) { places.add(new TopicPartition(topic, p)); }
        return places;
    }

    private List<String> read(String[] words) {
        List<String> lines = new ArrayList<>();
        try (var consumer = consumer()) {
            List<TopicPartition> places = places(words[1], words[2]);
            consumer.assign(places);
            if (words[3].equals("-2")) {
                consumer.seekToBeginning(places);
            } else {
                Map<TopicPartition, Long> times = new HashMap<>();
                for (TopicPartition place : places) { times.put(place, Long.parseLong(words[3])); }
                for (Map.Entry<TopicPartition, OffsetAndTimestamp> found : consumer.offsetsForTimes(times).entrySet()) {
                    consumer.seek(found.getKey(), found.getValue().offset());
                }
            }
            // A moment longer than it takes, to see whether there are too many.
            boolean all = false;
            for (long until = System.currentTimeMillis() + 20_000; System.currentTimeMillis() < until;) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> lines.add(line(record)));
                if (!all && lines.size() >= Integer.parseInt(words[4])) {
                    all = true;
                    until = System.currentTimeMillis() + 200;
                }
            }
        }
        return lines;
    }

    private List<String> join(String[] words) {
        var consumer = consumer("group.id", words[2], "auto.offset.reset", "earliest", "heartbeat.interval.ms", "300",
                "session.timeout.ms", "6000");
        consumer.subscribe(List.of(words[3]));
        members.put(words[1], new Member(consumer));
        return List.of();
    }

    private List<String> transaction() {
        Properties settings = settings("transactional.id", "t", "key.serializer", STRING, "value.serializer", STRING);
        try (var producer = new KafkaProducer<String, String>(settings)) {
            producer.initTransactions();
            return List.of();
        } catch (RuntimeException refused) {
            return List.of((refused.getClass().getSimpleName() + ": " + refused.getMessage()).replace('\n', ' '));
        }
    }

    private List<String> command(String[] words) throws Exception {
        return switch (words[0]) {
            case "hello" -> List.of("Kafka's Java clients " + AppInfoParser.getVersion());
            case "codecs" -> List.of("none", "gzip", "snappy", "lz4", "zstd");
            case "create" -> {
                admin.createTopics(List.of(new NewTopic(words[1], Integer.parseInt(words[2]), (short) 1))).all().get();
                yield List.of();
            }
            case "produce" -> produce(words);
            case "read" -> read(words);
            case "join" -> join(words);
            case "poll" -> members.get(words[1]).drain();
            case "assigned" -> members.get(words[1]).partitions();
            case "commit" -> members.get(words[1]).commitNow();
            case "leave" -> members.remove(words[1]).leave();
            case "committed" -> admin.listConsumerGroupOffsets(words[1]).partitionsToOffsetAndMetadata().get().entrySet().stream()
                    .map(entry -> entry.getKey().partition() + " " + entry.getValue().offset()).toList();
            case "topics" -> List.copyOf(admin.listTopics().names().get());
            case "partitions" -> List.of(String.valueOf(
                    admin.describeTopics(List.of(words[1])).allTopicNames().get().get(words[1]).partitions().size()));
            case "groups" -> admin.listGroups().all().get().stream().map(group -> group.groupId()).toList();
            case "delete" -> {
                admin.deleteTopics(List.of(words[1])).all().get();
                yield List.of();
            }
            case "delete_group" -> {
                admin.deleteConsumerGroups(List.of(words[1])).all().get();
                yield List.of();
            }
            case "transaction" -> transaction();
            default -> throw new IllegalArgumentException("no such command");
        };
    }

    public static void main(String[] arguments) throws Exception {
        Adapter adapter = new Adapter(arguments[0]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                StringBuilder lines = new StringBuilder();
                for (String each : adapter.command(line.split(" "))) { lines.append("= ").append(each).append('\n'); }
                answer = lines + "ok";
            } catch (Exception failed) {
                Throwable cause = failed instanceof ExecutionException ? failed.getCause() : failed;
                answer = ("error " + cause.getClass().getSimpleName() + ": " + cause.getMessage()).replace('\n', ' ');
            }
            System.out.println(answer);
        }
        System.exit(0);
    }
}
