"""Trades of two symbols as a feed publishes them, and what must be made of them."""

from __future__ import annotations

import json
from decimal import Decimal

from k2stream import exchanges, topics
from k2stream.exchanges import raw
from k2stream.model.trade import RawTrade
from tests.property.chain.broker import Broker, Record
from tests.unit.candles.reference import Trade

BINANCE = exchanges.get("binance")
RAW = topics.raw("binance")
SYMBOLS = {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"}
T0 = 1_700_006_400_000_000


class Feed:
    """Publishes trades; `told` has each trade once, by (symbol, id), in the order of its publication."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.time = T0
        self._ids = dict.fromkeys(SYMBOLS, 0)
        self._last: Record | None = None
        self._offsets: dict[tuple[str, int], int] = {}
        self.told: dict[tuple[str, int], Trade] = {}

    def publish(self, symbol: str, seconds: int, price: int) -> None:
        """The next trade of a symbol, so long after the newest one, or before it."""
        self._ids[symbol] += 1
        number, time = self._ids[symbol], self.time + seconds * 1_000_000
        self.time = max(self.time, time)
        received = self.time + 1000
        trade = {
            "e": "trade", "E": time // 1000, "s": symbol, "t": number, "p": f"{price}.5", "q": "2",
            "T": time // 1000, "m": price % 2 == 0, "M": True,
        }  # fmt: skip
        value = raw.record(RawTrade(symbol, json.dumps(trade).encode()), received, "conn-1", number)
        self._last = Record(symbol.encode(), value, received // 1000)
        offset = self._offsets[symbol, number] = self._broker.log(RAW).append(self._last)
        self.told[symbol, number] = Trade(
            f"binance:{SYMBOLS[symbol]}", time, number, offset, Decimal(f"{price}.5"), Decimal(2),
            price % 2 == 1, 1, received,
        )  # fmt: skip

    def cut(self, end: int) -> None:
        """The raw topic loses its end; of what nobody had read there is no trace."""
        self._broker.log(RAW).cut(end)
        self._forget(end)

    def make_anew(self, read: int) -> None:
        """The raw topic is deleted and created again, when up to an offset it had been read."""
        self._broker.make_anew(RAW)
        self._forget(read)
        self._offsets = {}

    def _forget(self, end: int) -> None:
        self._last = None
        for name in [name for name, offset in self._offsets.items() if offset >= end]:
            del self._offsets[name]
            self.told.pop(name)

    def repeat(self) -> None:
        """The newest trade once more, as after a reconnect."""
        if self._last is not None:
            self._broker.log(RAW).append(self._last)
