package k2bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.apache.avro.Schema;

/** schemas/avro/trade.avsc, which the build puts on the class path. */
final class TradeSchema {
    static final Schema SCHEMA = read();

    private static Schema read() {
        try (InputStream file = TradeSchema.class.getResourceAsStream("/trade.avsc")) {
            return new Schema.Parser().parse(file);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private TradeSchema() {}
}
