"""The log of replayed dead letters: claims, which decide who replays one, and what was written. Pure.

A run claims a dead letter, reads the log again, and writes only if the log assigns the dead letter to it. A
claim that was never settled passes to the first claim after `LEASE_MS`. That run must first look for records
the earlier one may have written: at or after the offsets in `after`, with the header of the dead letter.

A sink's dead letter may be claimed again once it is settled: its row is written only where the table lacks
it, as one does that was restored to an earlier point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

LEASE_MS = 120_000
"""Longer than a run can write after its claim: see replay.CHUNK and the producer's time limit."""


class Id(NamedTuple):
    """A dead letter: its number, and its time in ms, which differs if the topic was recreated."""

    number: int
    time: int


class ReplayNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the log: a claim has `after`, the ends of raw partitions; a settlement has `written`.

    A claim of a sink's dead letter has neither.
    """

    letter: Id
    run: str
    topic: str
    after: dict[int, int] = {}
    written: list[tuple[int, int]] = []
    """(partition, offset) of each written record."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A dead letter's state in the log; `since` in ms. `again`: an earlier claim was not settled."""

    run: str
    since: int
    topic: str
    after: dict[int, int]
    written: tuple[tuple[int, int], ...] = ()
    again: bool = False

    @property
    def settled(self) -> bool:
        """Whether the dead letter has been replayed."""
        return bool(self.written)


def replay_states(log: Iterable[tuple[int, ReplayNote]]) -> dict[Id, Replay]:
    """The state of each dead letter, from (broker's time in ms, entry) in the order of the log."""
    found: dict[Id, Replay] = {}
    for time, entry in log:
        before = found.get(entry.letter)
        if entry.written:
            claim = before or Replay(entry.run, time, entry.topic, {})
            found[entry.letter] = replace(claim, run=entry.run, since=time, written=tuple(entry.written))
        elif before is None or (before.settled and not entry.after):
            found[entry.letter] = Replay(entry.run, time, entry.topic, entry.after)
        elif not before.settled and time - before.since > LEASE_MS:
            # `after` of the earliest claim is kept: it bounds the search for records already written.
            found[entry.letter] = replace(before, run=entry.run, since=time, again=True)
    return found


Origins = Mapping[tuple[str, int, int], int]
"""The number of the dead letter that was replayed to a (topic, partition, offset)."""


def by_place(replays: Mapping[Id, Replay]) -> Origins:
    """The numbers of replayed dead letters by the place of their records."""
    return {
        (replay.topic, partition, offset): letter.number
        for letter, replay in replays.items()
        for partition, offset in replay.written
    }
