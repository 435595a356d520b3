"""Compares a destination's stored position with the last known one (pure).

An epoch is one incarnation of a table's rows of a topic partition. It is opened when the table starts the
partition, and again when the table lost rows it was known to have, so that a second write of the same ranges
is not taken for a retry. Epochs are ordered by name; the newest one counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from k2stream.delivery.progress import SinkBatch, SinkPosition, SourcePartition

_DIGITS = 16


class PositionVerdict(Enum):
    """What to do about a position."""

    CONTINUE = "it is where it was, or further on"
    FOLLOW = "another worker opened a newer epoch: continue from what is stored"
    REFILL = "it went back, and Kafka still has what is missing"
    REFUSE = "it went back, and Kafka does not have all that is missing"


def named(previous: str, now_us: int, nonce: str) -> str:
    """A name after `previous`: µs since 1970, and a nonce, as a clock or a whole database may go back."""
    after = int(previous[:_DIGITS]) + 1 if previous else 0
    return f"{max(now_us, after):0{_DIGITS}}-{nonce}"


def judge(known: SinkPosition, found: SinkPosition | None, earliest: int) -> PositionVerdict:
    """Compare `known`, once durable, with `found`, stored now (None: nothing). Kafka begins at `earliest`."""
    durable = found or SinkPosition()
    if durable.epoch > known.epoch:
        return PositionVerdict.FOLLOW
    if found is not None and durable.epoch == known.epoch and durable.offset >= known.offset:
        return PositionVerdict.CONTINUE
    return PositionVerdict.REFILL if earliest <= durable.offset + 1 else PositionVerdict.REFUSE


def follows(first: int, epoch: str, durable: SinkPosition) -> bool:
    """Whether a batch of an epoch that starts at offset `first` continues from the position `durable`.

    Positions of earlier releases have no epoch, nor have batches of writers that know none.
    """
    return first <= durable.offset + 1 and (not epoch or durable.epoch in ("", epoch))


def refilled(durable: SinkPosition, begin: int, *, everything: bool) -> SinkPosition | None:
    """The position to fill a table from, when Kafka begins at `begin`; None when nothing has to change.

    Marks detect replays of earlier content; there is none when `everything` is read again.
    """
    if everything:
        return replace(durable, offset=begin - 1, high_water_marks={}, source="")
    return replace(durable, offset=begin - 1) if begin > durable.offset + 1 else None


class Move(NamedTuple):
    """A position to save, and the offset that the stored position must have reached before."""

    after: int
    position: SinkPosition


Key = tuple[str, SourcePartition]
"""A table and a topic partition."""


def moves(written: Iterable[tuple[str, SinkBatch[Any, Any]]]) -> dict[Key, Move]:
    """The position moves that result from the written batches, given in the order they were written."""
    found: dict[Key, Move] = {}
    for table, batch in written:
        for piece in batch.pieces:
            key = (table, piece.partition)
            after = found[key].after if key in found else piece.first - 1
            found[key] = Move(after, piece.position)
    return found


def lost(table: str, partition: SourcePartition, durable: int, earliest: int) -> str:
    """One line about rows that neither the table nor Kafka has, and the commands that repair it."""
    return (
        f"{table} went back to offset {durable} of {partition}, and Kafka begins at {earliest}: rows of "
        f"offsets {durable + 1} to {earliest - 1} would be lost; `k2 replay --swap` rebuilds them from raw "
        f"records and Iceberg, `k2 refill {table}` continues without them"
    )
