"""Canonical trades at a fixed rate, in place of exchanges, ingest and normaliser.

Its arguments are broker, schema id, trades per second, seconds, instruments file. Each tick has trades of one
exchange, of all its symbols in turn, dated now.
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import count, cycle, islice

import numpy as np
from aiokafka import AIOKafkaProducer

from benchmarks.load import Batch, send_batch
from k2stream import instruments, topics
from k2stream.avro import trades as codec
from k2stream.model import decimals
from k2stream.model.instrument import Instrument, Instruments
from k2stream.model.trade import TradeColumns

TICK_SECONDS = 0.02


def batch(listed: list[Instrument], number: int, size: int, schema_id: int) -> Batch:
    """Trades of one exchange as the normaliser writes them, from a number on."""
    now = time.time_ns() // 1000
    items = list(islice(cycle(listed), number % len(listed), number % len(listed) + size))
    numbers = np.arange(number, number + size)
    columns = TradeColumns(
        exchange=listed[0].exchange,
        symbol=[item.symbol for item in items],
        trade_id=list(map(str, numbers.tolist())),
        timestamp=[now] * size,
        receive_time=[now] * size,
        price=[f"{1000 + each % 997}.{each % 100:02d}" for each in numbers.tolist()],
        quantity=[f"0.{1 + each % 99999:05d}" for each in numbers.tolist()],
        taker_buy=(numbers % 2 == 0).tolist(),
        sequence=numbers.tolist(),
        trade_count=[1] * size,
        vendor_data={"E": [str(now // 1000)] * size},
    )
    values = codec.encode(
        columns,
        decimals.parse(columns.price)[0],
        decimals.parse(columns.quantity)[0],
        canonical=[item.canonical for item in items],
        raw_partition=0,
        raw_offset=numbers,
        process_time=now,
        schema_id=schema_id,
    )
    return Batch(0, [item.key.encode() for item in items], values, [now // 1000] * size)


async def main(broker: str, schema_id: int, rate: int, seconds: float, listed: Instruments) -> None:
    """Write until the time is over; a tick that was late is made up for."""
    names = dict.fromkeys(item.exchange for item in listed)
    numbers = dict.fromkeys(names, 0)
    size = round(rate * TICK_SECONDS)
    async with AIOKafkaProducer(bootstrap_servers=broker, max_batch_size=1_000_000) as producer:
        began = time.perf_counter()
        for tick, name in zip(count(), cycle(names), strict=False):
            due = began + tick * TICK_SECONDS
            if due > began + seconds:
                break
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            made = batch(listed.for_exchange(name), numbers[name], size, schema_id)
            numbers[name] += size
            await send_batch(producer, topics.NORMALIZED, made)


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(given[0], int(given[1]), int(given[2]), float(given[3]), instruments.load(given[4])))
