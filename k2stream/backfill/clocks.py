"""How far an exchange's clock is ahead of ours, which may be the wrong one, and be set right in an outage."""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

NEAREST = 200
"""Frames on either side of an outage from which the difference is taken."""

SHARE = 0.75
"""Of the frames' differences, in ascending order: most are below the true one, by the time a trade took."""


class Clocks:
    """The differences of one exchange's connections. Records of a partition are added in its order. Pure.

    A frame says as much as its newest trade. The first one of a symbol may be a snapshot of old trades, and
    says nothing.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}
        self._frames: defaultdict[int, dict[str, dict[tuple[str, int], int]]] = defaultdict(dict)
        """By partition and connection: by symbol and receive time the greatest difference, µs."""

    def add(self, partition: int, link: str, symbol: str, time: int, received: int) -> None:
        """Take a trade of a connection: its time, and when it was received, µs."""
        frames = self._frames[partition].setdefault(link, {})
        if self._seen.setdefault((link, symbol), received) != received:
            frame, ahead = (symbol, received), time - received
            frames[frame] = max(frames.get(frame, ahead), ahead)

    def around(self, link: str) -> tuple[int | None, int | None]:
        """What to add to our times of before a connection, and to those of its own: µs, None if unknown.

        Before it is as of the connection that told trades last.
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
