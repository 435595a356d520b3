"""The canonical trades of each layer in one form: topics, ClickHouse, Iceberg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from k2stream.reconcile.oracle import avro, clickhouse, iceberg
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import Bounds, read_to_end
from k2stream.reconcile.oracle.rules import items, pairs, scaled
from k2stream.reconcile.oracle.unreadable import UnreadableRecords
from k2stream.settings import ClickHouseSettings, IcebergSettings, KafkaSettings

WHOLE = (
    "timestamp",
    "receive_time",
    "process_time",
    "sequence",
    "trade_count",
    "raw_partition",
    "raw_offset",
)
TEXT = ("exchange", "symbol", "canonical_symbol", "trade_id", "side")
NUMBERS = ("price", "quantity")
LISTS = ("trade_conditions", "validation_errors")
_NAMES = (*WHOLE, *TEXT, *NUMBERS, "vendor_data", *LISTS)
_SCHEMA = pa.schema([(name, pa.int64() if name in WHOLE else pa.string()) for name in _NAMES])

COMPARED = (
    *("timestamp", "receive_time", "price", "quantity", "side", "sequence", "trade_count", "symbol"),
    *("canonical_symbol", "trade_id", "vendor_data", "trade_conditions", "validation_errors"),
)
"""All columns except the position, which is the key, and the process time, which no rule defines."""

_EPOCH = (
    "arrayStringConcat(arrayFilter(x -> x NOT LIKE 'epoch:%', splitByChar('\\n', trade_conditions)), '\\n')"
)


def table(engine: OracleEngine, name: str, path: Path, numbers: str = "toInt256({})", **columns: str) -> None:
    """Create a table of trades from a Parquet file; `numbers` and `columns` are SQL for converted columns.

    The epoch of a numbering that has started again becomes a separate column.
    """
    sql = {name: numbers.format(name) for name in NUMBERS} | columns
    whole = {name: f"toInt64(assumeNotNull({name}))" for name in WHOLE}
    text = {name: f"toString(assumeNotNull({name}))" for name in TEXT}
    selected = ", ".join(f"{(whole | text | sql).get(name, name)} AS {name}" for name in _NAMES)
    engine.table(
        name,
        f"""SELECT * REPLACE ({_EPOCH} AS trade_conditions),
                toInt64OrZero(extract(trade_conditions, 'epoch:([0-9]+)')) AS epoch
            FROM (SELECT {selected} FROM file('{path}', Parquet))""",
        "(exchange, raw_partition, raw_offset)",
    )


def nothing(path: Path) -> None:
    """Write a file without rows, for a layer that does not exist."""
    with ParquetWriter(path, _SCHEMA):
        pass


async def topic(
    settings: KafkaSettings,
    engine: OracleEngine,
    name: str,
    source: tuple[str, Bounds],
    path: Path,
    bad: UnreadableRecords,
) -> None:
    """Load the trades of a topic's records; records that are not trades are added to `bad`."""
    records = avro.Records(settings, "trade")
    where, bounds = source
    with ParquetWriter(path, _SCHEMA) as writer:
        async for partition, batch in read_to_end(settings, where, bounds):
            writer.rows(_decoded(records, where, partition, batch, bad))
    table(engine, name, path)


def _decoded(
    records: avro.Records, where: str, partition: int, batch: Any, bad: UnreadableRecords
) -> Iterator[list[Any]]:
    for record in batch:
        fields = records.read(record.value)
        if fields is None or not _storable(fields):
            bad.add(where, partition, record.offset, record.value)
        else:
            yield _row(fields)


def _storable(fields: Mapping[str, Any]) -> bool:
    """Whether the values fit the columns of all layers."""
    times = (fields[name] for name in ("timestamp", "receive_time", "process_time"))
    numbers = (int(avro.number(fields[name])) for name in NUMBERS)
    return all(0 <= time < 10**16 for time in times) and all(abs(number) < 10**38 for number in numbers)


def _row(fields: Mapping[str, Any]) -> list[Any]:
    vendor = sorted(f"{name}={value}" for name, value in fields["vendor_data"].items() if value)
    return [
        *(fields[name] for name in (*WHOLE, *TEXT)),
        *(avro.number(fields[name]) for name in NUMBERS),
        "\n".join(vendor),
        *("\n".join(fields[name]) for name in LISTS),
    ]


def hot(settings: ClickHouseSettings, engine: OracleEngine, name: str, path: Path) -> None:
    """Load ClickHouse's silver."""
    times = ("timestamp", "receive_time", "process_time")
    sql = {name: f"toString(stored.{name})" for name in (*TEXT, *NUMBERS)}
    sql |= {name: f"toInt64(stored.{name})" for name in WHOLE}
    sql |= {name: f"toUnixTimestamp64Micro(stored.{name})" for name in times}
    sql |= {"vendor_data": pairs("stored.vendor_data")} | {name: items(f"stored.{name}") for name in LISTS}
    columns = {name: (sql[name], _SCHEMA.field(name).type) for name in _NAMES}
    clickhouse.dump(settings, "silver_trades FINAL", columns, path)
    table(engine, name, path, scaled("{}"))


def cold(settings: IcebergSettings, engine: OracleEngine, name: str, path: Path) -> None:
    """Load Iceberg's silver."""
    if not iceberg.dump(settings, "silver_trades", path):
        nothing(path)
        return table(engine, name, path)
    lists = {name: items(f"CAST({name}, 'Array(String)')") for name in LISTS}
    vendor = pairs("CAST(vendor_data, 'Map(String, String)')")
    return table(engine, name, path, f"assumeNotNull({scaled('{}')})", vendor_data=vendor, **lists)
