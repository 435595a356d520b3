"""Push without a seam: clients and workers killed at random end with exactly the tables."""

import asyncio
import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest

from k2stream import topics
from k2stream.model import clock
from k2stream.reconcile.oracle import avro
from k2stream.reconcile.oracle.raw_log import read_to_end
from tests.fault import report
from tests.fault.chaos import Chaos
from tests.fault.platforms import FOUR, exact, published, quiet, recovered, running, until
from tests.fault.streaming import KilledClient

pytestmark = pytest.mark.fault

CLIENT_KILLS = 100
THREE = 180_000  # ms
WORKER_SECONDS = 8.0  # mean time between two kills of workers
CLIENT_SECONDS = 2.5  # mean life of a client
COMPARED = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "vwap")


async def test_clients_killed_100_times_end_with_the_candles_and_trades(tmp_path):
    """Candles of all symbols, of one, and folded ones, and all trades, each from the beginning.

    Short form: tests/unit/service/stream/test_seam.py.
    """
    moments = random.Random("seam")
    begin = clock.now_us() // 60_000_000 * 60_000
    async with running(tmp_path, seed=23, **FOUR) as platform:
        await recovered(platform)
        one = {"exchange": "binance", "symbol": "BTC-USDT"}
        clients = {
            "all": KilledClient(platform.service_url, "all", channel="candles", timeframe="1m", since=begin),
            "one": KilledClient(
                platform.service_url, "one", channel="candles", timeframe="5m", since=begin, **one
            ),
            "folded": KilledClient(
                platform.service_url, "folded", channel="candles", timeframe="3m", since=begin - THREE
            ),
            "trades": KilledClient(platform.service_url, "trades", channel="trades", since=begin),
        }
        killed = [asyncio.create_task(client.run(CLIENT_SECONDS)) for client in clients.values()]
        chaos = Chaos(platform, seed=23)
        victims = ["candles"] * 7 + ["normalize"] * 3
        moments.shuffle(victims)
        for victim in victims:
            await quiet(platform, min(moments.expovariate(1 / WORKER_SECONDS), 4 * WORKER_SECONDS))
            await chaos.kill(victim)

        async def enough():
            return sum(client.kills for client in clients.values()) >= CLIENT_KILLS or _failed(killed)

        await until(enough, 300, f"{CLIENT_KILLS} kills of clients", platform)
        await _stop(killed)
        checked = await exact(platform)
        final = [asyncio.create_task(client.run(None)) for client in clients.values()]
        candles, traded = await _newest(platform), await _canonical(platform)

        async def complete():
            return _failed(final) or (
                _candles(clients["all"]) == candles["1m"]
                and _candles(clients["one"]) == _of(candles["5m"], "binance", "BTC/USDT")
                and _totals(clients["folded"]) == _folded(candles["1m"])
                and _trades(clients["trades"]) == traded
            )

        try:
            await until(complete, 120, "what the clients have equals the candles and trades", platform)
        finally:
            await _stop(final)
    assert candles["1m"] and traded
    injected = chaos.done | {
        "kills of clients": sum(client.kills for client in clients.values()),
        "connections lost": sum(client.lost_connections for client in clients.values()),
    }
    checked |= {
        "messages": sum(client.messages for client in clients.values()),
        "windows of clients": len(candles["1m"]),
        "trades of clients": len(traded),
    }
    report.record("seam", injected, checked)


def _failed(tasks):
    """False; raises what ended a client, which never ends by itself."""
    for task in tasks:
        if task.done():
            task.result()
    return False


async def _stop(tasks):
    _failed(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _newest(platform):
    """{timeframe: {(exchange, symbol, open time): (revision, contents)}} of the candle topics."""
    found = {}
    for (timeframe, _, window, revision), candle in (await published(platform)).items():
        held = found.setdefault(timeframe, {})
        name = candle.exchange, candle.canonical_symbol, window
        if name not in held or held[name][0] < revision:
            held[name] = revision, tuple(getattr(candle, field) for field in COMPARED), candle.trade_count
    return found


def _of(candles, exchange, symbol):
    return {name: content for name, content in candles.items() if name[:2] == (exchange, symbol)}


def _candles(client):
    return {
        name: (got["revision"], tuple(Decimal(got[field]) for field in COMPARED), got["trade_count"])
        for name, got in client.kept.items()
    }


def _folded(minutes):
    """{(exchange, symbol, open time): (high, low, volume, trade count)} of 3 minutes, from those of one."""
    found = defaultdict(list)
    for (*symbol, window), (_, contents, count) in minutes.items():
        found[(*symbol, window - window % THREE)].append((*contents[1:3], contents[4], count))
    return {
        name: (max(high), min(low), sum(volume), sum(count))
        for name, (high, low, volume, count) in (
            (name, zip(*parts, strict=True)) for name, parts in found.items()
        )
    }


def _totals(client):
    return {
        name: (Decimal(got["high"]), Decimal(got["low"]), Decimal(got["volume"]), got["trade_count"])
        for name, got in client.kept.items()
    }


async def _canonical(platform):
    """{(exchange, symbol, raw offset): (price, quantity)} of the canonical topic."""
    records, found = avro.Records(platform.settings.kafka, "trade"), {}
    async for _, batch in read_to_end(platform.settings.kafka, topics.NORMALIZED):
        for record in batch:
            trade = records.read(record.value) or {}
            name = trade["exchange"], trade["canonical_symbol"], trade["raw_offset"]
            found[name] = tuple(_exact(trade[field]) for field in ("price", "quantity"))
    return found


def _exact(decimal):
    return Fraction(int.from_bytes(decimal, "big", signed=True), 10**18)


def _trades(client):
    return {
        name: (Fraction(got["price"]), Fraction(got["quantity"]))
        for name, got in client.kept.items()
        if len(name) == 3
    }
