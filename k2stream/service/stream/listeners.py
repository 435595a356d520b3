"""Who listens to which keys."""

from __future__ import annotations

from collections.abc import Iterable

from k2stream.service.stream.source import Listener


class Listeners:
    """Listeners by key."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener of new entries of some keys."""
        for key in keys:
            self._listeners.setdefault(key, {})[listener] = None

    def remove(self, keys: Iterable[str], listener: Listener) -> None:
        """Tell a listener no more."""
        for key in keys:
            if (listeners := self._listeners.get(key)) is not None:
                listeners.pop(listener, None)
                if not listeners:
                    del self._listeners[key]

    def of(self, key: str) -> Iterable[Listener]:
        """The listeners of a key."""
        return self._listeners.get(key, ())

    def flush(self, key: str) -> None:
        """Tell the listeners of a key."""
        for listener in tuple(self.of(key)):
            listener.flush()
