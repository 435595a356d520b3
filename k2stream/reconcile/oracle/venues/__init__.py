"""What the oracle knows of each exchange, stated apart: a module of its name here, or an entry point."""

from __future__ import annotations

from functools import cache

from k2stream import plugins
from k2stream.reconcile.oracle.venues.venue import Venue


@cache
def of(exchange: str) -> Venue:
    """What is known of an exchange. Raises ConfigError where nothing is."""
    found: Venue = plugins.part(__name__, exchange, "VENUE", plugins.VENUES)
    return found
