"""The sources that are followed, each by a task while somebody listens, and a while longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

from k2stream.service.stream.source import StreamSource

IDLE_SECONDS = 60.0
"""A source that nobody has listened to for this long is not followed any more."""


class Following(StreamSource, Protocol):
    """A source that has to be run."""

    broken: Callable[[], None]

    @property
    def listened(self) -> bool:
        """Whether anybody listens."""
        ...

    async def run(self) -> None:
        """Follow until cancelled, or until it called `broken`."""


Kind = TypeVar("Kind", bound=Following)


class FollowedSources:
    """Sources by name; `broken` is told of one that cannot go on from where it was."""

    def __init__(self, broken: Callable[[Following], None]) -> None:
        self._broken = broken
        self._sources: dict[Hashable, Following] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._idle_since: dict[Hashable, float] = {}

    def get(self, name: Hashable, make: Callable[[], Kind]) -> Kind:
        """The source of a name, which is followed from now on."""
        self._idle_since.pop(name, None)
        if name not in self._sources:
            made = make()
            made.broken = lambda: self._broken(made)
            self._sources[name] = made
            self._tasks[name] = asyncio.get_running_loop().create_task(made.run())
        return cast("Kind", self._sources[name])

    def drop(self, chosen: Callable[[Following], bool]) -> list[Following]:
        """Follow some sources no longer; they are returned."""
        names = [name for name, source in self._sources.items() if chosen(source)]
        return [self._drop(name) for name in names]

    def rest(self, now: float, used: Callable[[Following], bool]) -> None:
        """Drop what has not been listened to, or used, for some time (monotonic seconds)."""
        for name, source in list(self._sources.items()):
            if source.listened or used(source):
                self._idle_since.pop(name, None)
            elif now - self._idle_since.setdefault(name, now) > IDLE_SECONDS:
                self._drop(name)

    def stop(self) -> None:
        """Follow nothing more."""
        for name in list(self._sources):
            self._drop(name)

    def _drop(self, name: Hashable) -> Following:
        task = self._tasks.pop(name)
        if task is not asyncio.current_task():
            task.cancel()
        self._idle_since.pop(name, None)
        return self._sources.pop(name)
