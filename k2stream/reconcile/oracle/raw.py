"""Reads raw records from their topics, and expired ones from Iceberg's bronze."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from k2stream import topics
from k2stream.reconcile.oracle import iceberg, venues
from k2stream.reconcile.oracle.native import judge
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import Bounds, read_to_end, retained
from k2stream.settings import IcebergSettings, KafkaSettings, Settings

SCHEMA = pa.schema(
    [
        ("raw_partition", pa.int64()),
        ("raw_offset", pa.int64()),
        ("body", pa.binary()),
        ("required", pa.bool_()),
        ("cold", pa.bool_()),
        ("readable", pa.bool_()),
        ("storable", pa.bool_()),
        ("plain_price", pa.string()),
        ("plain_quantity", pa.string()),
    ]
)

Lettered = Callable[[str, int], NDArray[np.int64]]
"""Returns the offsets of a topic partition that have dead letters: bronze has no rows for them."""

_FETCHED = "-rest-"
"""Part of the connection name of trades fetched over REST, and bronze's only mark of them."""


@dataclass(slots=True)
class Extent:
    """By (exchange, partition): the first known raw record, the first offset of the topic, and its end."""

    first: dict[tuple[str, int], int] = field(default_factory=dict)
    begin: dict[tuple[str, int], int] = field(default_factory=dict)
    end: dict[tuple[str, int], int] = field(default_factory=dict)
    records: int = 0

    def cuts(self) -> list[tuple[str, int]]:
        """The partitions whose first records are lost.

        After its count has grown, a partition begins at an offset that a lower one had reached by then.
        """
        return [place for place, first in self.first.items() if first and not self._grown(*place)]

    def _grown(self, exchange: str, number: int) -> bool:
        count = sum(name == exchange for name, _ in self.first)
        lower = {number % less for less in range(1, count) if count % less == 0} - {number}
        begun = [(exchange, other) for other in lower if self.first.get((exchange, other)) == 0]
        return any(self.end.get(place, 0) >= self.first[exchange, number] for place in begun)


async def ends(settings: KafkaSettings) -> dict[str, Bounds]:
    """The offsets that raw topics retain now, by exchange; every layer must have them all."""
    return {name: await retained(settings, topics.raw(name)) for name in topics.EXCHANGES}


async def dump(
    settings: Settings, folder: Path, required: Mapping[str, Bounds], lettered: Lettered
) -> Extent:
    """Write raw records to `<folder>/<exchange>.parquet`, and mark those below the ends in `required`."""
    extent = Extent()
    for exchange in topics.EXCHANGES:
        bounds = await retained(settings.kafka, topics.raw(exchange))
        wanted = {number: part.end for number, part in required[exchange].items()}
        with ParquetWriter(folder / f"{exchange}.parquet", SCHEMA) as writer:
            for number, part in bounds.items():
                extent.first[exchange, number] = extent.begin[exchange, number] = part.begin
                extent.end[exchange, number] = part.end
                if part.begin:
                    first = _cold(settings.iceberg, writer, exchange, number, part.begin, lettered)
                    extent.first[exchange, number] = first
            async for number, records in read_to_end(settings.kafka, topics.raw(exchange), bounds):
                rows = ((record.offset, record.value) for record in records)
                writer.rows(judged(exchange, number, rows, wanted.get(number, 0), cold=False))
            extent.records += writer.count
    return extent


def judged(
    exchange: str, number: int, rows: Iterable[tuple[int, bytes | None]], end: int, *, cold: bool
) -> Iterator[tuple[Any, ...]]:
    """Raw records as rows of SCHEMA; those below `end` are required."""
    for offset, value in rows:
        yield (number, offset, value or b"", offset < end, cold, *judge(exchange, value))


def _cold(
    settings: IcebergSettings,
    writer: ParquetWriter,
    exchange: str,
    number: int,
    begin: int,
    lettered: Lettered,
) -> int:
    """Write bronze's records right below a topic's first offset; returns the first known offset."""
    table = iceberg.load(settings, f"bronze_trades_{exchange}")
    if table is None:
        return begin
    mine = f"raw_partition == {number} and raw_offset < {begin}"
    stored = iceberg.offsets(table, mine)
    first = unbroken(np.concatenate((stored, lettered(topics.raw(exchange), number))), begin)
    for piece in iceberg.pieces(table, f"{mine} and raw_offset >= {first}"):
        values = bodies(exchange, piece, venues.for_exchange(exchange).renamed)
        rows = zip(piece["raw_offset"].to_pylist(), values, strict=True)
        writer.rows(judged(exchange, number, rows, begin, cold=True))
    return first


def unbroken(stored: NDArray[np.int64], begin: int) -> int:
    """The lowest offset from which on no offset below `begin` is missing in `stored`.

    A truncated or recreated log loses records without a trace, so records before a gap are not used.
    """
    below = np.unique(stored[stored < begin])
    gaps = np.flatnonzero(np.diff(np.append(below, begin)) != 1)
    known = below[gaps[-1] + 1 :] if len(gaps) else below
    return int(known[0]) if len(known) else begin


def bodies(exchange: str, rows: pa.Table, renamed: Mapping[str, str]) -> Iterator[bytes]:
    """Convert bronze rows back to raw records; `renamed` has the columns with other names."""
    venue = venues.for_exchange(exchange)
    columns = {name: rows[renamed.get(name, name)].to_pylist() for name in venue.columns}
    columns |= {"k2_recv": iceberg.micros(rows["receive_time"]).to_pylist()}
    columns |= {"k2_conn": rows["connection"].to_pylist(), "k2_seq": rows["sequence"].to_pylist()}
    for values in zip(*columns.values(), strict=True):
        fields = {name: value for name, value in zip(columns, values, strict=True) if value is not None}
        if _FETCHED in fields["k2_conn"]:
            fields["k2_backfilled"] = True
        yield json.dumps(fields, separators=(",", ":")).encode()
