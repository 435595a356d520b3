"""Real clients of the mirrored API over a real server, whose candles and trades are in memory."""

import asyncio
import time
from contextlib import suppress
from decimal import Decimal

import pytest

from k2stream import instruments
from k2stream.model.trades import NumberedTrade
from k2stream.service.application import create
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests import spot_clients
from tests.unit.service.memory import InMemory, TradesInMemory, candle

MINUTE, HOUR = 60_000, 3_600_000
LISTED = instruments.load(make().feeds.instruments_file)


class Growing(TradesInMemory):
    """One more trade each time that is asked for what is new."""

    async def read(self, instrument, page):
        held = self.answers.setdefault(instrument.key, [])
        number, time_us = len(held) + 1, time.time_ns() // 1000
        held.append(
            NumberedTrade(number, number, number, time_us, Decimal("2.5"), Decimal("1.25"), number % 2 == 0)
        )
        return await super().read(instrument, page)


class Moving(InMemory):
    """Candles that change each time that they are asked for."""

    revision = 0

    async def read(self, instrument, of, query):
        now = time.time_ns() // 1_000_000
        self.revision += 1
        for name, length in (("1m", MINUTE), ("1h", HOUR), ("4h", 4 * HOUR)):
            base = name if name != "4h" else "1h"
            opens = (now // length * length - length * at for at in (2, 1, 0))
            made = [candle(instrument, base, opened, revision=self.revision) for opened in opens]
            self.answers[instrument.key, name] = made
        return await super().read(instrument, of, query)


@pytest.fixture
async def service():
    """The address of a server."""
    health = FeedHealth()
    health.ready = True
    sources = Sources(make(simulated=True), LISTED, Moving(), health, lambda: True, trades=Growing())
    server = Server(create(sources), "127.0.0.1", 0)
    server.bind()
    running = asyncio.create_task(server.run())
    yield f"http://127.0.0.1:{server.port}"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(("prefix", "symbol"), [("", "BTC/USDT"), ("/kraken", "BTC/USD")])
async def test_ccxt_reads_and_watches(service, prefix, symbol):
    found = await asyncio.to_thread(spot_clients.ccxt_rest, service + prefix, symbol)
    assert symbol in found["markets"]
    assert found["candles"][-1][1:] == [2.0, 3.0, 1.5, 2.5, 2.0]
    assert found["trades"][0]["id"] in {each["id"] for each in found["since"]}
    assert {each["side"] for each in found["trades"]} <= {"buy", "sell"}
    assert found["ticker"]["last"] == 2.5
    watched = await spot_clients.ccxt_pro(service + prefix, symbol)
    assert watched["candles"][-1][1:] == [2.0, 3.0, 1.5, 2.5, 2.0]
    assert int(watched["more"][-1]["id"]) > int(watched["trades"][0]["id"])


@pytest.mark.parametrize(("prefix", "symbol"), [("", "BTCUSDT"), ("/coinbase", "BTCUSD")])
async def test_python_binance_reads_and_watches(service, prefix, symbol):
    found = await asyncio.to_thread(spot_clients.binance_rest, service + prefix, symbol)
    assert symbol in found["symbols"]
    assert found["historical"] == found["recent"][:1]
    assert [len(kline) for kline in found["klines"]] == [12, 12]
    assert found["price"] == {"symbol": symbol, "price": "2.50000000"}
    sockets = await spot_clients.binance_sockets(service + prefix, symbol)
    assert sockets["kline"]["k"]["s"] == sockets["trade"]["s"] == symbol
    assert sockets["combined"]["stream"].startswith(f"{symbol.lower()}@")
