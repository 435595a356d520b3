package k2bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;

/**
 * The fast way: Avro's encoder, field by field in the order of schemas/avro/trade.avsc (its logical types rule out the
 * custom coders of generated classes).
 */
final class DirectEncoder implements Encoder {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    private final BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);

    @Override
    public byte[] encode(BinanceTrade trade, String canonical, int partition, long offset) throws IOException {
        bytes.reset();
        bytes.write(0);
        encoder.writeFixed(new byte[] {0, 0, 0, 1}); // schema id
        encoder.writeLong(trade.tradeTime * 1000);
        encoder.writeLong(trade.receiveTime);
        encoder.writeLong(System.currentTimeMillis() * 1000);
        encoder.writeFixed(Encoder.fixed(trade.price));
        encoder.writeFixed(Encoder.fixed(trade.quantity));
        encoder.writeEnum(trade.buyerIsMaker ? 1 : 0);
        encoder.writeLong(offset);
        encoder.writeLong(trade.id);
        encoder.writeInt(partition);
        encoder.writeInt(1);
        encoder.writeString("binance");
        encoder.writeString(trade.symbol);
        encoder.writeString(canonical);
        encoder.writeString(Long.toString(trade.id));
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
}
