"""Clients of the mirrored API from PyPI, unmodified: only their base URLs are set."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
import httpx
from binance import AsyncClient, BinanceSocketManager
from binance.client import Client

SECONDS = 30


def _pointed(client: Any, base: str) -> Any:
    """A CCXT client whose URLs lead to the mirror at `base`."""
    for name, path in {"public": "/api/v3", "fapiPublic": "/fapi/v1", "dapiPublic": "/dapi/v1"}.items():
        client.urls["api"][name] = base + path
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["spot"] = base.replace("http", "ws", 1) + "/ws"
    return client


def ccxt_rest(base: str, symbol: str) -> dict[str, Any]:
    """What CCXT reads of a symbol such as BTC/USDT."""
    client = _pointed(ccxt.binance(), base)
    client.load_markets()
    trades = client.fetch_trades(symbol, limit=50)
    return {
        "markets": list(client.markets),
        "candles": client.fetch_ohlcv(symbol, "1m", limit=3),
        "hours": client.fetch_ohlcv(symbol, "4h", limit=1),
        "trades": trades,
        "since": client.fetch_trades(symbol, since=trades[0]["timestamp"], limit=10),
        "ticker": client.fetch_ticker(symbol),
    }


async def ccxt_pro(base: str, symbol: str) -> dict[str, Any]:
    """What ccxt.pro watches of a symbol."""
    client = _pointed(ccxt.pro.binance(), base)
    try:
        async with asyncio.timeout(SECONDS):
            return {
                "candles": await client.watch_ohlcv(symbol, "1m"),
                "trades": await client.watch_trades(symbol),
                "more": await client.watch_trades(symbol),
            }
    finally:
        await client.close()


def binance_rest(base: str, symbol: str) -> dict[str, Any]:
    """What python-binance reads of a symbol such as BTCUSDT."""

    class Pointed(Client):
        API_URL = base + "/api"

    client = Pointed()
    recent = client.get_recent_trades(symbol=symbol, limit=5)
    return {
        "time": client.get_server_time(),
        "symbols": [each["symbol"] for each in client.get_exchange_info()["symbols"]],
        "klines": client.get_klines(symbol=symbol, interval="1m", limit=2),
        "recent": recent,
        "historical": client.get_historical_trades(symbol=symbol, fromId=recent[0]["id"], limit=1),
        "price": client.get_symbol_ticker(symbol=symbol),
    }


async def binance_sockets(base: str, symbol: str) -> dict[str, Any]:
    """What python-binance's socket manager gets of a symbol: one message of each stream."""

    class Pointed(AsyncClient):
        API_URL = base + "/api"

    client = await Pointed.create()
    try:
        manager = BinanceSocketManager(client)
        manager.STREAM_URL = base.replace("http", "ws", 1) + "/"
        names = [f"{symbol.lower()}@{stream}" for stream in ("aggTrade", "miniTicker")]
        found = {}
        async with asyncio.timeout(SECONDS):
            async with manager.kline_socket(symbol, interval="1m") as socket:
                found["kline"] = await socket.recv()
            async with manager.trade_socket(symbol) as socket:
                found["trade"] = await socket.recv()
            async with manager.multiplex_socket(names) as socket:
                found["combined"] = await socket.recv()
        return found
    finally:
        await client.close_connection()


def check(base: str, symbol: str) -> None:
    """Every client reads and watches a symbol of a running platform."""
    name = symbol.replace("/", "")
    rest = ccxt_rest(base, symbol)
    assert symbol in rest["markets"]
    assert rest["candles"][-1][5] > 0
    assert rest["hours"][0][5] >= rest["candles"][-1][5]
    assert rest["trades"][0]["id"] in {each["id"] for each in rest["since"]}
    assert {each["side"] for each in rest["trades"]} <= {"buy", "sell"}
    assert rest["ticker"]["baseVolume"] > 0

    plain = binance_rest(base, name)
    assert name in plain["symbols"]
    assert plain["historical"] == plain["recent"][:1]
    stored = httpx.get(f"{base}/api/v3/klines?symbol={name}&interval=1m&limit=1").json()
    assert len(stored[0]) == len(plain["klines"][0]) == 12

    watched = asyncio.run(ccxt_pro(base, symbol))
    assert watched["candles"][-1][0] >= rest["candles"][-1][0]
    assert int(watched["more"][-1]["id"]) > int(rest["trades"][-1]["id"])
    sockets = asyncio.run(binance_sockets(base, name))
    assert sockets["kline"]["k"]["s"] == sockets["trade"]["s"] == name
    assert sockets["combined"]["stream"].startswith(name.lower())
