"""Ceiling: aiokafka's getmany and nothing else."""

from __future__ import annotations

import os

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.progress import Counter

_MAX_RECORDS = 10_000


async def main() -> None:
    counter = Counter()
    consumer = AIOKafkaConsumer(
        os.environ["BENCH_INPUT"],
        bootstrap_servers=os.environ["BENCH_BOOTSTRAP"],
        group_id=None,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=_MAX_RECORDS)
        counter.add(sum(map(len, fetched.values())))


if __name__ == "__main__":
    uvloop.run(main())
