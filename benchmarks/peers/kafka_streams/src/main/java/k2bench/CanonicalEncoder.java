package k2bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;

/**
 * Writes schemas/avro/trade.avsc with Avro's encoder, field by field in the Confluent wire format: the fast way, as
 * the schema's logical types rule out the custom coders of generated classes.
 */
final class CanonicalEncoder {
    private static final int SCALE = 18;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    private final BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);

    byte[] encode(BinanceTrade trade, String canonical, int partition, long offset) throws IOException {
        bytes.reset();
        bytes.write(0);
        encoder.writeFixed(new byte[] {0, 0, 0, 1}); // schema id
        encoder.writeLong(trade.tradeTime * 1000);
        encoder.writeLong(trade.receiveTime);
        encoder.writeFixed(fixed(trade.price));
        encoder.writeFixed(fixed(trade.quantity));
        encoder.writeEnum(trade.buyerIsMaker ? 1 : 0);
        encoder.writeLong(offset);
        encoder.writeLong(trade.id);
        encoder.writeInt(partition);
        encoder.writeInt(1);
        encoder.writeString("binance");
        encoder.writeString(trade.symbol);
        encoder.writeString(canonical);
        encoder.writeString(Long.toString(trade.id));
        encoder.writeLong(System.currentTimeMillis() * 1000);
        encoder.writeMapStart();
        encoder.setItemCount(1);
        encoder.startItem();
        encoder.writeString("E");
        encoder.writeString(Long.toString(trade.eventTime));
        encoder.writeMapEnd();
        writeEmptyArray();
        writeEmptyArray();
        encoder.flush();
        return bytes.toByteArray();
    }

    private void writeEmptyArray() throws IOException {
        encoder.writeArrayStart();
        encoder.setItemCount(0);
        encoder.writeArrayEnd();
    }

    private static byte[] fixed(String decimal) {
        byte[] magnitude = new BigDecimal(decimal).setScale(SCALE).unscaledValue().toByteArray();
        byte[] fixed = new byte[16];
        if (magnitude[0] < 0) {
            Arrays.fill(fixed, (byte) -1);
        }
        System.arraycopy(magnitude, 0, fixed, 16 - magnitude.length, magnitude.length);
        return fixed;
    }
}
