"""The protocols of the simulated exchanges: a module each, of the exchange's name."""

from functools import cache
from importlib import import_module

from k2stream.exchanges import REGISTRY
from k2stream.simulator.protocol import Protocol


@cache
def of(exchange: str) -> Protocol:
    """The protocol of an exchange. Raises ModuleNotFoundError where it has no module here."""
    found: Protocol = import_module(f"{__name__}.{exchange}").PROTOCOL
    return found


def with_age(name: str) -> list[str]:
    """The exchanges whose dialect takes an age of that name."""
    return [exchange for exchange in REGISTRY if name in of(exchange).ages]
