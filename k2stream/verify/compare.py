"""What a layer holds against what the oracle says (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from k2stream.verify.oracle import CandleKey, LayerSum, OracleCandle

NOTHING = LayerSum(0, 0, 0)


class LayerCandle(NamedTuple):
    """A candle as a layer has it: the oracle's whole numbers, with revision and final for `records`."""

    values: OracleCandle
    final: bool


class Difference(NamedTuple):
    """One disagreement, for a person to read."""

    layer: str
    what: str
    field: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.layer}: {self.what}: {self.field} is {self.found}, expected {self.expected}"


@dataclass(slots=True)
class Comparison:
    """How a layer compares: candles compared, those that moved on since the oracle looked, differences."""

    layer: str
    compared: int = 0
    newer: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare_candles(
    layer: str,
    expected: Mapping[CandleKey, OracleCandle],
    found: Mapping[CandleKey, LayerCandle],
    retention: int | None = None,
) -> Comparison:
    """Compare candle by candle, field by field.

    A candle whose raw_offset is beyond the oracle's has moved on and is not compared. With `retention`, a
    layer may lack a candle that has so many newer ones of its symbol and timeframe.
    """
    result = Comparison(layer)
    kept = _oldest_kept(expected, retention) if retention else {}
    newest: dict[tuple[str, str], int] = {}
    for (exchange, symbol, _, _), candle in expected.items():
        newest[exchange, symbol] = max(newest.get((exchange, symbol), -1), candle.raw_offset)
    for key, candle in expected.items():
        other = found.get(key)
        if other is None:
            if key[3] >= kept.get(key[:3], key[3]):
                result.differences.append(Difference(layer, _name(key), "candle", "present", "missing"))
        elif other.values.raw_offset > candle.raw_offset:
            result.newer += 1
        else:
            result.compared += 1
            result.differences += _fields(layer, key, candle, other)
    for key, other in found.items():
        if key not in expected:
            if other.values.raw_offset > newest.get(key[:2], -1):
                result.newer += 1
            else:
                result.differences.append(Difference(layer, _name(key), "candle", "absent", "present"))
    return result


def _oldest_kept(
    expected: Mapping[CandleKey, OracleCandle], retention: int
) -> dict[tuple[str, str, str], int]:
    opened: dict[tuple[str, str, str], list[int]] = {}
    for exchange, symbol, timeframe, open_time in expected:
        opened.setdefault((exchange, symbol, timeframe), []).append(open_time)
    return {key: sorted(times)[-retention] for key, times in opened.items() if len(times) > retention}


def _fields(layer: str, key: CandleKey, candle: OracleCandle, other: LayerCandle) -> list[Difference]:
    wanted = candle._replace(records=candle.records + other.final)
    return [
        Difference(layer, _name(key), "revision" if name == "records" else name, want, got)
        for name, want, got in zip(OracleCandle._fields, wanted, other.values, strict=True)
        if want != got
    ]


def compare_counts(
    layer: str, expected: Mapping[str, LayerSum], found: Mapping[str, LayerSum], live: bool = False
) -> Comparison:
    """Compare rows and sums per exchange; while feeds run (`live`) a layer may hold more than expected."""
    result = Comparison(layer)
    for name in sorted(expected.keys() | found.keys()):
        wanted, held = expected.get(name, NOTHING), found.get(name, NOTHING)
        if live and held.rows > wanted.rows:
            result.newer += 1
        elif wanted != held:
            result.differences.append(Difference(layer, name, "rows and sums", wanted, held))
    return result


def _name(key: CandleKey) -> str:
    exchange, symbol, timeframe, opened = key
    return f"{exchange} {symbol} {timeframe} candle at {opened}"
