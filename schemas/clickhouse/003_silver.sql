-- Canonical trades, every field of schemas/avro/trade.avsc; 30 days from their receipt.
CREATE TABLE IF NOT EXISTS ${database}.silver_trades
(
    timestamp DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)), -- the exchange's trade time
    receive_time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    process_time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    price Decimal(38, 18) CODEC(ZSTD(1)),
    quantity Decimal(38, 18) CODEC(ZSTD(1)),
    side Enum8('BUY' = 1, 'SELL' = 2), -- the taker's
    raw_offset Int64 CODEC(DoubleDelta, ZSTD(1)),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    raw_partition Int32 CODEC(ZSTD(1)),
    trade_count Int32 CODEC(ZSTD(1)),
    exchange LowCardinality(String),
    symbol LowCardinality(String), -- the exchange's own spelling
    canonical_symbol LowCardinality(String), -- BASE/QUOTE
    trade_id String CODEC(ZSTD(1)),
    vendor_data Map(String, String) CODEC(ZSTD(1)),
    trade_conditions Array(String) CODEC(ZSTD(1)),
    validation_errors Array(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(receive_time)
ORDER BY (exchange, canonical_symbol, timestamp, trade_id, raw_partition, raw_offset)
TTL toDateTime(receive_time) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;
