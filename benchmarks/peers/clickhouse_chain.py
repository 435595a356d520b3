"""ClickHouse materialised views in chdb, in process and without Kafka: raw -> bronze -> silver -> 1m candles.

Records arrive in blocks of BENCH_BLOCK, as a sink that wants them fresh would insert them. Less than K2 does:
one timeframe, no deduplication, no late topic, no exactly-once positions; reading Kafka is not counted.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from chdb import session

from benchmarks.check import tables
from benchmarks.progress import Counter
from benchmarks.stages.records import fetch

TABLES = (
    "CREATE DATABASE chain",
    "CREATE TABLE chain.raw (record String) ENGINE = Null",
    """CREATE TABLE chain.bronze (
        symbol LowCardinality(String), trade_id UInt64, price Decimal(38, 18), quantity Decimal(38, 18),
        buyer_is_maker Bool, trade_time DateTime64(6, 'UTC'), receive_time DateTime64(6, 'UTC'),
        event_time UInt64
    ) ENGINE = MergeTree ORDER BY (symbol, trade_time)""",
    """CREATE TABLE chain.silver (
        exchange LowCardinality(String), symbol LowCardinality(String),
        canonical_symbol LowCardinality(String), trade_id String, sequence UInt64,
        side Enum8('BUY' = 1, 'SELL' = 2), price Decimal(38, 18),
        quantity Decimal(38, 18), timestamp DateTime64(6, 'UTC'), receive_time DateTime64(6, 'UTC'),
        trade_count UInt32, vendor_data Map(String, String)
    ) ENGINE = MergeTree ORDER BY (exchange, canonical_symbol, timestamp)""",
    """CREATE TABLE chain.ohlcv_1m (
        exchange LowCardinality(String), canonical_symbol LowCardinality(String), open_time DateTime('UTC'),
        open AggregateFunction(argMin, Decimal(38, 18), Tuple(DateTime64(6, 'UTC'), UInt64)),
        high SimpleAggregateFunction(max, Decimal(38, 18)),
        low SimpleAggregateFunction(min, Decimal(38, 18)),
        close AggregateFunction(argMax, Decimal(38, 18), Tuple(DateTime64(6, 'UTC'), UInt64)),
        volume SimpleAggregateFunction(sum, Decimal(38, 18)),
        quote_volume SimpleAggregateFunction(sum, Decimal(76, 36)),
        taker_buy_volume SimpleAggregateFunction(sum, Decimal(38, 18)),
        taker_buy_quote_volume SimpleAggregateFunction(sum, Decimal(76, 36)),
        trade_count SimpleAggregateFunction(sum, UInt64)
    ) ENGINE = AggregatingMergeTree ORDER BY (exchange, canonical_symbol, open_time)""",
    """CREATE MATERIALIZED VIEW chain.to_bronze TO chain.bronze AS SELECT
        JSONExtractString(record, 's') AS symbol,
        JSONExtractUInt(record, 't') AS trade_id,
        toDecimal128(JSONExtractString(record, 'p'), 18) AS price,
        toDecimal128(JSONExtractString(record, 'q'), 18) AS quantity,
        JSONExtractBool(record, 'm') AS buyer_is_maker,
        fromUnixTimestamp64Milli(JSONExtractInt(record, 'T')) AS trade_time,
        fromUnixTimestamp64Micro(JSONExtractInt(record, 'k2_recv')) AS receive_time,
        JSONExtractUInt(record, 'E') AS event_time
    FROM chain.raw""",
    """CREATE MATERIALIZED VIEW chain.to_silver TO chain.silver AS SELECT
        'binance' AS exchange, symbol,
        concat(substring(symbol, 1, length(symbol) - 4), '/', substring(symbol, -4)) AS canonical_symbol,
        toString(trade_id) AS trade_id, bronze.trade_id AS sequence,
        if(buyer_is_maker, 'SELL', 'BUY') AS side,
        price, quantity, trade_time AS timestamp, receive_time, 1 AS trade_count,
        map('E', toString(event_time)) AS vendor_data
    FROM chain.bronze AS bronze""",
    """CREATE MATERIALIZED VIEW chain.to_ohlcv_1m TO chain.ohlcv_1m AS SELECT
        exchange, canonical_symbol, toStartOfMinute(timestamp) AS open_time,
        argMinState(price, (timestamp, sequence)) AS open,
        max(price) AS high, min(price) AS low,
        argMaxState(price, (timestamp, sequence)) AS close,
        sum(quantity) AS volume,
        sum(multiplyDecimal(price, quantity, 36)) AS quote_volume,
        sumIf(quantity, side = 'BUY') AS taker_buy_volume,
        sumIf(multiplyDecimal(price, quantity, 36), side = 'BUY') AS taker_buy_quote_volume,
        sum(trade_count) AS trade_count
    FROM chain.silver GROUP BY exchange, canonical_symbol, open_time""",
)

EXPORTS = {
    tables.SILVER: """SELECT symbol, sequence, price, quantity, side = 'SELL' AS sold,
        toUnixTimestamp64Micro(timestamp) AS time_us FROM chain.silver""",
    tables.CANDLES: """SELECT exchange, canonical_symbol, toUnixTimestamp(open_time) * 1000 AS open_ms,
        argMinMerge(open) AS open, max(high) AS high, min(low) AS low, argMaxMerge(close) AS close,
        sum(volume) AS volume, sum(taker_buy_volume) AS taker_buy_volume, sum(quote_volume) AS quote_volume,
        sum(taker_buy_quote_volume) AS taker_buy_quote_volume, sum(trade_count) AS trade_count
        FROM chain.ohlcv_1m GROUP BY exchange, canonical_symbol, ohlcv_1m.open_time""",
}


def main() -> None:
    """Build the chain, read the records into memory, insert them in blocks; then export what came of them."""
    block = int(os.environ["BENCH_BLOCK"])
    state = Path(os.environ["BENCH_STATE"])
    values = fetch(int(os.environ["BENCH_RECORDS"]))
    blocks = [b"\n".join(values[start : start + block]) for start in range(0, len(values), block)]
    database = session.Session(str(state / "chdb"))
    for statement in TABLES:
        database.query(statement)
    counter = Counter()
    spool = state / "block.txt"
    for lines in blocks:
        spool.write_bytes(lines)
        database.query(f"INSERT INTO chain.raw SELECT line FROM file('{spool}', LineAsString, 'line String')")
        counter.add(lines.count(b"\n") + 1)
    for name, query in EXPORTS.items():
        database.query(f"INSERT INTO FUNCTION file('{state / name}', 'Parquet') {query}")
    signal.pause()  # until the harness has read its memory


if __name__ == "__main__":
    main()
