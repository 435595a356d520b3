"""Who listens to which keys of a source."""

from __future__ import annotations

from collections.abc import Iterable

from k2stream.service.stream.source import Listener


class Listened:
    """What sources have in common: listeners by key."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}

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

    def listeners(self, key: str) -> Iterable[Listener]:
        """The listeners of a key."""
        return self._listeners.get(key, ())
