package k2bench;

import java.time.Duration;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Candles in RocksDB window stores with changelogs and the default record cache. Less than K2 does: candles are not
 * published to topics, none is closed, late trades are dropped instead of kept, replays are not detected.
 */
final class CandlesTopology {
    private static final Duration GRACE = Duration.ofSeconds(5);

    /** As K2 keeps; the default, one window, would open a RocksDB segment every minute of event time. */
    private static final int RETAINED_WINDOWS = 500;

    static void build(StreamsBuilder builder, String input, Map<String, Duration> timeframes,
                      Deserializer<HotTrade> decoder, Progress progress) {
        Serde<HotTrade> trades = Serdes.serdeFrom(
            (topic, trade) -> {
                throw new UnsupportedOperationException("trades are only read");
            },
            decoder);
        KGroupedStream<byte[], HotTrade> grouped = builder
            .stream(input, Consumed.with(Serdes.ByteArray(), trades)
                .withTimestampExtractor((record, newest) -> ((HotTrade) record.value()).timestamp() / 1000))
            .groupByKey(Grouped.with(Serdes.ByteArray(), trades));
        boolean counting = true;
        for (Map.Entry<String, Duration> timeframe : timeframes.entrySet()) {
            boolean counts = counting;
            grouped
                .windowedBy(TimeWindows.ofSizeAndGrace(timeframe.getValue(), GRACE))
                .aggregate(
                    Candle::new,
                    (key, trade, candle) -> {
                        if (counts) {
                            progress.one();
                        }
                        return candle.add(trade);
                    },
                    Materialized.<byte[], Candle, WindowStore<Bytes, byte[]>>as("ohlcv-" + timeframe.getKey())
                        .withRetention(timeframe.getValue().multipliedBy(RETAINED_WINDOWS))
                        .withKeySerde(Serdes.ByteArray())
                        .withValueSerde(Candle.serde()));
            counting = false;
        }
    }

    private CandlesTopology() {}
}
