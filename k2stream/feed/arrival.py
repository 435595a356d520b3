"""When a message came."""

from __future__ import annotations

from typing import NamedTuple


class Arrival(NamedTuple):
    """At `time`, µs; at some time between `unread` and that when nobody had been reading (else 0)."""

    time: int
    unread: int = 0
