"""Candles as a table: a section per exchange, with as many columns as the terminal is wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from k2stream.commands.views.rows import fits
from k2stream.history.timeframes import Timeframe
from k2stream.model.decimals import shortened
from k2stream.model.instrument import Instrument
from k2stream.model.precision import fraction_digits, padded

_PRICES = ("open", "high", "low", "close")
_COLUMNS = (*_PRICES, "volume", "trade_count")
_FEWEST = 4
"""Prices are always shown; trades and volume where there is room."""

_FEED = {"began": "partial", "before": "no feed yet", "lost": "feed down"}
_MEANINGS = {
    "in grace": "the window is over, and trades on time may still come",
    "partial": "the feed began within the window, earlier trades are not in it",
    "no feed yet": "the window was over before the feed began",
    "feed down": "the feed was down in the window, or lost trades",
}
"""What is said of the states below the table."""

Answers = Sequence[tuple[Instrument, Mapping[str, Any]]]
"""What REST answers for each instrument."""


def candle_table(answers: Answers, timeframe: Timeframe, console: Console, now: int) -> Table:
    """The candles of all answers at a time in ms, oldest first; times in the timeframe's zone."""
    for count in range(len(_COLUMNS), _FEWEST - 1, -1):
        shown = _table(answers, timeframe, _COLUMNS[:count], now)
        if fits(shown, console):
            break
    return shown


def _table(answers: Answers, timeframe: Timeframe, columns: Sequence[str], now: int) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    shown.add_column(f"open, {timeframe.zone.key}", no_wrap=True)
    for name in columns:
        shown.add_column(name.replace("_count", "s"), justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for item, answer in answers:
        if answer.get("simulated"):
            shown.title = f"{item.canonical} {timeframe.name} SIMULATED"
        if answer["candles"]:
            shown.add_row(item.exchange, style="bold")
        digits = fraction_digits(candle[name] for candle in answer["candles"] for name in _PRICES)
        for candle in answer["candles"]:
            opened = datetime.fromtimestamp(int(candle["open_time"]) // 1000, timeframe.zone)
            values = (_text(name, candle[name], digits) for name in columns)
            shown.add_row(f"{opened:%m-%d %H:%M}", *values, state(candle, now))
    return shown


def _text(name: str, value: str | int, digits: int) -> str:
    return padded(str(value), digits) if name in _PRICES else shortened(str(value))


def meanings(answers: Answers, now: int) -> list[str]:
    """What the states mean that are not plain, of those that candles have at a time in ms."""
    states = [state(candle, now) for _, answer in answers for candle in answer["candles"]]
    return [f"{name}: {text}" for name, text in _MEANINGS.items() if any(name in each for each in states)]


def state(candle: Mapping[str, Any], now: int) -> str:
    """What a candle is at a time in ms, and what its feed lacked."""
    state = "final" if candle["final"] else "in grace" if candle["close_time"] < now else "open"
    return f"{state}, {_FEED[reason]}" if (reason := candle.get("feed_reason")) else state
