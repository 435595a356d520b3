"""Plug-ins of other packages by entry point: exchanges, their simulated servers and their oracle readers."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from k2stream.model.errors import ConfigError

EXCHANGES = "k2stream.exchanges"
PROTOCOLS = "k2stream.protocols"
VENUES = "k2stream.venues"


def find(group: str, name: str) -> Any:
    """The object that an installed package declares as entry point `name` of `group`; None if there is none.

    Raises ConfigError when it cannot be imported.
    """
    for point in entry_points(group=group, name=name):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{name} of {group} is {point.value}, which cannot be loaded: {error}"
            ) from error
    return None


def part(package: str, name: str, attribute: str, group: str) -> Any:
    """`attribute` of the module `package.name`, else the entry point `name` of `group`.

    Raises ConfigError when there is neither.
    """
    if find_spec(f"{package}.{name}"):
        return getattr(import_module(f"{package}.{name}"), attribute)
    found = find(group, name)
    if found is None:
        raise ConfigError(
            f"{name} has no {attribute}: neither a module {package}.{name} nor a {group} entry point"
        )
    return found
