"""Whether places are of the log that a topic has now, or of one that was there before (pure).

A topic that was deleted and created again counts from 0. Where the broker has topic ids, they tell. Elsewhere
the record at a place does: all of a later log was published after the place was reached.
"""

from __future__ import annotations

from collections.abc import Mapping

from k2stream.batch.proof import Shown
from k2stream.service.stream.entries import Place

DIGITS = 8
CLOCKS_MS = 60_000
"""How much the clocks of hosts may differ."""


def identity(shown: Shown) -> str:
    """A short name of a log, the same at every worker; empty where the broker has no topic ids."""
    return shown.topic_id[:DIGITS]


def same(one: str, other: str) -> bool | None:
    """Whether two identities are of one log; None where one of them is unknown."""
    return one == other if one and other else None


def differs(known: str, place: Place, shown: Shown) -> bool:
    """Whether a place of the log `known` is not of the log that is shown, with the record at the place.

    A place beyond the end is not judged: a newly elected leader reports too low an end for a while.
    """
    if same(known, identity(shown)) is False:
        return True
    later = shown.record is not None and shown.record.timestamp > place.clock + CLOCKS_MS
    return later and place.clock > 0  # 0 is the place before anything was read


def beyond(places: Mapping[int, Place], reached: Mapping[int, int]) -> bool:
    """Whether one of the places is after the last offset of its partition."""
    return any(place.offset > reached[number] for number, place in places.items())
