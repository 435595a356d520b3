"""Raw records that a topic no longer retains, from the bronze tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from k2stream import exchanges, topics
from k2stream.batch import TP, RecordBatch
from k2stream.clickhouse.destination import connect
from k2stream.iceberg import read
from k2stream.iceberg.catalog import Catalog
from k2stream.iceberg.tables import RENAMED
from k2stream.layers import table as layer_tables
from k2stream.layers.schema import BRONZE, UTC_MICROSECONDS
from k2stream.replay import native
from k2stream.settings import ClickHouseSettings

SPAN = 200_000
"""Offsets read at once: their rows are in memory together."""


class Bronze:
    """Raw records from Iceberg's bronze, and with `settings` also those that only ClickHouse's bronze has.

    When a topic is lost, the cold worker can no longer read the records that it has not committed yet.
    """

    def __init__(self, catalog: Catalog, settings: ClickHouseSettings | None = None) -> None:
        self._catalog, self._settings = catalog, settings

    def batch(self, exchange: str, partition: int, start: int, end: int) -> RecordBatch | None:
        """Raw records at offsets [start, end), without dead letters; None when there are none."""
        rows = self._cold(exchange, partition, start, end)
        if self._settings is not None:
            rows = pa.concat_tables(
                [rows, self._only_hot(exchange, partition, start, end, rows["raw_offset"])]
            )
        if not len(rows):
            return None
        offsets, order = np.unique(rows["raw_offset"].to_numpy(), return_index=True)
        rows = rows.take(pa.array(order))
        symbols = rows[exchanges.get(exchange).native.symbol].to_pylist()
        return RecordBatch(
            TP(topics.raw(exchange), partition),
            offsets,
            rows["receive_time"].cast(pa.int64()).to_numpy() // 1000,
            [symbol.encode() for symbol in symbols],
            list(native.records(exchange, rows)),
        )

    def _cold(self, exchange: str, partition: int, start: int, end: int) -> pa.Table:
        where = f"raw_partition == {partition} and raw_offset >= {start} and raw_offset < {end}"
        table = read.find(self._catalog, layer_tables.BRONZE[exchange].cold)
        if table is None:
            return _plain(BRONZE[exchange]).empty_table()
        return named(exchange, read.scan(table, where))

    def _only_hot(self, exchange: str, partition: int, start: int, end: int, known: Any) -> pa.Table:
        assert self._settings is not None
        schema, client = _plain(BRONZE[exchange]), connect(self._settings)
        table = f"{self._settings.database}.{layer_tables.BRONZE[exchange].hot}"
        where = "raw_partition = %(partition)s AND raw_offset >= %(start)s AND raw_offset < %(end)s"
        bounds: dict[str, Any] = {"partition": partition, "start": start, "end": end}
        try:
            stored = client.execute(f"SELECT DISTINCT raw_offset FROM {table} WHERE {where}", bounds)
            missing = np.setdiff1d(np.array(stored, np.int64).reshape(-1), known.to_numpy())
            if not len(missing):
                return schema.empty_table()
            bounds |= {"start": int(missing[0]), "end": int(missing[-1]) + 1}
            columns = ", ".join(map(_read, schema))
            once = "ORDER BY raw_offset LIMIT 1 BY raw_offset"
            found = client.execute(
                f"SELECT {columns} FROM {table} WHERE {where} {once}", bounds, columnar=True
            )
        finally:
            client.disconnect()
        arrays = [pa.array(list(column), field.type) for column, field in zip(found, schema, strict=True)]
        rows = pa.table(arrays, schema=schema)
        return rows.filter(pa.array(np.isin(rows["raw_offset"].to_numpy(), missing)))


def named(exchange: str, rows: pa.Table) -> pa.Table:
    """Iceberg's bronze rows under the exchange's own column names."""
    schema = _plain(BRONZE[exchange])
    stored = rows.select([RENAMED.get(name, name) for name in schema.names])
    return stored.rename_columns(schema.names).cast(schema)


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types instead of dictionaries."""
    kinds = [(field.name, field.type) for field in schema]
    return pa.schema([(name, getattr(kind, "value_type", kind)) for name, kind in kinds])


def _read(field: pa.Field) -> str:
    """The SQL that selects a column, with times as µs."""
    return f"toUnixTimestamp64Micro({field.name})" if field.type == UTC_MICROSECONDS else field.name
