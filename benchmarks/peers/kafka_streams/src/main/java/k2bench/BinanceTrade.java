package k2bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.module.blackbird.BlackbirdModule;

/** A raw record: the fields of Binance's trade stream, and the receive time. */
@JsonIgnoreProperties(ignoreUnknown = true)
final class BinanceTrade {
    static final ObjectReader READER =
        new ObjectMapper().registerModule(new BlackbirdModule()).readerFor(BinanceTrade.class);

    @JsonProperty("E") public long eventTime;
    @JsonProperty("s") public String symbol;
    @JsonProperty("t") public long id;
    @JsonProperty("p") public String price;
    @JsonProperty("q") public String quantity;
    @JsonProperty("T") public long tradeTime;
    @JsonProperty("m") public boolean buyerIsMaker;
    @JsonProperty("k2_recv") public long receiveTime;
}
