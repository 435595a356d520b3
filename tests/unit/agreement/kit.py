"""An exchange in simulated time: its orders, the candles that we make of its frames, its REST server."""

from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from k2stream import instruments
from k2stream.agreement.worker import AgreementMonitor
from k2stream.commands import inspect
from k2stream.exchanges import BUILT_IN
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.kline_checks import KlineCheck
from k2stream.normalizer import capture
from k2stream.resources import CONFIG
from k2stream.settings import make
from k2stream.simulator import protocols
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Market
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.rest.server import Rest
from k2stream.simulator.wire import Subscriber

START = 1_760_000_390_000_000
"""Within the last minutes of an hour, and within a minute."""

DECIMALS = ("open", "high", "low", "close", "volume", "quote_volume")
TAKER = ("taker_buy_volume", "taker_buy_quote_volume")


class SimulatedPast:
    """Some minutes of trading on an exchange, over; `now` is µs since 1970 on its clock and ours."""

    def __init__(self, name, minutes=12, symbols=2, rate=20.0):
        self.protocol = replace(protocols.for_exchange(name), requests=10_000)
        self.listed = instruments.load(CONFIG / "instruments.yaml", {name}).for_exchange(name)[:symbols]
        names = [item.symbol for item in self.listed]
        self.name, self.now = name, START + minutes * 60_000_000
        self.log: list[dict[str, Any]] = []
        self.klines = PastKlines(names, START, lambda: self.now, self._note)
        self.past = PastOrders(names)
        self.orders = Market(name, self.listed, rate, 7, START, self.protocol.style).until(self.now)
        self.klines.add(self.orders)

    def _note(self, kind, **details):
        self.log.append({"kind": kind, **details})

    @property
    def exchange(self):
        """Its value, of which any number of requests is allowed."""
        found = BUILT_IN[self.name]
        assert found.klines
        return replace(found, klines=replace(found.klines, requests_a_second=10_000.0))

    def frames(self):
        """What its socket says."""
        dialect = self.protocol.dialect(self.listed, Denials(lambda *_: None))
        nobody: Any = None
        client = Subscriber(nobody, START)
        for item in self.listed:
            for channel in (item.stream, "market_trades"):
                client.subscribed.setdefault(channel, set()).add(item.symbol)
        return [message.payload for message in dialect.trades(client, self.orders, self.now)]

    def candles(self):
        """The final candles of its frames, of all timeframes whose window has ended."""
        exchange, found = self.exchange, []
        canonical = {item.symbol: item.canonical for item in self.listed}.__getitem__
        native = {item.canonical: item.symbol for item in self.listed}
        batches = list(capture.read(exchange, self.frames()))
        first = defaultdict(lambda: self.now)
        for order in self.orders:
            for length in TIMEFRAMES.values():
                place = order.symbol, length, order.time_us // 1000 // length
                first[place] = min(first[place], order.time_us)
        for timeframe, length in TIMEFRAMES.items():
            for line in inspect.candles(batches, canonical, timeframe):
                if line["open_time"] + length <= self.now // 1000:
                    symbol = native[line["canonical_symbol"]]
                    opened = first[symbol, length, line["open_time"] // length]
                    found.append(candle(line | {"symbol": symbol, "first_trade_time": opened}))
        return found

    @asynccontextmanager
    async def serving(self):
        """Its REST server."""
        server = await Rest(self.protocol, self.past, self.klines).start("127.0.0.1")
        try:
            yield server
        finally:
            await server.close()


def candle(fields):
    """A final candle; what is not given is of no account here."""
    amounts = {name: Decimal(fields[name]) for name in (*DECIMALS, *TAKER)}
    rest = {"vwap": Decimal(0), "last_trade_time": 0, "raw_partition": 0, "raw_offset": 0, "final": True}
    return Candle(**{"revision": fields["trade_count"] + 1, **rest, **fields, **amounts})


class Waiting:
    """What waits, in memory; a partition that is revoked is not there any more."""

    def __init__(self):
        self.items: defaultdict[int, dict[str, Any]] = defaultdict(dict)
        self.first: dict[str, int] = {}

    def __len__(self):
        return sum(map(len, self.items.values()))

    def for_exchange(self, exchange):
        for partition, items in self.items.items():
            yield from ((partition, item) for item in items.values() if item.exchange == exchange)

    def get(self, partition, key):
        return self.items[partition].get(key)

    def put(self, partition, item):
        self.items[partition][item.key] = item

    def delete(self, partition, key):
        del self.items[partition][key]

    def first_trade(self, partition, symbol):
        return self.first.get(symbol)

    def record_trade(self, partition, symbol, time):
        self.first[symbol] = min(time, self.first.get(symbol, time))


class Watched:
    """A monitor, what waits for it, and what it has reported. Each look at the clock takes a second."""

    def __init__(self, past, url, **values):
        self.past, self.waiting, self.checks = past, Waiting(), list[KlineCheck]()
        values = {
            f"{past.name}_ws_url": "ws://127.0.0.1:1",
            f"{past.name}_rest_url": url,
            "agreement_requests_per_minute": 600_000,
            "reconnect_base_seconds": 0.001,
            "reconnect_cap_seconds": 0.01,
            **values,
        }
        self.monitor = AgreementMonitor(self.waiting, self._send, make(**values), lambda: True, self._now_us)

    def _now_us(self):
        self.past.now += 1_000_000
        return self.past.now

    async def _send(self, topic, partition, keys, values):
        self.checks += [msgspec.json.decode(value, type=KlineCheck) for value in values]

    def with_status(self, status):
        """The checks of a status."""
        return [check for check in self.checks if check.status == status]
