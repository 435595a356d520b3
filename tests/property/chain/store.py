"""Destinations of the trades, as those of test_sink_machine.py; rows are trades instead of offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k2stream.delivery.progress import SinkPosition
from k2stream.delivery.route import beyond
from tests.property.sink_stores import AtomicStore, Store

IDENTITY = ("canonical_symbol", "trade_id", "raw_offset")


class Hot(Store):
    """As ClickHouse: an insert's token is remembered, equal rows collapse, positions follow."""

    def _add(self, batch: Any, held: Mapping[int, SinkPosition]) -> int:
        count = 0
        for piece in batch.pieces:
            rows = beyond(piece.rows, held.get(piece.partition.partition, SinkPosition()).offset)
            self.rows.update(zip(*(rows[name].to_pylist() for name in IDENTITY), strict=True))
            count += len(rows)
        return count


class Cold(Hot, AtomicStore):
    """As Iceberg: rows and positions are one commit, and what the table holds is left out."""
