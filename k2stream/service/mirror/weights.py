"""Request weights: how much of the mirrored API's limit each client has used in this minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from k2stream.service.mirror.errors import MirrorError

LIMIT = 6000
"""Request weight per client address and minute."""

_MINUTE_MS = 60_000


class Weights:
    """Counts by client address, forgotten at each full minute; `now` returns ms since 1970."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._minute = 0
        self._used: Counter[str] = Counter()

    def add(self, client: str, weight: int) -> None:
        """Count a request. Raises MirrorError beyond the limit."""
        left = self._begin()
        if self._used[client] + weight > LIMIT:
            raise MirrorError(
                -1003,
                f"Too much request weight used; current limit is {LIMIT} request weight per 1 MINUTE. "
                "Please use WebSocket Streams for live updates to avoid polling the API.",
                429,
                retry=-(-left // 1000),
            )
        self._used[client] += weight

    def headers(self, client: str) -> dict[str, str]:
        """The headers that tell a client what it has used in this minute."""
        self._begin()
        used = str(self._used[client])
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def _begin(self) -> int:
        """Forget the counts of an earlier minute; returns the ms left of this one."""
        minute, ms = divmod(self._now(), _MINUTE_MS)
        if minute != self._minute:
            self._minute = minute
            self._used.clear()
        return _MINUTE_MS - ms
