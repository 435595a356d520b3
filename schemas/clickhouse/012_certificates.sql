-- Certificates of candles: one row per certified revision. `missing` and `filled` count trade ids; they are NULL where
-- the exchange's ids do not tell. `certificate` is the whole of it: docs/certificates.md.
CREATE TABLE IF NOT EXISTS ${database}.candle_certificates
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    issued DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    trade_count Int64 CODEC(ZSTD(1)),
    records Int64 CODEC(ZSTD(1)),
    first_id Nullable(Int64) CODEC(ZSTD(1)),
    last_id Nullable(Int64) CODEC(ZSTD(1)),
    missing Nullable(Int64) CODEC(ZSTD(1)),
    filled Nullable(Int64) CODEC(ZSTD(1)),
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(ZSTD(1)),
    sha256 String CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    certificate String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, timeframe, open_time, revision)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.candle_certificates_view AS
SELECT * FROM ${database}.candle_certificates FINAL;
