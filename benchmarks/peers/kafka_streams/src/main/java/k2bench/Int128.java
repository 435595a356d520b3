package k2bench;

import java.nio.ByteBuffer;

/** A non-negative 128-bit integer: a decimal of scale 18, as fixed(16) carries it. Faster here than BigDecimal. */
record Int128(long high, long low) implements Comparable<Int128> {
    static final int BYTES = 16;
    static final Int128 ZERO = new Int128(0, 0);

    static Int128 get(ByteBuffer buffer) {
        return new Int128(buffer.getLong(), buffer.getLong());
    }

    void put(ByteBuffer buffer) {
        buffer.putLong(high).putLong(low);
    }

    Int128 plus(Int128 other) {
        long sum = low + other.low;
        long carry = Long.compareUnsigned(sum, low) < 0 ? 1 : 0;
        return new Int128(high + other.high + carry, sum);
    }

    @Override
    public int compareTo(Int128 other) {
        int order = Long.compare(high, other.high);
        return order != 0 ? order : Long.compareUnsigned(low, other.low);
    }
}
