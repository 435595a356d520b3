"""The exchanges by name; docs/exchanges.md describes how to add one."""

import os
import re
from collections.abc import Mapping

from k2stream import plugins
from k2stream.exchanges.binance import BINANCE
from k2stream.exchanges.binanceus import BINANCEUS
from k2stream.exchanges.coinbase import COINBASE
from k2stream.exchanges.kraken import KRAKEN
from k2stream.exchanges.spec import Exchange
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instruments

BUILT_IN: dict[str, Exchange] = {item.name: item for item in (BINANCE, KRAKEN, COINBASE, BINANCEUS)}
"""All exchanges that are part of this package."""

ON_BY_DEFAULT = (BINANCE.name, KRAKEN.name, COINBASE.name)

VARIABLE = "K2_EXCHANGES"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def switched_on(environ: Mapping[str, str]) -> dict[str, Exchange]:
    """Return the exchanges that K2_EXCHANGES enables, built in or from an entry point; else the default ones.

    Raises ConfigError for a name that no installed exchange has.
    """
    names = [name.strip() for name in environ.get(VARIABLE, "").split(",") if name.strip()] or ON_BY_DEFAULT
    found = {name: _installed(name) for name in names}
    for name, exchange in found.items():
        if exchange is None:
            raise ConfigError(
                f"{VARIABLE} names {name!r}, which is no exchange: use some of {', '.join(BUILT_IN)}, "
                f"or install a package that has it as an entry point of {plugins.EXCHANGES}"
            )
    return {name: exchange for name, exchange in found.items() if exchange}


def _installed(name: str) -> Exchange | None:
    found = BUILT_IN.get(name) or (plugins.find(plugins.EXCHANGES, name) if _NAME.fullmatch(name) else None)
    if found is not None and not (isinstance(found, Exchange) and found.name == name):
        raise ConfigError(f"the entry point {name} of {plugins.EXCHANGES} is no Exchange of that name")
    return found


REGISTRY = switched_on(os.environ)
"""The exchanges enabled in this process, for which topics, workers, tables and settings exist."""


def get(name: str) -> Exchange:
    """Return an enabled exchange by name. Raises ConfigError if it is not enabled."""
    try:
        return REGISTRY[name]
    except KeyError:
        off = f"exchange {name} is not on: name it in {VARIABLE}"
        unknown = f"unknown exchange {name!r}; use one of {', '.join(REGISTRY)}"
        raise ConfigError(off if name in BUILT_IN else unknown) from None


def known(name: str) -> Exchange:
    """Return an installed exchange by name, enabled or not. Raises ConfigError if it is not installed."""
    return _installed(name) or get(name)


def check(listed: Instruments) -> None:
    """Raise ConfigError for an instrument that its exchange cannot subscribe to."""
    for name, exchange in REGISTRY.items():
        if mine := listed.for_exchange(name):
            exchange.subscribe(mine)
