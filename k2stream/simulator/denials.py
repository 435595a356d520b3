"""Subscriptions that a simulated exchange does not give when it is asked to withhold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable


class Denials:
    """How many more times requests for a symbol are refused or left out, and requests of any kind limited.

    `note` is told each time, with the symbol.
    """

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note
        self._due: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, symbol: str, count: int) -> None:
        """Withhold from now on: `symbol` empty for any."""
        self._due[kind, symbol] += count

    def take(self, kind: str, symbols: Iterable[str] = ("",)) -> str | None:
        """The first of a request's symbols to withhold, once for each that was added; None to give all."""
        for symbol in symbols:
            for due in ((kind, symbol), (kind, "")):
                if self._due[due] > 0:
                    self._due[due] -= 1
                    self._note(kind, symbol)
                    return symbol
        return None
