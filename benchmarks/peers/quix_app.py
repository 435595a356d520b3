"""Quix Streams as its documentation shows it: a StreamingDataFrame, RocksDB state with a changelog.

python -m benchmarks.peers.quix_app normalise|candles

Candles are floats, and published when their window has closed.
"""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

import os
import sys
import time
from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import BytesDeserializer, BytesSerializer, Deserializer, Serializer

from benchmarks.peers import avro_trade, float_candle
from benchmarks.progress import Counter

STAGE = sys.argv[1]


class FromAvro(Deserializer):
    """Canonical records in."""

    def __call__(self, value: bytes, ctx: Any) -> Any:
        return avro_trade.decode(value)


class ToAvro(Serializer):
    """Canonical records out."""

    def __call__(self, value: Any, ctx: Any) -> bytes:
        return avro_trade.encode(value)


counter = Counter()
app = Application(
    broker_address=os.environ["BENCH_BOOTSTRAP"],
    consumer_group=f"quix-{STAGE}-{time.time_ns()}",
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_STATE"],
    commit_interval=1.0,
    consumer_extra_config={"queued.min.messages": 100_000},
    producer_extra_config={"linger.ms": 20, "batch.size": 1_000_000, "compression.type": "none"},
    loglevel="WARNING",
)


def normalise() -> None:
    """JSON to canonical Avro."""
    raw = app.topic(
        os.environ["BENCH_INPUT"], key_deserializer=BytesDeserializer(), value_deserializer="json"
    )
    canonical = app.topic(
        os.environ["BENCH_OUTPUT"], key_serializer=BytesSerializer(), value_serializer=ToAvro()
    )

    def convert(trade: dict[str, Any]) -> dict[str, Any]:
        at = message_context()
        return avro_trade.canonical(trade, at.partition, at.offset)

    app.dataframe(raw).apply(convert).to_topic(canonical, key=avro_trade.key)


def candles() -> None:
    """1m candles by trade time."""
    trades = app.topic(
        os.environ["BENCH_INPUT"],
        key_deserializer=BytesDeserializer(),
        value_deserializer=FromAvro(),
        timestamp_extractor=lambda trade, *_: int(trade["timestamp"].timestamp() * 1000),
    )
    windows = app.dataframe(trades).tumbling_window(60_000, grace_ms=5_000)
    finals = windows.reduce(
        reducer=counted(float_candle.update), initializer=counted(float_candle.first)
    ).final()
    out = app.topic(os.environ["BENCH_OUTPUT"], key_serializer=BytesSerializer(), value_serializer="json")
    finals.to_topic(out)


def counted(function: Any) -> Any:
    """The function, counting its calls as trades."""

    def wrapped(*arguments: Any) -> Any:
        counter.add(1)
        return function(*arguments)

    return wrapped


if __name__ == "__main__":
    {"normalise": normalise, "candles": candles}[STAGE]()
    app.run()
