// The side of tests/interop/run that is Kafka's, by Kafka's own classes. Lines are those of interop_log.cc.
//
//   produce BOOTSTRAP              topics of every codec, headers, null keys, transactions, compaction
//   consume BOOTSTRAP PREFIX       every record of the topics whose names begin with PREFIX
//   consume-committed ...          the same, without those of aborted transactions
//   read DIR                       every record in the .log files of a closed directory, read as files
//   bootstrap DIR METADATA_DIR     enters the topics of DIR's own metadata log into a formatted metadata directory
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.metadata.util.*;
import org.apache.kafka.server.common.ApiMessageAndVersion;

public class Interop {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    static String hex(byte[] bytes) {
        return bytes == null ? "-" : "x" + HexFormat.of().formatHex(bytes);
    }

    static void print(String place, long offset, long timestamp, byte[] key, byte[] value, Iterable<Header> headers) {
        StringBuilder line = new StringBuilder();
        line.append(place).append(' ').append(offset).append(' ').append(timestamp);
        line.append(' ').append(hex(key)).append(' ').append(hex(value));
        for (Header header : headers) {
            line.append(' ').append(hex(header.key().getBytes(StandardCharsets.UTF_8))).append('=').append(hex(header.value()));
        }
        System.out.println(line);
    }

