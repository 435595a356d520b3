"""What subscriptions read from: a topic that is followed, or candles that are folded of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol

from k2stream.service.stream.entries import Log, Place, StreamEntry


class Listener(Protocol):
    """Is told when a log has new entries of its keys."""

    def flush(self) -> None:
        """Take what is new."""


class StreamSource(Protocol):
    """A log, and what was before it."""

    log: Log

    @property
    def identity(self) -> str:
        """Tells the topic's log from one that was there before; empty where that is unknown."""
        ...

    @property
    def has_history(self) -> bool:
        """Whether what was before the topic's records is looked up."""
        ...

    async def ready(self) -> None:
        """Return when the log has reached what was the topic's end."""

    def text(self, entry: StreamEntry) -> bytes:
        """The members of an entry's message up to the resume token."""
        ...

    def listen(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener of new entries of some keys."""

    def leave(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener no more."""

    def news(self, keys: Sequence[str], partition: int, place: Place) -> Sequence[StreamEntry] | None:
        """The entries of some keys of one partition after a place, in order; None if not all are known."""
        ...

    async def confirm(self, identity: str, places: Mapping[int, Place]) -> None:
        """Return if places of the log `identity` are of the topic's log. Raises OutOfReach."""

    async def since(self, ms: int) -> dict[int, Place]:
        """The places before all records of a time (ms) and later. Raises RequestError if they expired."""
        ...

    def missed(
        self, keys: Mapping[int, Sequence[str]], places: Mapping[int, Place], ends: Mapping[int, Place]
    ) -> AsyncIterator[Sequence[StreamEntry]]:
        """What keys got after places, up to the places `ends`. Raises OutOfReach, Expired."""
        ...
