"""Which symbol is traded where: the values of config/instruments.yaml."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from difflib import SequenceMatcher

STREAMS = ("trade", "aggTrade")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol of one exchange. `stream` matters only for exchanges with several."""

    exchange: str
    symbol: str
    canonical: str
    stream: str = "trade"

    @property
    def key(self) -> str:
        """The key of its records from the normalized topic on."""
        return f"{self.exchange}:{self.canonical}"


class Instruments(tuple[Instrument, ...]):
    """All instruments, in the order of the file."""

    def for_exchange(self, exchange: str) -> list[Instrument]:
        """The instruments of one exchange."""
        return [item for item in self if item.exchange == exchange]

    def find(self, exchange: str, name: str) -> Instrument | None:
        """Find by native or canonical symbol, with any separator, in any case: BTC/USDT, btc-usdt, BTCUSDT.

        An exact name (also with `-` for `/`, as in URLs) comes first; None if several others are alike.
        """
        listed = self.for_exchange(exchange)
        for item in listed:
            if name in (item.symbol, item.canonical, item.canonical.replace("/", "-")):
                return item
        letters = _letters(name)
        alike = [item for item in listed if letters in (_letters(item.symbol), _letters(item.canonical))]
        return alike[0] if letters and len(alike) == 1 else None

    def nearest(self, exchanges: Container[str], name: str) -> list[str]:
        """The canonical symbols of exchanges, those that are most alike a name first, then by name."""
        wanted = _letters(name)
        found = {item.canonical for item in self if item.exchange in exchanges}
        unlike = {symbol: -SequenceMatcher(None, wanted, _letters(symbol)).ratio() for symbol in found}
        return sorted(found, key=lambda symbol: (unlike[symbol], symbol))


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).upper()
