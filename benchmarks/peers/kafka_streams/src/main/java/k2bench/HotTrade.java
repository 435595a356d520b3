package k2bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Deserializer;

/** What candles need of a canonical trade: the leading fields of schemas/avro/trade.avsc; the rest is not read. */
record HotTrade(long timestamp, long receiveTime, Int128 price, Int128 quantity, boolean takerBuy, long rawOffset,
                long sequence, int rawPartition, int tradeCount) {
    private static final int WIRE_HEADER = 5;

    static final class FromAvro implements Deserializer<HotTrade> {
        private final byte[] fixed = new byte[2 * Int128.BYTES];
        private BinaryDecoder decoder;

        @Override
        public HotTrade deserialize(String topic, byte[] data) {
            decoder = DecoderFactory.get().binaryDecoder(data, WIRE_HEADER, data.length - WIRE_HEADER, decoder);
            try {
                long timestamp = decoder.readLong();
                long receiveTime = decoder.readLong();
                decoder.readFixed(fixed);
                ByteBuffer decimals = ByteBuffer.wrap(fixed);
                Int128 price = Int128.get(decimals);
                Int128 quantity = Int128.get(decimals);
                boolean takerBuy = decoder.readEnum() == 0;
                return new HotTrade(timestamp, receiveTime, price, quantity, takerBuy, decoder.readLong(),
                    decoder.readLong(), decoder.readInt(), decoder.readInt());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }
}
