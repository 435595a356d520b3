"""The oracle's own rules for each exchange: a module with its name in this folder, or an entry point."""

from __future__ import annotations

from functools import cache

from k2stream import plugins
from k2stream.reconcile.oracle.venues.venue import Venue


@cache
def for_exchange(exchange: str) -> Venue:
    """The rules for an exchange. Raises ConfigError when there are none."""
    found: Venue = plugins.part(__name__, exchange, "VENUE", plugins.VENUES)
    return found
