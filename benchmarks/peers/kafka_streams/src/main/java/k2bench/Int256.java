package k2bench;

import java.nio.ByteBuffer;

/** A non-negative 256-bit integer, most significant word first: an exact sum of price × quantity at scale 36. */
record Int256(long w3, long w2, long w1, long w0) {
    static final int BYTES = 32;
    static final Int256 ZERO = new Int256(0, 0, 0, 0);

    static Int256 get(ByteBuffer buffer) {
        return new Int256(buffer.getLong(), buffer.getLong(), buffer.getLong(), buffer.getLong());
    }

    void put(ByteBuffer buffer) {
        buffer.putLong(w3).putLong(w2).putLong(w1).putLong(w0);
    }

    static Int256 product(Int128 a, Int128 b) {
        long upperLow = a.high() * b.high();
        long upperHigh = high(a.high(), b.high());
        Int256 outer = new Int256(upperHigh, upperLow, high(a.low(), b.low()), a.low() * b.low());
        Int256 left = new Int256(0, high(a.high(), b.low()), a.high() * b.low(), 0);
        Int256 right = new Int256(0, high(a.low(), b.high()), a.low() * b.high(), 0);
        return outer.plus(left).plus(right);
    }

    Int256 plus(Int256 other) {
        long s0 = w0 + other.w0;
        long c0 = Long.compareUnsigned(s0, w0) < 0 ? 1 : 0;
        long t1 = w1 + other.w1;
        long s1 = t1 + c0;
        long c1 = (Long.compareUnsigned(t1, w1) < 0 ? 1 : 0) + (Long.compareUnsigned(s1, t1) < 0 ? 1 : 0);
        long t2 = w2 + other.w2;
        long s2 = t2 + c1;
        long c2 = (Long.compareUnsigned(t2, w2) < 0 ? 1 : 0) + (Long.compareUnsigned(s2, t2) < 0 ? 1 : 0);
        return new Int256(w3 + other.w3 + c2, s2, s1, s0);
    }

    /** The upper word of an unsigned product (Math.unsignedMultiplyHigh needs Java 18). */
    private static long high(long a, long b) {
        return Math.multiplyHigh(a, b) + ((a >> 63) & b) + ((b >> 63) & a);
    }
}
