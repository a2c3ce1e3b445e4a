package peers;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams, one thread, a RocksDB store with its changelog, one record out; see {@code benchmarks/peers/job.py}. */
public final class Totals implements Processor<byte[], byte[], byte[], byte[]> {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String STORE = "totals";

    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> store;

    /** What is kept for a customer. */
    public static class Held {
        public long count;
        public double sum;
        public double first;
        public double last;
    }

    /** What is given out for an order. */
    public static final class Given extends Held {
        public String customer_id;
        public String event_id;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
        context = given;
        store = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        try {
            JsonNode order = JSON.readTree(record.value());
            Bytes key = Bytes.wrap(record.key());
            byte[] before = store.get(key);
            double at = order.get("occurred_at").asDouble();
            Held held = before == null ? new Held() : JSON.readValue(before, Held.class);
            held.first = before == null ? at : held.first;
            held.last = before == null ? at : Math.max(held.last, at);
            held.count += 1;
            held.sum += Double.parseDouble(order.get("total").asText());
            store.put(key, JSON.writeValueAsBytes(held));
            Given given = new Given();
            given.customer_id = order.get("customer_id").asText();
            given.event_id = order.get("event_id").asText();
            given.count = held.count;
            given.sum = held.sum;
            given.first = held.first;
            given.last = held.last;
            context.forward(record.withValue(JSON.writeValueAsBytes(given)));
        } catch (IOException problem) {
            throw new UncheckedIOException(problem);
        }
    }

    /** Runs until the process is ended. */
    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        settings.put("application.id", System.getenv("PEER_GROUP"));
        settings.put("bootstrap.servers", System.getenv("PEER_BROKER"));
        settings.put("state.dir", Files.createTempDirectory("kafka-streams-peer").toString());
        settings.put("num.stream.threads", "1");
        settings.put("statestore.cache.max.bytes", "0");
        settings.put("commit.interval.ms", "1000");
        settings.put("replication.factor", "1");
        settings.put("consumer.auto.offset.reset", "earliest");
        settings.put("consumer.max.poll.records", "2000");
        settings.put("consumer.session.timeout.ms", "6000");
        settings.put("consumer.heartbeat.interval.ms", "2000");
        settings.put("producer.linger.ms", "5");
        settings.put("producer.acks", "all");
        Deserializer<byte[]> read = Serdes.ByteArray().deserializer();
        Serializer<byte[]> write = Serdes.ByteArray().serializer();
        Topology topology = new Topology();
        topology.addSource("orders", read, read, System.getenv("PEER_TOPIC"))
                .addProcessor("add", Totals::new, "orders")
                .addStateStore(
                        Stores.keyValueStoreBuilder(
                                        Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), Serdes.ByteArray())
                                .withLoggingEnabled(Map.of()),
                        "add")
                .addSink("out", System.getenv("PEER_OUTPUT"), write, write, "add");
        new KafkaStreams(topology, settings).start();
    }
}
