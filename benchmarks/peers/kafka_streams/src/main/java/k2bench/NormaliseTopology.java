package k2bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * Raw JSON to canonical Avro. Less than K2 does: no deduplication by trade id, no gap detection, no dead letters,
 * one exchange.
 */
final class NormaliseTopology {
    static void build(
            StreamsBuilder builder, String input, String output, Supplier<Encoder> encoder, Progress progress) {
        builder.stream(input, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .process(() -> new Normaliser(encoder.get(), progress))
            .to(output, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
    }

    private static final class Normaliser extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
        private static final List<String> QUOTES = List.of("FDUSD", "USDT", "USDC", "BTC", "ETH", "BNB", "EUR");

        private final Progress progress;
        private final Encoder encoder;
        private final Map<String, Instrument> instruments = new HashMap<>();

        private record Instrument(String canonical, byte[] key) {}

        Normaliser(Encoder encoder, Progress progress) {
            this.encoder = encoder;
            this.progress = progress;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            RecordMetadata at = context().recordMetadata().orElseThrow();
            try {
                BinanceTrade trade = BinanceTrade.READER.readValue(record.value());
                Instrument instrument = instruments.computeIfAbsent(trade.symbol, Normaliser::instrument);
                byte[] value = encoder.encode(trade, instrument.canonical, at.partition(), at.offset());
                context().forward(record.withKey(instrument.key).withValue(value));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            progress.one();
        }

        private static Instrument instrument(String symbol) {
            String quote = QUOTES.stream().filter(symbol::endsWith).findFirst().orElseThrow();
            String canonical = symbol.substring(0, symbol.length() - quote.length()) + "/" + quote;
            return new Instrument(canonical, ("binance:" + canonical).getBytes(StandardCharsets.UTF_8));
        }
    }

    private NormaliseTopology() {}
}
