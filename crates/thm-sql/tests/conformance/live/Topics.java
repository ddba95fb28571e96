// Records of a case in a real Kafka.
//
//   case: input, setup, sql ─▶ topics of its own with `input` in them ─▶ (the job runs) ─▶ `output`: all records of the others
//
// Cases name their topics as they like: each name gets the case's prefix here, which `shown` takes away again.
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Topics {
    /** Where the broker is; none if no case has topics. */
    private static final String BROKER = System.getProperty("kafka");
    /** Of records that say none: before any that a case sets, so that what a statement sets can be told apart. */
    private static final long TIMESTAMP = 1_700_000_000_000L;
    private static final long RUN = ProcessHandle.current().pid();
    private static final AtomicInteger COUNT = new AtomicInteger();
    private static final Pattern TOPIC = Pattern.compile("'topic'\\s*=\\s*'([^']*)'");
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static Admin admin;
    private static KafkaProducer<byte[], byte[]> producer;

    private final String prefix = "case" + RUN + "_" + COUNT.incrementAndGet() + "_";
    private final Set<String> written = new LinkedHashSet<>();

    /** Whether a case has topics. */
    static boolean has(JsonNode asked) {
        return asked.has("input") || asked.has("output") || asked.path("setup").toString().contains("kafka'");
    }

    /** Makes the topics of a case, and fills those of its input. */
    Topics(JsonNode asked) throws Exception {
        connect();
        int partitions = asked.path("partitions").asInt(1);
        Set<String> read = new LinkedHashSet<>();
        asked.path("input").fieldNames().forEachRemaining(read::add);
        for (JsonNode statement : asked.path("setup")) {
            Matcher topic = TOPIC.matcher(statement.asText());
            if (topic.find()) {
                written.addAll(List.of(topic.group(1).split(";")));
            }
        }
        written.removeAll(read);
        List<NewTopic> all = new ArrayList<>();
        read.forEach(topic -> all.add(new NewTopic(prefix + topic, 1, (short) 1)));
        written.forEach(topic -> all.add(new NewTopic(prefix + topic, partitions, (short) 1)));
        // Records are of 2023: Kafka would delete them.
        all.forEach(topic -> topic.configs(Map.of("retention.ms", "-1")));
        admin.createTopics(all).all().get();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String topic : read) {
            for (JsonNode record : asked.get("input").get(topic)) {
                ProducerRecord<byte[], byte[]> made = new ProducerRecord<>(prefix + topic, record.path("partition").asInt(0),
                        record.path("timestamp").asLong(TIMESTAMP), bytes(record.path("key")), bytes(record.path("value")));
                record.path("headers").forEach(header -> made.headers().add(header.get(0).asText(), bytes(header.get(1))));
                sent.add(producer.send(made));
            }
        }
        for (Future<RecordMetadata> each : sent) {
            each.get();
        }
    }

    private static synchronized void connect() {
        if (admin == null) {
            admin = Admin.create(Map.of("bootstrap.servers", BROKER));
            producer = new KafkaProducer<>(Map.of("bootstrap.servers", BROKER), new ByteArraySerializer(), new ByteArraySerializer());
        }
    }

    /** A statement with the names and the address that are meant. */
    String meant(String sql) {
        Matcher topic = TOPIC.matcher(sql);
        String named = topic.replaceAll(found -> Matcher.quoteReplacement("'topic'='"
                + List.of(found.group(1).split(";")).stream().map(name -> prefix + name).collect(Collectors.joining(";")) + "'"));
        return named.replaceAll("'properties.bootstrap.servers'\\s*=\\s*'[^']*'", "'properties.bootstrap.servers'='" + BROKER + "'");
    }

    /** A text without what was made of the names. */
    String shown(String text) {
        return text.replace(prefix, "").replace(BROKER, "127.0.0.1:9092");
    }

    /** All records of the topics that were written to. */
    ObjectNode output() {
        ObjectNode out = JSON.objectNode();
        Map<String, Object> settings = Map.of("bootstrap.servers", BROKER, "isolation.level", "read_committed");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (String topic : written) {
                ArrayNode records = out.putArray(topic);
                List<TopicPartition> places = consumer.partitionsFor(prefix + topic).stream()
                        .map(place -> new TopicPartition(place.topic(), place.partition())).sorted((a, b) -> a.partition() - b.partition()).toList();
                Map<TopicPartition, Long> ends = consumer.endOffsets(places);
                for (TopicPartition place : places) {
                    consumer.assign(List.of(place));
                    consumer.seekToBeginning(List.of(place));
                    while (consumer.position(place) < ends.get(place)) {
                        consumer.poll(Duration.ofSeconds(1)).forEach(record -> records.add(told(record)));
                    }
                }
            }
        }
        return out;
    }

    private static ObjectNode told(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode out = JSON.objectNode();
        out.put("partition", record.partition()).put("offset", record.offset());
        out.set("key", text(record.key()));
        out.set("value", text(record.value()));
        ArrayNode headers = out.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(text(header.value()));
        }
        out.put("timestamp", record.timestamp()).put("timestamp_type", record.timestampType().toString());
        return out;
    }

    private static JsonNode text(byte[] bytes) {
        if (bytes == null) {
            return JSON.nullNode();
        }
        try {
            return JSON.textNode(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
        } catch (CharacterCodingException error) {
            return JSON.objectNode().put("base64", Base64.getEncoder().encodeToString(bytes));
        }
    }

    private static byte[] bytes(JsonNode told) {
        if (told.has("base64")) {
            return Base64.getDecoder().decode(told.get("base64").asText());
        }
        return told.isTextual() ? told.asText().getBytes(StandardCharsets.UTF_8) : null;
    }
}
