"""The raw records: from their topics, and from Iceberg's bronze where they have expired there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from k2stream import topics
from k2stream.settings import Settings
from k2stream.verify import iceberg
from k2stream.verify.native import judge
from k2stream.verify.parquet import Writer
from k2stream.verify.raw_log import Bounds, held, read_to_end
from k2stream.verify.rules import NATIVE

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

_FETCHED = "-rest-"
"""Part of the connection of trades that were fetched over REST: bronze has no other mark of them."""


@dataclass(slots=True)
class Extent:
    """By (exchange, partition): the first raw record that is known, and where the topic begins."""

    first: dict[tuple[str, int], int] = field(default_factory=dict)
    begin: dict[tuple[str, int], int] = field(default_factory=dict)
    records: int = 0


async def ends(settings: Settings) -> dict[str, Bounds]:
    """What the raw topics hold now, by exchange: every layer has to have it all."""
    return {name: await held(settings, topics.raw(name)) for name in topics.EXCHANGES}


async def dump(settings: Settings, folder: Path, required: Mapping[str, Bounds]) -> Extent:
    """All raw records to `<folder>/<exchange>.parquet`; those below the ends of `required` are marked."""
    extent = Extent()
    for exchange in topics.EXCHANGES:
        bounds = await held(settings, topics.raw(exchange))
        wanted = {number: part.end for number, part in required[exchange].items()}
        with Writer(folder / f"{exchange}.parquet", SCHEMA) as writer:
            for number, part in bounds.items():
                extent.first[exchange, number] = extent.begin[exchange, number] = part.begin
                if part.begin:
                    _cold(settings, writer, exchange, number, part.begin, extent)
            async for number, records in read_to_end(settings, topics.raw(exchange), bounds):
                rows = ((record.offset, record.value) for record in records)
                writer.rows(_judged(exchange, number, rows, wanted.get(number, 0), cold=False))
            extent.records += writer.count
    return extent


def _judged(
    exchange: str, number: int, rows: Iterable[tuple[int, bytes | None]], end: int, *, cold: bool
) -> Iterator[tuple[Any, ...]]:
    for offset, value in rows:
        yield (number, offset, value or b"", offset < end, cold, *judge(exchange, value))


def _cold(settings: Settings, writer: Writer, exchange: str, number: int, begin: int, extent: Extent) -> None:
    """What bronze has of the offsets below a topic's beginning, if nothing lies between the two."""
    table = iceberg.load(settings, f"bronze_trades_{exchange}")
    mine = f"raw_partition == {number}"
    if table is None or not iceberg.reaches(table, mine, begin):
        return
    first = begin
    for piece in iceberg.pieces(table, f"{mine} and raw_offset < {begin}"):
        offsets = piece["raw_offset"].to_pylist()
        first = min([first, *offsets])
        rows = zip(offsets, _bodies(exchange, piece), strict=True)
        writer.rows(_judged(exchange, number, rows, begin, cold=True))
    extent.first[exchange, number] = first


def _bodies(exchange: str, rows: pa.Table) -> Iterator[bytes]:
    """Bronze rows as the raw records they came from."""
    columns = {name: rows[iceberg.RENAMED.get(name, name)].to_pylist() for name in NATIVE[exchange]}
    columns |= {"k2_recv": iceberg.micros(rows["receive_time"]).to_pylist()}
    columns |= {"k2_conn": rows["connection"].to_pylist(), "k2_seq": rows["sequence"].to_pylist()}
    for values in zip(*columns.values(), strict=True):
        fields = {name: value for name, value in zip(columns, values, strict=True) if value is not None}
        if _FETCHED in fields["k2_conn"]:
            fields["k2_backfilled"] = True
        yield json.dumps(fields, separators=(",", ":")).encode()
