"""Cold tables with some commits, and what they hold."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.maintenance import log, maintain
from k2stream.iceberg.maintenance.log import AuditVerdict
from k2stream.settings import IcebergSettings
from tests.integration.sink_samples import batch, candle, native, piece, trade

SILVER, GOLD, KRAKEN = (
    tables.TABLES[f"cold.{name}"].route for name in ("silver_trades", "gold_ohlcv_1m", "bronze_trades_kraken")
)
AT_ONCE = maintain.Limits(compact_rows=1_000_000, snapshot_seconds=0.0, orphan_seconds=0.0)
"""Nothing is too young to go."""


def opened(config: IcebergSettings) -> Iceberg:
    store = Iceberg(config)
    store.prepare([SILVER, GOLD, KRAKEN])
    return store


def write_trades(store: Iceberg, first: int, count: int = 100) -> None:
    """One commit of trades of two exchanges, raw offsets rising from `first`."""
    records = [
        trade(offset, exchange=("kraken", "binance")[offset % 2], symbol=f"S{offset % 3}")
        for offset in range(first, first + count)
    ]
    assert store.write(SILVER, batch(piece(SILVER, records, first=first))) == count


def fill(store: Iceberg, commits: int = 5, count: int = 100) -> None:
    """The same number of commits of silver, bronze and gold."""
    for number in range(commits):
        first = number * count
        write_trades(store, first, count)
        store.write(
            KRAKEN, batch(piece(KRAKEN, [native(n) for n in range(first, first + count)], first=first))
        )
        store.write(GOLD, batch(piece(GOLD, [candle(m, number + 1) for m in range(3)], first=3 * number)))


def held(config: IcebergSettings, name: str = "cold.silver_trades") -> Counter[int]:
    """How often each raw offset stands in the table."""
    rows = open_catalog(config).load_table(name).scan(selected_fields=("raw_offset",)).to_arrow()
    return Counter(rows["raw_offset"].to_pylist())


def once(count: int) -> Counter[int]:
    return Counter(range(count))


def all_well(name: str) -> AuditVerdict:
    return AuditVerdict("OK", 0, "")


NAMES = [SILVER.table, GOLD.table, KRAKEN.table, log.NAME]


def run(
    config: IcebergSettings,
    names: Sequence[str] = NAMES,
    limits: maintain.Limits = AT_ONCE,
    audit: Callable[[str], AuditVerdict] = all_well,
) -> list[Any]:
    """Maintain; the entries."""
    return list(maintain.maintain(open_catalog(config), maintain.names_of(names), limits, audit))
