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

_COLUMNS = ("open", "high", "low", "close", "volume", "trade_count")
_FEWEST = 4
"""Prices are always shown; trades and volume where there is room."""

Answers = Sequence[tuple[Instrument, Mapping[str, Any]]]
"""What REST answers for each instrument."""


def candle_table(answers: Answers, timeframe: Timeframe, console: Console) -> Table:
    """The candles of all answers, oldest first; times in the timeframe's zone."""
    for count in range(len(_COLUMNS), _FEWEST - 1, -1):
        shown = _table(answers, timeframe, _COLUMNS[:count])
        if fits(shown, console):
            break
    return shown


def _table(answers: Answers, timeframe: Timeframe, columns: Sequence[str]) -> Table:
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
        for candle in answer["candles"]:
            opened = datetime.fromtimestamp(int(candle["open_time"]) // 1000, timeframe.zone)
            values = (shortened(str(candle[name])) for name in columns)
            shown.add_row(f"{opened:%m-%d %H:%M}", *values, _state(candle))
    return shown


def _state(candle: Mapping[str, Any]) -> str:
    state = "final" if candle["final"] else "open"
    return f"{state}, feed down" if candle["feed_healthy"] is False else state
