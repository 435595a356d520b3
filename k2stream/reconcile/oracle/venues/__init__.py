"""What the oracle knows of each exchange: a module of its name, stated apart from k2stream/exchanges."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from k2stream.reconcile.oracle.venues.venue import Venue


@cache
def of(exchange: str) -> Venue:
    """What is known of an exchange. Raises ModuleNotFoundError where it has no module here."""
    found: Venue = import_module(f"{__name__}.{exchange}").VENUE
    return found
