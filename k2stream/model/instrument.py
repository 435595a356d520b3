"""Which symbol is traded where: the values of config/instruments.yaml."""

from __future__ import annotations

from dataclasses import dataclass

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

    def of(self, exchange: str) -> list[Instrument]:
        """The instruments of one exchange."""
        return [item for item in self if item.exchange == exchange]

    def find(self, exchange: str, name: str) -> Instrument | None:
        """Find by native symbol, canonical symbol, or canonical with `-` for `/` (as in URLs)."""
        for item in self.of(exchange):
            if name in (item.symbol, item.canonical, item.canonical.replace("/", "-")):
                return item
        return None
