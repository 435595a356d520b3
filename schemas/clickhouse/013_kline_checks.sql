-- Comparisons of final candles with the exchanges' own klines: of a revision, the last one counts.
CREATE TABLE IF NOT EXISTS ${database}.kline_checks
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    canonical_symbol LowCardinality(String),
    timeframe LowCardinality(String),
    open_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    revision Int64 CODEC(ZSTD(1)),
    status LowCardinality(String),
    checked_time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    fields Array(String) CODEC(ZSTD(1)),
    ours Array(String) CODEC(ZSTD(1)),
    theirs Array(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(checked_time)
PARTITION BY toYYYYMM(open_time)
ORDER BY (exchange, canonical_symbol, timeframe, open_time, revision)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS ${database}.kline_checks_view AS
SELECT * FROM ${database}.kline_checks FINAL;