    static Map<String, Object> settings(String bootstrap) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    static void produce(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(settings(bootstrap))) {
            List<NewTopic> topics = new ArrayList<>();
            for (String codec : CODECS) {
                topics.add(new NewTopic("kafka-" + codec, 2, (short) 1).configs(Map.of("segment.bytes", "1048576")));
            }
            topics.add(new NewTopic("kafka-transactions", 1, (short) 1));
            topics.add(new NewTopic("kafka-compacted", 1, (short) 1).configs(Map.of(
                "cleanup.policy", "compact", "segment.bytes", "1048576", "segment.ms", "1000",
                "min.cleanable.dirty.ratio", "0.0", "delete.retention.ms", "86400000")));
            admin.createTopics(topics).all().get();
        }
        for (String codec : CODECS) {
            Map<String, Object> settings = settings(bootstrap);
            settings.put("compression.type", codec);
            settings.put("linger.ms", 5);
            try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
                for (int i = 0; i < 6000; ++i) {
                    byte[] key = i % 5 == 0 ? null : ("key-" + i).getBytes();
                    byte[] value = i % 7 == 0 ? null : (i + "v".repeat(400) + i * 7919).getBytes();
                    var record = new ProducerRecord<>("kafka-" + codec, i % 2, 1_700_000_000_000L + i, key, value);
                    if (i % 3 == 0) { record.headers().add("source", "interop".getBytes()).add("empty", null); }
                    producer.send(record);
                }
            }
        }
        Map<String, Object> settings = settings(bootstrap);
        settings.put("transactional.id", "interop");
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            for (int i = 0; i < 20; ++i) {
                producer.beginTransaction();
                for (int j = 0; j < 5; ++j) {
                    producer.send(new ProducerRecord<>("kafka-transactions", 0, ("t" + i).getBytes(), ("" + j).getBytes()));
                }
                if (i % 3 == 0) { producer.flush(); producer.abortTransaction(); } else { producer.commitTransaction(); }
            }
        }
        try (var producer = new KafkaProducer<>(settings(bootstrap), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int round = 0; round < 4; ++round) {
                for (int i = 0; i < 500; ++i) {
                    byte[] value = i % 10 == round ? null : ("value " + round + "v".repeat(100)).getBytes();
                    producer.send(new ProducerRecord<>("kafka-compacted", 0, ("key-" + i).getBytes(), value));
                }
                producer.flush();
                Thread.sleep(1200);  // past segment.ms, so that the next round begins a segment
            }
            producer.send(new ProducerRecord<>("kafka-compacted", 0, "last".getBytes(), "active".getBytes())).get();
        }
    }

    static int consume(String bootstrap, String prefix, String isolation) throws Exception {
        int count = 0;
        Map<String, Object> settings = settings(bootstrap);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 5000);
        settings.put("isolation.level", isolation);
        try (Admin admin = Admin.create(settings(bootstrap));
             var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (String topic : new TreeSet<>(admin.listTopics().names().get())) {
                if (!topic.startsWith(prefix)) { continue; }
                int partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
                for (int i = 0; i < partitions; ++i) {
                    var partition = new TopicPartition(topic, i);
                    consumer.assign(List.of(partition));
                    consumer.seekToBeginning(List.of(partition));
                    long end = consumer.endOffsets(List.of(partition)).get(partition);
                    while (consumer.position(partition) < end) {
                        for (var record : consumer.poll(Duration.ofSeconds(5)).records(partition)) {
                            print(topic + "-" + i, record.offset(), record.timestamp(), record.key(), record.value(), record.headers());
                            ++count;
                        }
                    }
                }
            }
        }
        return count;
    }

    static void read(String root) throws Exception {
        File[] directories = new File(root).listFiles(File::isDirectory);
        Arrays.sort(directories);
        for (File directory : directories) {
            if (directory.getName().startsWith("__")) { continue; }
            File[] files = directory.listFiles((at, name) -> name.endsWith(".log"));
            Arrays.sort(files);
            for (File file : files) {
                try (FileRecords records = FileRecords.open(file, false)) {
                    for (RecordBatch batch : records.batches()) {
                        batch.ensureValid();
                        if (batch.isControlBatch()) { continue; }
                        for (org.apache.kafka.common.record.internal.Record record : batch) {
                            byte[] key = record.hasKey() ? Utils.toArray(record.key()) : null;
                            byte[] value = record.hasValue() ? Utils.toArray(record.value()) : null;
                            print(directory.getName(), record.offset(), record.timestamp(), key, value, List.of(record.headers()));
                        }
                    }
                }
            }
        }
    }

    static int lastEpoch(Path directory) throws Exception {
        Path file = directory.resolve("leader-epoch-checkpoint");
        if (!Files.exists(file)) { return 0; }
        List<String> lines = Files.readAllLines(file);
        return lines.size() < 3 ? 0 : Integer.parseInt(lines.get(lines.size() - 1).split(" ")[0]);
    }

    // Records are read and written by Kafka's own reader and writer of such files.
    static void bootstrap(String root, String metadata) throws Exception {
        Path file = Path.of(metadata, "bootstrap.checkpoint");
        List<ApiMessageAndVersion> records = new ArrayList<>();
        try (BatchFileReader reader = new BatchFileReader.Builder().setPath(file.toString()).build()) {
            while (reader.hasNext()) {
                var batch = reader.next();
                if (!batch.isControl()) { records.addAll(batch.batch().records()); }
            }
        }
        Map<org.apache.kafka.common.Uuid, String> names = new HashMap<>();
        String log = Path.of(root, "__cluster_metadata-0", "00000000000000000000.log").toString();
        try (BatchFileReader reader = new BatchFileReader.Builder().setPath(log).build()) {
            while (reader.hasNext()) {
                var batch = reader.next();
                if (batch.isControl()) { continue; }
                for (ApiMessageAndVersion record : batch.batch().records()) {
                    if (record.message() instanceof TopicRecord topic) { names.put(topic.topicId(), topic.name()); }
                    if (record.message() instanceof PartitionRecord partition) {
                        // A leader's epoch never goes back: this broker takes over after the epochs in the files.
                        Path directory = Path.of(root, names.get(partition.topicId()) + "-" + partition.partitionId());
                        partition.setLeaderEpoch(lastEpoch(directory) + 1);
                    }
                    boolean ours = record.message() instanceof TopicRecord || record.message() instanceof PartitionRecord
                        || record.message() instanceof ConfigRecord;
                    if (ours) { records.add(record); }
                }
            }
        }
        Files.delete(file);
        try (BatchFileWriter writer = BatchFileWriter.open(file)) {
            for (ApiMessageAndVersion record : records) { writer.append(record); }
        }
        System.err.println(records.size() + " metadata records");
    }

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "produce" -> produce(arguments[1]);
            case "consume" -> consume(arguments[1], arguments[2], "read_uncommitted");
            case "consume-committed" -> consume(arguments[1], arguments[2], "read_committed");
            case "read" -> read(arguments[1]);
            case "bootstrap" -> bootstrap(arguments[1], arguments[2]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }
}
