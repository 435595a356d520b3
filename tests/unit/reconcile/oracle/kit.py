"""Layers in the oracle's engine, made of raw records by its own rules: right until a test breaks one."""

import json

from k2stream import topics
from k2stream.reconcile.oracle import oracle, raw, windows
from k2stream.reconcile.oracle.candles import ListedInstrument
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.layers import work
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw import SCHEMA, Extent
from k2stream.reconcile.oracle.raw_log import RetainedOffsets
from k2stream.reconcile.oracle.windows import TIMEFRAMES

GRACE = 5_000_000
INSTRUMENTS = [
    ListedInstrument("kraken", "XBT/USD", "BTC/USD"),
    ListedInstrument("binance", "BTCUSDT", "BTC/USDT"),
]


def record(fields):
    """A raw record's value."""
    return json.dumps(fields, separators=(",", ":")).encode()


def write(folder, exchange, values, first=0, required=1 << 62):
    """A file of an exchange's raw records."""
    with ParquetWriter(folder / f"{exchange}.parquet", SCHEMA) as writer:
        writer.rows(raw.judged(exchange, 0, enumerate(values, first), required, cold=False))


def expected(engine, folder, values, *, letters=(), first=0, required=1 << 62, grace=GRACE):
    """All that the oracle makes of raw `values` by exchange, and `letters`: (topic, offset, bytes)."""
    extent = Extent()
    for name in topics.EXCHANGES:
        write(folder, name, values.get(name, []), first, required)
        extent.first[name, 0] = extent.begin[name, 0] = first
    engine.run(
        """CREATE TABLE letters (exchange String, stage String, topic String, partition Int64, offset Int64,
            original String) ENGINE = Memory"""
    )
    for topic, offset, original in letters:
        engine.run(
            f"""INSERT INTO letters SELECT 'binance', 'normalize', '{topic}', 0, {offset},
            unhex('{original.hex()}')"""
        )
    oracle.expect(engine, folder, extent, INSTRUMENTS, grace)
    return extent


class Layers:
    """A platform's layers as tables of an engine."""

    def __init__(self, folder, values, letters=(), **options):
        self.engine, self.folder = OracleEngine(), folder
        self.extent = expected(self.engine, folder, values, letters=letters, **options)
        windows.expected_candles(self.engine, ["needed"])
        self.engine.table("right", "SELECT *, receive_time + 7 AS process_time, 0 AS epoch FROM silver")
        late = "SELECT * FROM right WHERE late"
        for name in ("canonical", "hot_silver", "cold_silver"):
            self.engine.table(name, "SELECT * FROM right")
        self.engine.table("late", late)
        for tier in ("hot", "cold"):
            for name in topics.EXCHANGES:
                self.engine.table(f"{tier}_bronze_{name}", f"SELECT * FROM bronze_{name}")
        fields = "* EXCEPT (last_offset, records), records + 1 AS revision, 1 AS final"
        candles = f"SELECT {fields} FROM expected_candles"
        for name in ("table_candles", "topic_candles", "hot_candles", "cold_candles"):
            self.engine.table(name, candles)
        self.engine.run("DROP TABLE expected_candles")
        self.engine.table(
            "unreadable", "SELECT '' AS topic, 0::Int64 AS partition, 0::Int64 AS offset, '' AS body WHERE 0"
        )

    def change(self, table, query):
        """Let a table hold a query's rows; `{table}` in it is what it held."""
        self.engine.table("changed", query.format(table=table))
        self.engine.run(f"DROP TABLE {table}")
        self.engine.run(f"RENAME TABLE changed TO {table}")

    def compare(self, *names, retention=500, begun=()):
        """The comparisons named, or all; of the topics in `begun` the beginning has expired."""
        every = (topics.NORMALIZED, topics.LATE, topics.DLQ, *map(topics.ohlcv, TIMEFRAMES))
        bounds = {name: {0: RetainedOffsets(5 if name in begun else 0, 1000)} for name in every}
        for table in ("asked", "mixed", "expected_candles", "judged"):
            self.engine.run(f"DROP TABLE IF EXISTS {table}")
        todo = work(self.engine, self.folder, self.extent, bounds, retention)
        return [todo[name]() for name in names or todo]

    def found(self, *names, **options):
        """Every difference as text."""
        return [str(item) for part in self.compare(*names, **options) for item in part.differences]
