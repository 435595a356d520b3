"""A candle in floats, as most Python code keeps it; K2's are exact."""

from __future__ import annotations

from typing import Any

Candle = list[Any]
"""open, high, low, close, volume, quote volume, taker buy volume, taker buy quote volume, trades."""


def first(trade: dict[str, Any]) -> Candle:
    """The candle of a window's first trade."""
    return update([float(trade["price"])] * 4 + [0.0] * 4 + [0], trade)


def update(candle: Candle, trade: dict[str, Any]) -> Candle:
    """The candle with one more trade, in order of arrival."""
    price, quantity = float(trade["price"]), float(trade["quantity"])
    open_, high, low, _, volume, quote, taker, taker_quote, count = candle
    if trade["side"] == "BUY":
        taker += quantity
        taker_quote += price * quantity
    return [
        open_,
        max(high, price),
        min(low, price),
        price,
        volume + quantity,
        quote + price * quantity,
        taker,
        taker_quote,
        count + trade["trade_count"],
    ]
