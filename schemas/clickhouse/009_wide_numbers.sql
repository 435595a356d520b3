-- Numbers are Decimal(76, 18): a product or a quotient of two Decimal(38, 18) has 38 digits for 36 behind the point and
-- what stands before it, and wraps without an error (83298.34 * 0.00778826 was -31.8). Values and digits stay.
-- What is in the tables is rewritten once, in the background of a mutation.
ALTER TABLE ${database}.silver_trades
    MODIFY COLUMN price Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quantity Decimal(76, 18) CODEC(ZSTD(1));

-- Computed when it is read: costs nothing on insert.
ALTER TABLE ${database}.silver_trades ADD COLUMN IF NOT EXISTS notional Decimal(76, 36) ALIAS price * quantity;

ALTER TABLE ${database}.ohlcv_1m
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

ALTER TABLE ${database}.ohlcv_5m
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

ALTER TABLE ${database}.ohlcv_15m
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

ALTER TABLE ${database}.ohlcv_30m
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

ALTER TABLE ${database}.ohlcv_1h
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

ALTER TABLE ${database}.ohlcv_1d
    MODIFY COLUMN open Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN high Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN low Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN close Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN taker_buy_quote_volume Decimal(76, 18) CODEC(ZSTD(1)),
    MODIFY COLUMN vwap Decimal(76, 18) CODEC(ZSTD(1));

-- A DateTime ends in 2106: what is dated beyond it wrapped to before 1970 and expired at once.
ALTER TABLE ${database}.silver_trades
    MODIFY TTL toDateTime(least(timestamp, toDateTime64('2106-01-01 00:00:00', 6, 'UTC'))) + INTERVAL 30 DAY;

ALTER TABLE ${database}.bronze_trades_binance
    MODIFY TTL toDateTime(least(receive_time, toDateTime64('2106-01-01 00:00:00', 6, 'UTC'))) + INTERVAL 7 DAY;

ALTER TABLE ${database}.bronze_trades_kraken
    MODIFY TTL toDateTime(least(receive_time, toDateTime64('2106-01-01 00:00:00', 6, 'UTC'))) + INTERVAL 7 DAY;

ALTER TABLE ${database}.bronze_trades_coinbase
    MODIFY TTL toDateTime(least(receive_time, toDateTime64('2106-01-01 00:00:00', 6, 'UTC'))) + INTERVAL 7 DAY;
