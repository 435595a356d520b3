"""Faust as its documentation shows it: its own Kafka transport, an agent, one event at a time.

python -m benchmarks.peers.faust_app normalise|candles [tuned]

Candles are floats, and replays and late trades are not looked for. `tuned` adds what its users tune: uvloop
and larger buffers.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import faust
import mode.loop
from faust.serializers.codecs import Codec, register

from benchmarks.peers import avro_trade, float_candle
from benchmarks.progress import Counter

STAGE = sys.argv[1]
TUNED = "tuned" in sys.argv
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])

if TUNED:
    mode.loop.use("uvloop")


class TradeCodec(Codec):
    """The canonical trade."""

    def _dumps(self, obj: Any) -> bytes:
        return avro_trade.encode(obj)

    def _loads(self, s: bytes) -> Any:
        return avro_trade.decode(s)


register("trade", TradeCodec())
tuning: dict[str, Any] = (
    {"producer_linger": 0.02, "producer_max_batch_size": 524_288, "stream_buffer_maxsize": 16_384}
    if TUNED
    else {}
)
app = faust.App(
    f"faust-{STAGE}-{time.time_ns()}",
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    topic_partitions=PARTITIONS,
    datadir=Path(os.environ["BENCH_STATE"]),
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
    **tuning,
)
counter = Counter()

if STAGE == "normalise":
    raw = app.topic(os.environ["BENCH_INPUT"], key_serializer="raw", value_serializer="json")
    canonical = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="raw", value_serializer="trade")

    @app.agent(raw)
    async def normalise(stream: Any) -> None:
        """JSON to canonical Avro."""
        async for event in stream.events():
            trade = avro_trade.canonical(event.value, event.message.partition, event.message.offset)
            await canonical.send(key=avro_trade.key(trade), value=trade)

else:
    trades = app.topic(os.environ["BENCH_INPUT"], key_serializer="raw", value_serializer="trade")
    table = app.Table("ohlcv_1m", partitions=PARTITIONS).tumbling(60.0)

    @app.agent(trades)
    async def candles(stream: Any) -> None:
        """1m candles in a table with a changelog; windows by the records' own time."""
        async for key, trade in stream.items():
            name = key.decode()
            try:
                candle = float_candle.update(table[name].value(), trade)
            except KeyError:
                candle = float_candle.first(trade)
            table[name] = candle
            counter.add(1)


if __name__ == "__main__":
    app.Worker(loglevel="WARNING").execute_from_commandline()
