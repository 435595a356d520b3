package k2bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Deserializer;

/** What candles need of a canonical trade: the leading fields of schemas/avro/trade.avsc; the rest is not read. */
record HotTrade(long timestamp, long receiveTime, Int128 price, Int128 quantity, boolean takerBuy, long rawOffset,
                long sequence, int rawPartition, int tradeCount) {
    private static final int WIRE_HEADER = 5;

    /** The fast way: Avro's decoder, field by field, as far as candles need it. */
    static final class FromAvro implements Deserializer<HotTrade> {
        private final byte[] fixed = new byte[2 * Int128.BYTES];
        private BinaryDecoder decoder;

        @Override
        public HotTrade deserialize(String topic, byte[] data) {
            decoder = DecoderFactory.get().binaryDecoder(data, WIRE_HEADER, data.length - WIRE_HEADER, decoder);
            try {
                long timestamp = decoder.readLong();
                long receiveTime = decoder.readLong();
                decoder.readLong(); // process_time
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

    /** The usual way: a GenericRecord of the whole trade. */
    static final class FromGenericAvro implements Deserializer<HotTrade> {
        private final GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(TradeSchema.SCHEMA);
        private BinaryDecoder decoder;
        private GenericRecord record;

        @Override
        public HotTrade deserialize(String topic, byte[] data) {
            decoder = DecoderFactory.get().binaryDecoder(data, WIRE_HEADER, data.length - WIRE_HEADER, decoder);
            try {
                record = reader.read(record, decoder);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return new HotTrade(
                (long) record.get("timestamp"),
                (long) record.get("receive_time"),
                decimal(record.get("price")),
                decimal(record.get("quantity")),
                record.get("side").toString().equals("BUY"),
                (long) record.get("raw_offset"),
                (long) record.get("sequence"),
                (int) record.get("raw_partition"),
                (int) record.get("trade_count"));
        }

        private static Int128 decimal(Object fixed) {
            return Int128.get(ByteBuffer.wrap(((GenericFixed) fixed).bytes()));
        }
    }
}
