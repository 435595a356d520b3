"""The tables of the layers: the topic each is filled from, and its name in both tiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k2stream import topics
from k2stream.model.candle import TIMEFRAMES

COLD_NAMESPACE = "cold"


@dataclass(frozen=True, slots=True)
class LayerTable:
    """A table of raw trades of one exchange, of canonical trades, or of candles of one timeframe."""

    layer: Literal["bronze", "silver", "gold"]
    topic: str
    hot: str
    """The name in ClickHouse, without the database."""

    cold: str
    """The name in Iceberg, with its namespace."""

    exchange: str = ""
    timeframe: str = ""

    def takes(self, exchange: str) -> bool:
        """Whether the table has raw records of an exchange, or data derived from them."""
        return self.exchange in ("", exchange)


def _table(layer: Literal["bronze", "silver"], topic: str, name: str, exchange: str = "") -> LayerTable:
    return LayerTable(layer, topic, name, f"{COLD_NAMESPACE}.{name}", exchange)


def _gold(timeframe: str) -> LayerTable:
    hot = f"ohlcv_{timeframe}"
    return LayerTable(
        "gold", topics.ohlcv(timeframe), hot, f"{COLD_NAMESPACE}.gold_{hot}", timeframe=timeframe
    )


BRONZE = {
    name: _table("bronze", topics.raw(name), f"bronze_trades_{name}", name) for name in topics.EXCHANGES
}
SILVER = _table("silver", topics.NORMALIZED, "silver_trades")
GOLD = {timeframe: _gold(timeframe) for timeframe in TIMEFRAMES}

TABLES = {table.hot: table for table in (*BRONZE.values(), SILVER, *GOLD.values())}
"""All tables by their name in the hot tier."""
