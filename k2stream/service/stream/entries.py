"""What streams push: one durable revision of a candle, one trade, or one feed event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Place(NamedTuple):
    """A place in a partition: an offset, and when (ms) it was published; for folded candles, folded."""

    offset: int
    clock: int = 0


@dataclass(slots=True, eq=False)
class StreamEntry:
    """One message without what is a subscription's own; `key` is exchange:BASE/QUOTE.

    `time` is in ms: a candle's open time, a trade's or an event's time. `revision` rises with each change of
    a candle, and with each trade of a key. What is not `sure` may come again after its place, or before.
    `text` and `token` are encoded once, for all clients. `record` is what a trade was read from.
    """

    key: str
    partition: int
    place: Place
    time: int
    revision: int
    value: Any
    text: bytes = b""
    token: bytes = b""
    sure: bool = True
    record: bytes = b""


class Log(Protocol):
    """The newest entries of a topic's partitions."""

    positions: dict[int, Place]
    """By partition: the place that the log has reached."""

    def begin(self, starts: Mapping[int, int]) -> None:
        """Start anew, at the first offset of each partition that will be read."""

    def add(self, entry: StreamEntry) -> bool:
        """Add the next entry of a partition; False for one that repeats what was published before."""
        ...

    def after(self, keys: Iterable[str], partition: int, place: Place) -> Sequence[StreamEntry]:
        """The entries of some keys of one partition after a place, in order."""
        ...

    def covers(self, keys: Iterable[str], partition: int, place: Place) -> bool:
        """Whether `after` knows all entries after a place."""
        ...

    def windows(self, key: str) -> Mapping[int, StreamEntry]:
        """A key's candles by open time (ms); empty for a log of other things."""
        ...


def in_order(found: list[StreamEntry], parts: int) -> list[StreamEntry]:
    """Entries of `parts` keys of one partition, each in order, as one sequence in order."""
    if parts > 1:
        found.sort(key=lambda entry: entry.place)
    return found
