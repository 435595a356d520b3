"""Catalog of all Faust tables by name, for reading them without a worker, each entry as a row of fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from k2stream import instruments, topics
from k2stream.agreement.pending import PendingCheck
from k2stream.app import create_app
from k2stream.batch import BatchTable
from k2stream.candles.codec import KeyProgress
from k2stream.candles.state import State, to_candle
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.decimals import plain
from k2stream.normalizer import SymbolPosition
from k2stream.settings import Settings
from k2stream.tables import agreement, ohlcv, positions

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Readable:
    """A table, with `row` to turn an entry into a row and `name_of` for the key as users write it."""

    table: BatchTable
    row: Callable[[Any, Any], Row]
    name_of: Callable[[Any], str] = str


def catalog(settings: Settings) -> dict[str, Readable]:
    """All tables by name, declared as the workers declare them."""
    candles = ohlcv.declare(create_app("candles"), settings.kafka.normalized_partitions)
    native = {item.key: item.symbol for item in instruments.load(settings.feeds.instruments_file)}
    normalize = create_app("normalize")
    checks = agreement.declare(create_app("certify"), settings.kafka.normalized_partitions)
    found = [
        *(
            Readable(candles.windows[timeframe], partial(_candle, timeframe, native), _window_name)
            for timeframe in TIMEFRAMES
        ),
        Readable(candles.progress, _progress),
        *(
            Readable(positions.declare(normalize, name, settings.kafka.raw_partitions(name)), _position)
            for name in topics.EXCHANGES
        ),
        Readable(checks.pending, _pending),
        Readable(checks.first_trades, _first_trade),
    ]
    return {readable.table.name: readable for readable in found}


def _window_name(key: Any) -> str:
    return str(key[0])


def _candle(timeframe: str, native: dict[str, str], window: Any, state: State) -> Row:
    key, (start, _) = window
    symbol = native.get(key, key.partition(":")[2])
    candle = to_candle(state, key, symbol, timeframe, round(start * 1000))
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in candle._asdict().items()
    }


def _progress(key: str, progress: KeyProgress) -> Row:
    return {"key": key, **progress._asdict()}


def _position(symbol: str, position: SymbolPosition) -> Row:
    return {"symbol": symbol, **msgspec.to_builtins(position)}


def _pending(key: str, item: PendingCheck) -> Row:
    fields = msgspec.structs.asdict(item).items()
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in fields}


def _first_trade(key: str, time: int) -> Row:
    return {"key": key, "first_trade_time": time}
