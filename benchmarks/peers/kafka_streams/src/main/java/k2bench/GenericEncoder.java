package k2bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;

/** The usual way: a GenericRecord and its writer. */
final class GenericEncoder implements Encoder {
    private static final Schema PRICE = TradeSchema.SCHEMA.getField("price").schema();
    private static final Schema QUANTITY = TradeSchema.SCHEMA.getField("quantity").schema();
    private static final Schema SIDE = TradeSchema.SCHEMA.getField("side").schema();

    private final GenericDatumWriter<GenericRecord> writer = new GenericDatumWriter<>(TradeSchema.SCHEMA);
    private BinaryEncoder encoder;

    @Override
    public byte[] encode(BinanceTrade trade, String canonical, int partition, long offset) throws IOException {
        GenericRecord record = new GenericData.Record(TradeSchema.SCHEMA);
        record.put("timestamp", trade.tradeTime * 1000);
        record.put("receive_time", trade.receiveTime);
        record.put("price", new GenericData.Fixed(PRICE, Encoder.fixed(trade.price)));
        record.put("quantity", new GenericData.Fixed(QUANTITY, Encoder.fixed(trade.quantity)));
        record.put("side", new GenericData.EnumSymbol(SIDE, trade.buyerIsMaker ? "SELL" : "BUY"));
        record.put("raw_offset", offset);
        record.put("sequence", trade.id);
        record.put("raw_partition", partition);
        record.put("trade_count", 1);
        record.put("exchange", "binance");
        record.put("symbol", trade.symbol);
        record.put("canonical_symbol", canonical);
        record.put("trade_id", Long.toString(trade.id));
        record.put("process_time", System.currentTimeMillis() * 1000);
        record.put("vendor_data", Map.of("E", Long.toString(trade.eventTime)));
        record.put("trade_conditions", List.of());
        record.put("validation_errors", List.of());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        bytes.write(new byte[] {0, 0, 0, 0, 1}); // magic and schema id
        encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
        writer.write(record, encoder);
        encoder.flush();
        return bytes.toByteArray();
    }
}
