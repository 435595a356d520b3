"""Compares Iceberg's live layers with the rebuilt ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from k2stream.iceberg import read
from k2stream.iceberg.catalog import Catalog
from k2stream.iceberg.fresh import NAMES, fresh_name
from k2stream.iceberg.read import Table
from k2stream.layers import gold
from k2stream.layers.table import TABLES
from k2stream.model.comparison import Comparison
from k2stream.replay.compare import KEY, bounded, rows
from k2stream.replay.places import Source

OFFSETS = 200_000
"""Offsets of a source compared at once: the rows of both sides are in memory."""


def trades(layer: Comparison, fresh: Table, live: Table, source: Source, bound: int, where: str) -> None:
    """Compare the rows of a source by raw position."""
    exchange, partition = source
    where = f"{where}raw_partition == {partition}"
    names = tuple(field.name for field in live.schema().fields if field.name != "process_time")
    end = min(bound, max(_highest(table, where) for table in (fresh, live)) + 1)
    for first in range(0, end, OFFSETS):
        within = f"{where} and raw_offset >= {first} and raw_offset < {min(first + OFFSETS, end)}"
        rebuilt, stored = (_positioned(table, within, names) for table in (fresh, live))
        rows(layer, rebuilt, stored, lambda offset: f"{exchange}[{partition}] offset {offset}")


def _positioned(table: Table, where: str, names: tuple[str, ...]) -> pa.Table:
    found = read.scan(table, where, names)
    return found.append_column(KEY, found["raw_offset"])


def _highest(table: Table, where: str) -> int:
    stored = table.scan(row_filter=where, selected_fields=("raw_offset",)).to_arrow_batch_reader()
    return max((pc.max(batch["raw_offset"]).as_py() for batch in stored if len(batch)), default=-1)


def candles(
    layer: Comparison, fresh: Table, live: Table, bounds: Mapping[Source, int], *, behind: bool
) -> None:
    """Compare candles by highest revision; with `behind`, missing or older ones are still to come."""
    ours, theirs = (_newest(table) for table in (fresh, live))
    at = pc.index_in(theirs[KEY], value_set=ours[KEY].combine_chunks())
    rebuilt = pc.take(ours["raw_offset"], at).fill_null(-1).to_numpy()
    stored = theirs["raw_offset"].to_numpy()
    limits = [
        bounded(bounds, *source)
        for source in zip(theirs["exchange"].to_pylist(), theirs["raw_partition"].to_pylist(), strict=True)
    ]
    elsewhere = stored >= np.array(limits, np.int64)
    closed = pc.take(ours["final"], at).fill_null(False)
    if behind:
        elsewhere |= stored < rebuilt
        ours = ours.filter(pc.is_in(ours[KEY], value_set=theirs[KEY].combine_chunks()))
    gone = theirs[KEY].filter(pa.array(elsewhere)).combine_chunks()
    layer.newer += len(gone)
    # A window that only the clock closed counts as open; one that the watermark closed must be final.
    theirs = _replaced(theirs, final=pc.and_(theirs["final"], closed))
    rows(
        layer,
        ours.filter(pc.invert(pc.is_in(ours[KEY], value_set=gone))),
        theirs.filter(pa.array(~elsewhere)),
        str,
    )


def _newest(table: Table) -> pa.Table:
    """Each candle once, its `revision` without the increment for a final one."""
    found = gold.newest(table.scan().to_arrow())
    opened = pc.strftime(found["open_time"], "%Y-%m-%d %H:%M")
    names = (column.cast(pa.string()) for column in (found["exchange"], found["canonical_symbol"], opened))
    key = pc.binary_join_element_wise(*names, " ")
    records = pc.subtract(found["revision"], found["final"].cast(pa.int64()))
    return _replaced(found, revision=records).append_column(KEY, key)


def _replaced(rows: pa.Table, **columns: Any) -> pa.Table:
    for name, column in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows


def layers(
    catalog: Catalog, bounds: Mapping[str, Mapping[Source, int]], *, behind: bool
) -> Iterator[Comparison]:
    """Compare all tables; `bounds` has, by hot table, the raw offsets where the comparison ends."""
    for hot, name in NAMES.items():
        layer = Comparison(f"Iceberg {name}")
        fresh, live = catalog.load_table(fresh_name(name)), catalog.load_table(name)
        table = TABLES[hot]
        if table.timeframe:
            candles(layer, fresh, live, bounds[hot], behind=behind)
        for source, bound in bounds[hot].items() if not table.timeframe else ():
            if table.takes(source[0]):
                where = "" if table.exchange else f"exchange == '{source[0]}' and "
                trades(layer, fresh, live, source, bound, where)
        yield layer
