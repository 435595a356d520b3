package k2bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Canonical Avro to candles of six timeframes. The topic is partitioned by key already, so the stream is taken as
 * keyed without a shuffle. Windows close by the watermark of the slowest partition, 5 s behind; late trades are
 * dropped.
 */
final class Candles {
    private static final Duration GRACE = Duration.ofSeconds(5);

    /** A silent partition would hold all windows open. */
    private static final Duration IDLE = Duration.ofSeconds(5);

    private static final Map<String, Duration> TIMEFRAMES = new LinkedHashMap<>();

    static {
        TIMEFRAMES.put("1m", Duration.ofMinutes(1));
        TIMEFRAMES.put("5m", Duration.ofMinutes(5));
        TIMEFRAMES.put("15m", Duration.ofMinutes(15));
        TIMEFRAMES.put("30m", Duration.ofMinutes(30));
        TIMEFRAMES.put("1h", Duration.ofHours(1));
        TIMEFRAMES.put("1d", Duration.ofDays(1));
    }

    /** A trade and its key. */
    public static final class Keyed {
        public String key;
        public HotTrade trade;
    }

    /** A candle of a window. */
    public static final class Closed {
        public String key;
        public String timeframe;
        public long openTime;
        public long length;
        public boolean last;
        public Bar bar;
    }

    /** Longer timeframes from closed shorter ones: one update a trade, final candles only. */
    static void cascade(StreamExecutionEnvironment flink, KafkaSource<Keyed> source, KafkaSink<Closed> sink,
            String progress) {
        DataStream<Closed> shorter = null;
        for (Map.Entry<String, Duration> timeframe : TIMEFRAMES.entrySet()) {
            SingleOutputStreamOperator<Closed> closed = shorter == null
                ? keyed(flink, source)
                    .window(TumblingEventTimeWindows.of(timeframe.getValue()))
                    .aggregate(new Fold(progress), new Close(timeframe.getKey()))
                : DataStreamUtils.reinterpretAsKeyedStream(shorter, bar -> bar.key, Types.STRING)
                    .window(TumblingEventTimeWindows.of(timeframe.getValue()))
                    .aggregate(new Merge(), new Close(timeframe.getKey()));
            closed.uid(timeframe.getKey());
            closed.sinkTo(sink);
            shorter = closed;
        }
    }

    /** Six windows a trade, each revised every 0.2 s. */
    static void revisions(StreamExecutionEnvironment flink, KafkaSource<Keyed> source, KafkaSink<Closed> sink,
            String progress) {
        KeyedStream<Keyed, String> trades = keyed(flink, source);
        String counting = progress;
        for (Map.Entry<String, Duration> timeframe : TIMEFRAMES.entrySet()) {
            trades
                .window(TumblingEventTimeWindows.of(timeframe.getValue()))
                .trigger(new Revisions(200))
                .aggregate(new Fold(counting), new Close(timeframe.getKey()))
                .uid(timeframe.getKey())
                .sinkTo(sink);
            counting = null;
        }
    }

    private static KeyedStream<Keyed, String> keyed(StreamExecutionEnvironment flink, KafkaSource<Keyed> source) {
        DataStream<Keyed> trades = flink.fromSource(
            source,
            WatermarkStrategy.<Keyed>forBoundedOutOfOrderness(GRACE)
                .withTimestampAssigner((keyed, before) -> keyed.trade.timestamp() / 1000)
                .withIdleness(IDLE),
            "trades").uid("trades");
        return DataStreamUtils.reinterpretAsKeyedStream(trades, keyed -> keyed.key, Types.STRING);
    }

    static final class FromKafka implements KafkaRecordDeserializationSchema<Keyed> {
        private transient HotTrade.FromAvro avro;

        @Override
        public void open(DeserializationSchema.InitializationContext context) {
            avro = new HotTrade.FromAvro();
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Keyed> out) {
            Keyed keyed = new Keyed();
            keyed.key = new String(record.key(), StandardCharsets.ISO_8859_1);
            keyed.trade = avro.deserialize(record.topic(), record.value());
            out.collect(keyed);
        }

        @Override
        public TypeInformation<Keyed> getProducedType() {
            return TypeInformation.of(Keyed.class);
        }
    }

    private static final class Fold implements AggregateFunction<Keyed, Bar, Bar> {
        private final String path;
        private transient Progress progress;

        /** Counts its trades in the file at path, null to count none. */
        Fold(String path) {
            this.path = path;
        }

        @Override
        public Bar createAccumulator() {
            return new Bar();
        }

        @Override
        public Bar add(Keyed keyed, Bar bar) {
            if (path != null) {
                if (progress == null) {
                    progress = open(path);
                }
                progress.one();
            }
            return bar.add(keyed.trade);
        }

        @Override
        public Bar getResult(Bar bar) {
            return bar;
        }

        @Override
        public Bar merge(Bar one, Bar other) {
            return one.merge(other);
        }
    }

    private static final class Merge implements AggregateFunction<Closed, Bar, Bar> {
        @Override
        public Bar createAccumulator() {
            return new Bar();
        }

        @Override
        public Bar add(Closed shorter, Bar bar) {
            return bar.merge(shorter.bar);
        }

        @Override
        public Bar getResult(Bar bar) {
            return bar;
        }

        @Override
        public Bar merge(Bar one, Bar other) {
            return one.merge(other);
        }
    }

    private static final class Close extends ProcessWindowFunction<Bar, Closed, String, TimeWindow> {
        private final String timeframe;

        Close(String timeframe) {
            this.timeframe = timeframe;
        }

        @Override
        public void process(String key, Context context, Iterable<Bar> bars, Collector<Closed> out) {
            Closed closed = new Closed();
            closed.key = key;
            closed.timeframe = timeframe;
            closed.openTime = context.window().getStart();
            closed.length = context.window().getEnd() - context.window().getStart();
            closed.last = context.currentWatermark() >= context.window().maxTimestamp();
            closed.bar = bars.iterator().next();
            out.collect(closed);
        }
    }

    record ToKafka(String topic) implements KafkaRecordSerializationSchema<Closed> {
        @Override
        public ProducerRecord<byte[], byte[]> serialize(Closed it, KafkaSinkContext context, Long timestamp) {
            try {
                byte[] value = it.bar.encode(it.key, it.timeframe, it.openTime, it.length, it.last);
                return new ProducerRecord<>(topic, it.bar.rawPartition, null,
                    it.key.getBytes(StandardCharsets.ISO_8859_1), value);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private static Progress open(String path) {
        try {
            return new Progress(Path.of(path));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private Candles() {}
}
