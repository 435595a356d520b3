package k2bench;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/** One Kafka Streams application: {@code Main MODE BOOTSTRAP INPUT OUTPUT STATE_FOLDER PROGRESS_FILE}. */
public final class Main {
    /** The trades lie years back: by its default the broker would delete their state by its age. */
    private static final Duration CHANGELOG_RETENTION = Duration.ofDays(36_500);

    private static final Map<String, Duration> TIMEFRAMES = Map.of(
        "1m", Duration.ofMinutes(1),
        "5m", Duration.ofMinutes(5),
        "15m", Duration.ofMinutes(15),
        "30m", Duration.ofMinutes(30),
        "1h", Duration.ofHours(1),
        "1d", Duration.ofDays(1));

    public static void main(String[] args) throws Exception {
        String mode = args[0];
        String input = args[2];
        Progress progress = new Progress(Path.of(args[5]));
        KafkaStreams streams = new KafkaStreams(
            topology(mode, input, args[3], progress),
            properties("kafka-streams-" + mode + "-" + System.currentTimeMillis(), args[1], args[4]));
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(8));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }

    private static Topology topology(String mode, String input, String output, Progress progress) {
        StreamsBuilder builder = new StreamsBuilder();
        Map<String, Duration> minutes = Map.of("1m", TIMEFRAMES.get("1m"));
        switch (mode) {
            case "normalise" -> NormaliseTopology.build(builder, input, output, DirectEncoder::new, progress);
            case "normalise-generic" -> NormaliseTopology.build(
                builder, input, output, GenericEncoder::new, progress);
            case "candles-1m" -> CandlesTopology.build(
                builder, input, minutes, new HotTrade.FromAvro(), progress);
            case "candles-1m-generic" -> CandlesTopology.build(
                builder, input, minutes, new HotTrade.FromGenericAvro(), progress);
            case "candles-six" -> CandlesTopology.build(
                builder, input, TIMEFRAMES, new HotTrade.FromAvro(), progress);
            default -> throw new IllegalArgumentException("unknown mode " + mode);
        }
        return builder.build();
    }

    private static Properties properties(String id, String bootstrap, String stateFolder) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, stateFolder);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        properties.put(StreamsConfig.WINDOW_STORE_CHANGE_LOG_ADDITIONAL_RETENTION_MS_CONFIG,
            CHANGELOG_RETENTION.toMillis());
        properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 5_000);
        properties.put(ProducerConfig.LINGER_MS_CONFIG, 20);
        properties.put(ProducerConfig.BATCH_SIZE_CONFIG, 262_144);
        properties.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "none");
        return properties;
    }

    private Main() {}
}
