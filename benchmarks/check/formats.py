"""The forms in which stages write candles, each read as it stands: no form is read with its writer's code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from benchmarks.check.candles import AMOUNTS, Revision
from benchmarks.check.truth import Window

_SCHEMAS = Path(__file__).parents[2] / "schemas" / "avro"
_HEADER = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLOATS = (
    "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume",
    "trade_count",
)  # fmt: skip
_CANDLE = fastavro.parse_schema(json.loads((_SCHEMAS / "candle.avsc").read_text()))
_NOT_COMPARED = {"timeframe", "open_time", "revision", "final", "raw_partition", "raw_offset"}


class Record(NamedTuple):
    """A record of an output topic."""

    topic: str
    key: bytes
    value: bytes


Read = Callable[[Record], Revision]


def avro_candle(record: Record) -> Revision:
    """schemas/avro/candle.avsc in the Confluent wire format: K2 and Flink."""
    read: Any = fastavro.schemaless_reader(io.BytesIO(record.value[_HEADER:]), _CANDLE, None)
    fields = {name: _plain(name, value) for name, value in read.items() if name not in _NOT_COMPARED}
    window = Window(record.key.decode(), read["timeframe"], _time(read["open_time"], "ms"))
    return Revision(window, fields, read["final"])


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return Fraction(value)
    return _time(value, "ms" if name == "close_time" else "us") if isinstance(value, datetime) else value


def _time(value: datetime, unit: str) -> int:
    return (value - _EPOCH) // (timedelta(milliseconds=1) if unit == "ms" else timedelta(microseconds=1))


def streams_state(record: Record) -> Revision:
    """A window store's changelog of the Kafka Streams peer: Candle.java's layout, big-endian.

    The key is followed by the window's start (ms, 64 bits) and a sequence number (32 bits).
    """
    key, start = record.key[:-12], int.from_bytes(record.key[-12:-4], "big")
    at = iter(_cut(record.value, [16] * 6 + [32] * 2 + [8] * 8))
    scales = (10**18,) * 6 + (10**36,) * 2
    fields: dict[str, Any] = {
        name: Fraction(next(at), scale) for name, scale in zip(AMOUNTS, scales, strict=True)
    }
    fields["first_trade_time"], _, fields["last_trade_time"], _ = (next(at) for _ in range(4))
    fields["trade_count"] = next(at)
    timeframe = record.topic.removesuffix("-changelog").rpartition("-")[2]
    return Revision(Window(key.decode(), timeframe, start), fields)


def _cut(value: bytes, sizes: list[int]) -> Iterator[int]:
    if len(value) != sum(sizes):
        raise ValueError(f"{len(value)} bytes of state, not {sum(sizes)}")
    start = 0
    for size in sizes:
        yield int.from_bytes(value[start : start + size], "big")
        start += size


def faust_state(record: Record) -> Revision:
    """A windowed table's changelog of Faust in JSON: [key, range in seconds], and a list of floats."""
    key, (start, _) = json.loads(record.key)
    return Revision(Window(key, "1m", round(start * 1000)), _floats(json.loads(record.value)))


def float_final(record: Record) -> Revision:
    """A final 1m candle in JSON, `start` in ms and `value` a list of floats: Quix and Bytewax."""
    read = json.loads(record.value)
    window = Window(record.key.decode(), "1m", int(read["start"]))
    return Revision(window, _floats(read["value"]), final=True)


def _floats(values: list[float]) -> dict[str, Any]:
    """benchmarks/peers/float_candle.py's order."""
    return dict(zip(_FLOATS, values, strict=True))
