"""Raw records in memory, for the stages that do not read Kafka while they are measured."""

from __future__ import annotations

import asyncio
import os

from aiokafka import AIOKafkaConsumer


def fetch(count: int) -> list[bytes]:
    """The first `count` values of BENCH_INPUT as they come."""
    return asyncio.run(_fetch(count))


async def _fetch(count: int) -> list[bytes]:
    values: list[bytes] = []
    async with AIOKafkaConsumer(
        os.environ["BENCH_INPUT"],
        bootstrap_servers=os.environ["BENCH_BOOTSTRAP"],
        group_id=None,
        auto_offset_reset="earliest",
    ) as consumer:
        while len(values) < count:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=10_000)).values():
                values += [record.value for record in records]
    return values[:count]
