"""Batches that a destination has taken, until it has saved their positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from k2stream.delivery.buffer import Acknowledge, Rows
from k2stream.delivery.destination import Destination
from k2stream.delivery.epochs import Key, Move, moves
from k2stream.delivery.route import Route


class WrittenBatch(NamedTuple):
    """A batch, its route, and what to acknowledge once its positions are saved."""

    route: Route
    batch: Rows
    receipts: list[Acknowledge]


class Unsaved:
    """Written batches in their order.

    A destination that was away may be back without them, at the positions from which they continue: it would
    save theirs. After a failed call, they are therefore written again before their positions are saved.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._written: list[WrittenBatch] = []
        self._doubted = False

    def __len__(self) -> int:
        return len(self._written)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(written.batch.size for written in self._written)

    @property
    def moves(self) -> dict[Key, Move]:
        """The moves of positions to save."""
        return moves((written.route.table, written.batch) for written in self._written)

    def add(self, route: Route, batch: Rows, receipts: list[Acknowledge]) -> None:
        """Add a batch that was just written."""
        self._written.append(WrittenBatch(route, batch, receipts))

    def doubt(self) -> None:
        """A call failed: the destination may have lost what it had."""
        self._doubted = bool(self._written)

    def save(self, moved: Mapping[Key, Move]) -> bool:
        """Save positions; returns True, as None would mean that it was not done. Raises what the calls do."""
        if self._doubted:
            for written in self._written:
                self._destination.write(written.route, written.batch)
        self._destination.save(moved)
        return True

    def take(self) -> list[WrittenBatch]:
        """Remove all batches, as their positions are saved."""
        taken, self._written, self._doubted = self._written, [], False
        return taken

    def drop(self, gone: Collection[Key]) -> None:
        """Remove the batches of tables and partitions whose position is another one by now."""
        self._written = [
            written
            for written in self._written
            if not any((written.route.table, partition) in gone for partition in written.batch.positions)
        ]

    def disown(self) -> None:
        """Acknowledge nothing: the records are read again. That they are durable stays true."""
        self._written = [written._replace(receipts=[]) for written in self._written]
