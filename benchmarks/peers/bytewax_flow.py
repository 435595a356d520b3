"""Bytewax as its documentation shows it: a dataflow with an event-time window (`python -m bytewax.run`).

Candles are floats, and published when their window has closed; there is no changelog and no recovery store,
and source offsets are not kept.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as windows
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from confluent_kafka import OFFSET_BEGINNING

from benchmarks.peers import avro_trade, float_candle
from benchmarks.progress import Counter

MINUTE = timedelta(minutes=1)
WAIT = MINUTE  # its watermark goes on with the machine's clock: with 5 s a busy machine makes trades late
ALIGN_TO = datetime(2023, 1, 1, tzinfo=UTC)

counter = Counter()
flow = Dataflow("candles")
source = kafka.input(
    "trades",
    flow,
    brokers=[os.environ["BENCH_BOOTSTRAP"]],
    topics=[os.environ["BENCH_INPUT"]],
    tail=True,
    starting_offset=OFFSET_BEGINNING,
    batch_size=5_000,
)


def keyed(record: Any) -> tuple[str, dict[str, Any]]:
    """A canonical trade by its key."""
    return record.key.decode(), avro_trade.decode(record.value)


def fold(candle: float_candle.Candle | None, trade: dict[str, Any]) -> float_candle.Candle:
    """One more trade in a window."""
    counter.add(1)
    return float_candle.first(trade) if candle is None else float_candle.update(candle, trade)


trades = op.map("decode", source.oks, keyed)
candles = windows.fold_window(
    "ohlcv_1m",
    trades,
    windows.EventClock(lambda trade: trade["timestamp"], WAIT),
    windows.TumblingWindower(MINUTE, ALIGN_TO),
    builder=lambda: None,
    folder=fold,
    merger=lambda first, second: first,
    ordered=False,  # the trades are in order; sorting holds them back
)


def message(final: tuple[str, tuple[int, float_candle.Candle]]) -> Any:
    """A closed window's candle, by its number since ALIGN_TO."""
    key, (number, candle) = final
    start = round((ALIGN_TO + number * MINUTE).timestamp() * 1000)
    return KafkaSinkMessage(key.encode(), json.dumps({"start": start, "value": candle}).encode())


kafka.output(
    "out",
    op.map("message", candles.down, message),
    brokers=[os.environ["BENCH_BOOTSTRAP"]],
    topic=os.environ["BENCH_OUTPUT"],
)
