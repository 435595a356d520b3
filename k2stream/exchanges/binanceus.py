"""Binance US, which has Binance's protocol: https://docs.binance.us. Disabled by default (K2_EXCHANGES).

Fetching past plain trades requires an API key: only gaps of aggregated trades (`stream: aggTrade`) can be
filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from k2stream.exchanges import binance
from k2stream.model.trade import TradeColumns

NAME = "binanceus"
QUOTES = ("USDT", "USDC", "USD", "BTC", "ETH", "BNB")
BRONZE = """
    toString(s) AS symbol, toString(ifNull(if(e = 'aggTrade', a, t), 0)) AS id,
    e = 'aggTrade' AS aggregated, p AS price, q AS quantity, if(m, 'SELL', 'BUY') AS side,
    fromUnixTimestamp64Micro(if(T < 10000000000000, T * 1000, T), 'UTC') AS timestamp,
    mapFilter((name, value) -> value != '', map(
        'E', toString(ifNull(E, 0)),
        'a', if(e = 'trade', ifNull(toString(a), ''), ''),
        'b', ifNull(toString(b), ''),
        'f', ifNull(toString(f), ''),
        'l', ifNull(toString(l), ''))) AS vendor_data"""


def normalise(records: Sequence[Any]) -> TradeColumns:
    """Convert records to columns as for Binance."""
    columns = binance.normalise(records)
    columns.exchange = NAME
    return columns


def canonical(symbol: str) -> str:
    """Convert BTCUSD to BTC/USD, by the quote assets of Binance US."""
    quote = next((quote for quote in QUOTES if symbol.endswith(quote) and symbol != quote), "")
    return f"{symbol.removesuffix(quote)}/{quote}" if quote else symbol


BINANCEUS = replace(
    binance.BINANCE,
    name=NAME,
    ws_url="wss://stream.binance.us:9443/stream",
    rest_url="https://api.binance.us",
    native=replace(binance.BINANCE.native, bronze_view=BRONZE),
    normalise=normalise,
    canonical=canonical,
)
