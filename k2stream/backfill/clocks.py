"""Estimates how far an exchange's clock is ahead of ours before and after an outage.

Our own clock may be the wrong one, and may be corrected during the outage.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

NEAREST = 200
"""The most frames used for the estimate, on each side of an outage."""

SHARE = 0.75
"""The quantile of the frames' differences that is used: latency puts most of them below the true value."""


class Clocks:
    """Clock differences per connection of one exchange. Pure; add the records of a partition in log order.

    Only the newest trade of a frame counts. The first frame of a symbol may be a snapshot of old trades, and
    is ignored.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}
        self._frames: defaultdict[int, dict[str, dict[tuple[str, int], int]]] = defaultdict(dict)
        """The greatest difference in µs, by partition, by connection, and by symbol and receive time."""

    def add(self, partition: int, link: str, symbol: str, time: int, received: int) -> None:
        """Add a trade of a connection, with its trade time and receive time in µs."""
        frames = self._frames[partition].setdefault(link, {})
        if self._seen.setdefault((link, symbol), received) != received:
            frame, ahead = (symbol, received), time - received
            frames[frame] = max(frames.get(frame, ahead), ahead)

    def around(self, link: str) -> tuple[int | None, int | None]:
        """Return how far the exchange was ahead before and during a connection, µs each; None if unknown.

        The first value comes from the last connection before `link` that delivered trades.
        """
        earlier: list[int] = []
        own: list[int] = []
        for links in self._frames.values():
            before = [frames for frames in (links[name] for name in takewhile(link.__ne__, links)) if frames]
            earlier += list(before[-1].values())[-NEAREST:] if before else []
            own += list(links.get(link, {}).values())[:NEAREST]
        return _most(earlier), _most(own)


def _most(differences: list[int]) -> int | None:
    if not differences:
        return None
    return sorted(differences)[int(SHARE * (len(differences) - 1))]
