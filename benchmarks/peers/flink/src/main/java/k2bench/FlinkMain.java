package k2bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * One Flink job on a mini cluster in this JVM: {@code FlinkMain MODE BOOTSTRAP INPUT OUTPUT STATE_FOLDER
 * PROGRESS_FILE}. Parallelism 1, state on the heap, a checkpoint a second into the state folder.
 */
public final class FlinkMain {
    public static void main(String[] args) throws Exception {
        String mode = args[0];
        String bootstrap = args[1];
        String input = args[2];
        String output = args[3];
        StreamExecutionEnvironment flink =
            StreamExecutionEnvironment.getExecutionEnvironment(configuration(args[4]));
        flink.enableCheckpointing(1_000);
        switch (mode) {
            case "normalise" -> flink
                .fromSource(source(bootstrap, input, new Normalise.FromKafka()), WatermarkStrategy.noWatermarks(),
                    "raw")
                .map(new Normalise.Normaliser())
                .sinkTo(sink(bootstrap, new Normalise.ToKafka(output)));
            case "candles" -> Candles.cascade(flink, source(bootstrap, input, new Candles.FromKafka()),
                sink(bootstrap, new Candles.ToKafka(output)), args[5]);
            case "candles-revisions" -> Candles.revisions(flink, source(bootstrap, input, new Candles.FromKafka()),
                sink(bootstrap, new Candles.ToKafka(output)), args[5]);
            default -> throw new IllegalArgumentException("unknown mode " + mode);
        }
        flink.execute(mode);
    }

    private static Configuration configuration(String stateFolder) {
        Configuration configuration = new Configuration();
        configuration.set(CoreOptions.DEFAULT_PARALLELISM, 1);
        configuration.set(PipelineOptions.OBJECT_REUSE, true);
        configuration.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + stateFolder + "/checkpoints");
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        return configuration;
    }

    private static <T> KafkaSource<T> source(
            String bootstrap, String topic, KafkaRecordDeserializationSchema<T> deserializer) {
        return KafkaSource.<T>builder()
            .setBootstrapServers(bootstrap)
            .setTopics(topic)
            .setGroupId("flink-" + System.currentTimeMillis())
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(deserializer)
            .setProperty("max.poll.records", "5000")
            .build();
    }

    private static <T> KafkaSink<T> sink(String bootstrap, KafkaRecordSerializationSchema<T> serializer) {
        return KafkaSink.<T>builder()
            .setBootstrapServers(bootstrap)
            .setRecordSerializer(serializer)
            .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
            .setProperty("linger.ms", "20")
            .setProperty("batch.size", "262144")
            .setProperty("compression.type", "none")
            .build();
    }

    private FlinkMain() {}
}
