package k2bench;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;

/** Writes a canonical trade in the Confluent wire format. */
interface Encoder {
    int SCALE = 18;

    byte[] encode(BinanceTrade trade, String canonical, int partition, long offset) throws IOException;

    /** A literal as fixed(16) of scale 18. */
    static byte[] fixed(String decimal) {
        byte[] magnitude = new BigDecimal(decimal).setScale(SCALE).unscaledValue().toByteArray();
        byte[] fixed = new byte[16];
        if (magnitude[0] < 0) {
            Arrays.fill(fixed, (byte) -1);
        }
        System.arraycopy(magnitude, 0, fixed, 16 - magnitude.length, magnitude.length);
        return fixed;
    }
}
