"""The exchanges, by name. To add one: a file beside these, a line here, a folder in tests/playback."""

from k2stream.exchanges.binance import BINANCE
from k2stream.exchanges.coinbase import COINBASE
from k2stream.exchanges.kraken import KRAKEN
from k2stream.exchanges.spec import Exchange
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instruments

REGISTRY: dict[str, Exchange] = {exchange.name: exchange for exchange in (BINANCE, KRAKEN, COINBASE)}


def get(name: str) -> Exchange:
    """The exchange of that name; ConfigError for any other."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise ConfigError(f"unknown exchange {name!r}; use one of {', '.join(REGISTRY)}") from None


def check(listed: Instruments) -> None:
    """Raise ConfigError for an instrument that its exchange cannot be asked for."""
    for name, exchange in REGISTRY.items():
        if mine := listed.of(name):
            exchange.subscribe(mine)
