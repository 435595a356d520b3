"""When a message arrived."""

from __future__ import annotations

from typing import NamedTuple


class Arrival(NamedTuple):
    """The arrival is at `time` (µs), or after `unread` (µs, else 0) if the socket was not read since then."""

    time: int
    unread: int = 0
