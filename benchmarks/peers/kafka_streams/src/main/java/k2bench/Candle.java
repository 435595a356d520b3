package k2bench;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** The state of one window, exact: the same content as K2's, in a fixed layout. */
final class Candle {
    private static final int BYTES = 6 * Int128.BYTES + 2 * Int256.BYTES + 8 * Long.BYTES;

    private Int128 open;
    private Int128 high;
    private Int128 low;
    private Int128 close;
    private Int128 volume = Int128.ZERO;
    private Int128 takerBuyVolume = Int128.ZERO;
    private Int256 quoteVolume = Int256.ZERO;
    private Int256 takerBuyQuoteVolume = Int256.ZERO;
    private long openTime;
    private long openSequence;
    private long closeTime;
    private long closeSequence;
    private long trades;
    private long records;
    private long rawOffset;
    private long receiveTime;

    Candle add(HotTrade trade) {
        Int128 price = trade.price();
        if (records == 0) {
            open = high = low = close = price;
            openTime = closeTime = trade.timestamp();
            openSequence = closeSequence = trade.sequence();
        } else {
            high = price.compareTo(high) > 0 ? price : high;
            low = price.compareTo(low) < 0 ? price : low;
            if (isBefore(trade.timestamp(), trade.sequence(), openTime, openSequence)) {
                open = price;
                openTime = trade.timestamp();
                openSequence = trade.sequence();
            }
            if (!isBefore(trade.timestamp(), trade.sequence(), closeTime, closeSequence)) {
                close = price;
                closeTime = trade.timestamp();
                closeSequence = trade.sequence();
            }
        }
        Int256 quote = Int256.product(price, trade.quantity());
        volume = volume.plus(trade.quantity());
        quoteVolume = quoteVolume.plus(quote);
        if (trade.takerBuy()) {
            takerBuyVolume = takerBuyVolume.plus(trade.quantity());
            takerBuyQuoteVolume = takerBuyQuoteVolume.plus(quote);
        }
        trades += trade.tradeCount();
        records++;
        rawOffset = trade.rawOffset();
        receiveTime = trade.receiveTime();
        return this;
    }

    private static boolean isBefore(long time, long sequence, long otherTime, long otherSequence) {
        return time != otherTime ? time < otherTime : sequence < otherSequence;
    }

    static Serde<Candle> serde() {
        Serializer<Candle> write = (topic, candle) -> candle == null ? null : candle.write();
        Deserializer<Candle> read = (topic, bytes) -> bytes == null ? null : read(ByteBuffer.wrap(bytes));
        return Serdes.serdeFrom(write, read);
    }

    private byte[] write() {
        ByteBuffer buffer = ByteBuffer.allocate(BYTES);
        open.put(buffer);
        high.put(buffer);
        low.put(buffer);
        close.put(buffer);
        volume.put(buffer);
        takerBuyVolume.put(buffer);
        quoteVolume.put(buffer);
        takerBuyQuoteVolume.put(buffer);
        buffer.putLong(openTime).putLong(openSequence).putLong(closeTime).putLong(closeSequence);
        buffer.putLong(trades).putLong(records).putLong(rawOffset).putLong(receiveTime);
        return buffer.array();
    }

    private static Candle read(ByteBuffer buffer) {
        Candle candle = new Candle();
        candle.open = Int128.get(buffer);
        candle.high = Int128.get(buffer);
        candle.low = Int128.get(buffer);
        candle.close = Int128.get(buffer);
        candle.volume = Int128.get(buffer);
        candle.takerBuyVolume = Int128.get(buffer);
        candle.quoteVolume = Int256.get(buffer);
        candle.takerBuyQuoteVolume = Int256.get(buffer);
        candle.openTime = buffer.getLong();
        candle.openSequence = buffer.getLong();
        candle.closeTime = buffer.getLong();
        candle.closeSequence = buffer.getLong();
        candle.trades = buffer.getLong();
        candle.records = buffer.getLong();
        candle.rawOffset = buffer.getLong();
        candle.receiveTime = buffer.getLong();
        return candle;
    }
}
