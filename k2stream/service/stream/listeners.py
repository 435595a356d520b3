"""Who listens to which keys of a source."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from k2stream.service.stream.entries import Log, Place, StreamEntry
from k2stream.service.stream.source import Listener

AT_ONCE = 10
"""Listeners that are told before others get their turn in the event loop: a fold needs several turns."""


class Listened:
    """What sources have in common: listeners by key, and what they ask of the log."""

    log: Log

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._asked: tuple[Sequence[str], int, Place, Place] | None = None
        self._news: Sequence[StreamEntry] | None = None

    @property
    def listened(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def listen(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener of new entries of some keys."""
        for key in keys:
            self._listeners.setdefault(key, {})[listener] = None

    def leave(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener no more."""
        for key in keys:
            if (listeners := self._listeners.get(key)) is not None:
                listeners.pop(listener, None)
                if not listeners:
                    del self._listeners[key]

    def news(self, keys: Sequence[str], partition: int, place: Place) -> Sequence[StreamEntry] | None:
        """The entries of some keys of one partition after a place, in order; None if not all are known.

        Nearly all listeners are at the same place: the answer is found once for all that ask alike.
        """
        asked = keys, partition, place, self.log.positions[partition]
        if asked != self._asked:
            known = self.log.covers(keys, partition, place)
            self._asked, self._news = asked, self.log.after(keys, partition, place) if known else None
        return self._news

    def forget_news(self) -> None:
        """The log begins anew."""
        self._asked = None

    async def tell(self, listeners: Iterable[Listener]) -> None:
        """Tell listeners of what is new, a few at once: the worker's fold does not wait for a thousand."""
        for count, listener in enumerate(tuple(listeners), 1):
            listener.flush()
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)

    def listeners(self, key: str) -> Iterable[Listener]:
        """The listeners of a key."""
        return self._listeners.get(key, ())
