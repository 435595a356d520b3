"""The exchanges, by name: docs/exchanges.md says how one is added."""

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
"""All that this package brings."""

ON_BY_DEFAULT = (BINANCE.name, KRAKEN.name, COINBASE.name)

VARIABLE = "K2_EXCHANGES"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def switched_on(environ: Mapping[str, str]) -> dict[str, Exchange]:
    """The exchanges that K2_EXCHANGES names, of this package or of another's entry point, else the default.

    Raises ConfigError for a name that nothing installed stands for.
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
"""Those that are on in this process: topics, workers, tables, settings and the oracle are of them."""


def get(name: str) -> Exchange:
    """The exchange of that name; ConfigError for one that is not on."""
    try:
        return REGISTRY[name]
    except KeyError:
        off = f"exchange {name} is not on: name it in {VARIABLE}"
        unknown = f"unknown exchange {name!r}; use one of {', '.join(REGISTRY)}"
        raise ConfigError(off if name in BUILT_IN else unknown) from None


def known(name: str) -> Exchange:
    """The exchange of that name, on or not; ConfigError where nothing installed stands for it."""
    return _installed(name) or get(name)


def check(listed: Instruments) -> None:
    """Raise ConfigError for an instrument that its exchange cannot be asked for."""
    for name, exchange in REGISTRY.items():
        if mine := listed.of(name):
            exchange.subscribe(mine)
