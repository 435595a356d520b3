-- Each exchange's trades in its own fields and literal digits. The position is part of the sorting key: identical
-- trades stay apart, a row that is inserted again collapses. Rows live 7 days from their receipt, whatever their
-- trade time: a replay of old captures is kept as long as a live feed.
CREATE TABLE IF NOT EXISTS ${database}.bronze_trades_binance
(
    e LowCardinality(String), -- trade or aggTrade
    E Nullable(Int64) CODEC(ZSTD(1)), -- event time, ms
    s LowCardinality(String),
    t Nullable(Int64) CODEC(ZSTD(1)), -- trade id
    a Nullable(Int64) CODEC(ZSTD(1)), -- aggregated trade id; of a trade the seller's order
    b Nullable(Int64) CODEC(ZSTD(1)), -- the buyer's order
    f Nullable(Int64) CODEC(ZSTD(1)), -- first trade id of an aggregated trade
    l Nullable(Int64) CODEC(ZSTD(1)), -- last trade id of it
    p String CODEC(ZSTD(1)),
    q String CODEC(ZSTD(1)),
    T Int64 CODEC(DoubleDelta, ZSTD(1)), -- trade time, ms
    m Bool, -- the buyer is the maker
    M Nullable(Bool),
    receive_time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    connection LowCardinality(String),
    sequence Int64 CODEC(DoubleDelta, ZSTD(1)),
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(receive_time)
ORDER BY (s, T, raw_partition, raw_offset)
TTL toDateTime(receive_time) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS ${database}.bronze_trades_kraken
(
    pair LowCardinality(String), -- XBT/USD
    price String CODEC(ZSTD(1)),
    volume String CODEC(ZSTD(1)),
    time String CODEC(ZSTD(1)), -- seconds.microseconds
    side LowCardinality(String), -- the taker's: b or s
    orderType LowCardinality(String), -- l or m
    misc String CODEC(ZSTD(1)),
    receive_time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    connection LowCardinality(String),
    sequence Int64 CODEC(DoubleDelta, ZSTD(1)),
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(receive_time)
ORDER BY (pair, time, raw_partition, raw_offset)
TTL toDateTime(receive_time) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS ${database}.bronze_trades_coinbase
(
    trade_id String CODEC(ZSTD(1)),
    product_id LowCardinality(String), -- BTC-USD
    price String CODEC(ZSTD(1)),
    size String CODEC(ZSTD(1)),
    side LowCardinality(String), -- the maker's: BUY or SELL
    time String CODEC(ZSTD(1)),
    type LowCardinality(String), -- snapshot or update
    receive_time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    connection LowCardinality(String),
    sequence Int64 CODEC(DoubleDelta, ZSTD(1)),
    raw_partition Int32 CODEC(ZSTD(1)),
    raw_offset Int64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(receive_time)
ORDER BY (product_id, time, trade_id, raw_partition, raw_offset)
TTL toDateTime(receive_time) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;
