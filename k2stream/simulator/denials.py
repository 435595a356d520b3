"""Denied subscriptions: a simulated exchange refuses or leaves them out when it is asked to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable


class Denials:
    """Counts the subscription requests still to be refused, left out of the answer, or rate-limited.

    `report(kind, symbol)` is called for each denial.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._due: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, symbol: str, count: int) -> None:
        """Deny the next `count` requests for a symbol; an empty `symbol` means any."""
        self._due[kind, symbol] += count

    def take(self, kind: str, symbols: Iterable[str] = ("",)) -> str | None:
        """Use up one denial: returns the first of a request's symbols to deny, None to grant all."""
        for symbol in symbols:
            for due in ((kind, symbol), (kind, "")):
                if self._due[due] > 0:
                    self._due[due] -= 1
                    self._report(kind, symbol)
                    return symbol
        return None
