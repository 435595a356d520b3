"""Which letters were put back: a log of claims, which decide who does it, and of what was written. Pure.

A run claims a letter, reads the log again, and writes only if the log gives the letter to it. A claim that
was never settled passes to the first claim after `LEASE_MS`, which must first look for what the earlier one
may have written: at or after `after`, under the letter's header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

LEASE_MS = 120_000
"""Longer than a run can still write after it has claimed: see replay.CHUNK and the producer's time limit."""


class Id(NamedTuple):
    """A dead letter: its number, and its time, which tells it from one of a topic created anew."""

    number: int
    time: int


class ReplayNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of the log. A claim has `after`, the ends of the raw partitions; a settlement `written`."""

    letter: Id
    run: str
    topic: str
    after: dict[int, int] = {}
    written: list[tuple[int, int]] = []
    """(partition, offset) of each record."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the log says of a letter; `since` in ms. `again`: an earlier claim was not settled."""

    run: str
    since: int
    topic: str
    after: dict[int, int]
    written: tuple[tuple[int, int], ...] = ()
    again: bool = False

    @property
    def settled(self) -> bool:
        """Whether the letter has been put back."""
        return bool(self.written)


def fold(log: Iterable[tuple[int, ReplayNote]]) -> dict[Id, Replay]:
    """The state of each letter, from (the broker's time in ms, note) in the log's order."""
    found: dict[Id, Replay] = {}
    for time, note in log:
        before = found.get(note.letter)
        if note.written:
            held = before or Replay(note.run, time, note.topic, {})
            found[note.letter] = replace(held, run=note.run, since=time, written=tuple(note.written))
        elif before is None:
            found[note.letter] = Replay(note.run, time, note.topic, note.after)
        elif not before.settled and time - before.since > LEASE_MS:
            # The earliest claim bounds the search for what may have been written.
            found[note.letter] = replace(before, run=note.run, since=time, again=True)
    return found


Origins = Mapping[tuple[str, int, int], int]
"""The number of the letter that was put back to a (topic, partition, offset)."""


def by_place(replays: Mapping[Id, Replay]) -> Origins:
    """The letters by where they were put."""
    return {
        (replay.topic, partition, offset): letter.number
        for letter, replay in replays.items()
        for partition, offset in replay.written
    }
