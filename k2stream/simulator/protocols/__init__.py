"""The protocols of the simulated exchanges: one module per exchange, named after it, or an entry point."""

from functools import cache

from k2stream import plugins
from k2stream.exchanges import REGISTRY
from k2stream.simulator.protocol import Protocol


@cache
def for_exchange(exchange: str) -> Protocol:
    """The protocol of an exchange. Raises ConfigError if it has none."""
    found: Protocol = plugins.part(__name__, exchange, "PROTOCOL", plugins.PROTOCOLS)
    return found


def with_age(name: str) -> list[str]:
    """The exchanges whose dialect takes a duration of this name."""
    return [exchange for exchange in REGISTRY if name in for_exchange(exchange).ages]
