-- Candles: the revisions of one collapse into the highest. The views read right at any moment; the tables alone
-- show revisions that are not merged yet.
CREATE TABLE IF NOT EXISTS ${database}.ohlcv_1m
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_1m_view AS
SELECT * FROM ${database}.ohlcv_1m FINAL;

CREATE TABLE IF NOT EXISTS ${database}.ohlcv_5m
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_5m_view AS
SELECT * FROM ${database}.ohlcv_5m FINAL;

CREATE TABLE IF NOT EXISTS ${database}.ohlcv_15m
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_15m_view AS
SELECT * FROM ${database}.ohlcv_15m FINAL;

CREATE TABLE IF NOT EXISTS ${database}.ohlcv_30m
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_30m_view AS
SELECT * FROM ${database}.ohlcv_30m FINAL;

CREATE TABLE IF NOT EXISTS ${database}.ohlcv_1h
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_1h_view AS
SELECT * FROM ${database}.ohlcv_1h FINAL;

CREATE TABLE IF NOT EXISTS ${database}.ohlcv_1d
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    close_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)),
    quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_volume Decimal(38, 18) CODEC(ZSTD(1)),
    taker_buy_quote_volume Decimal(38, 18) CODEC(ZSTD(1)),
    vwap Decimal(38, 18) CODEC(ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    first_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    last_trade_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    final Bool,
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, open_time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.ohlcv_1d_view AS
SELECT * FROM ${database}.ohlcv_1d FINAL;
