"""The raw topics as Parquet files, for the oracle to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, TopicPartition

from k2stream import topics
from k2stream.kafka import all_there, client_options
from k2stream.settings import Settings

_SCHEMA = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("key", pa.binary()), ("value", pa.binary())]
)


async def dump(settings: Settings, topic: str, path: Path) -> int:
    """Write all records of a topic that exist now to a Parquet file; returns how many."""
    count = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="lz4") as writer:
        async for partition, records in read_to_end(settings, topic):
            writer.write_table(
                pa.table(
                    {
                        "partition": pa.array([partition] * len(records), pa.int32()),
                        "offset": pa.array([record.offset for record in records], pa.int64()),
                        "key": pa.array([record.key for record in records], pa.binary()),
                        "value": pa.array([record.value for record in records], pa.binary()),
                    },
                    schema=_SCHEMA,
                )
            )
            count += len(records)
    return count


async def read_to_end(settings: Settings, topic: str) -> Any:
    """Yield (partition, records) from the beginning to the end offsets as they are at the call.

    Raises Expired when retention overtakes it.
    """
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        max_poll_records=20_000,
        enable_auto_commit=False,
        auto_offset_reset="none",
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in sorted(await _partitions(consumer, topic))]
        if not partitions:
            return
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        end = await consumer.end_offsets(partitions)
        while any([await consumer.position(tp) < end[tp] for tp in partitions]):
            with all_there(f"reading {topic}"):
                polled = await consumer.getmany(timeout_ms=500)
            for tp, records in polled.items():
                kept = [record for record in records if record.offset < end[tp]]
                if kept:
                    yield tp.partition, kept
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()  # noqa: SLF001 - partitions_for_topic reads cached metadata only
    return set(consumer.partitions_for_topic(topic) or ())


async def dump_raw(settings: Settings, folder: Path) -> dict[str, int]:
    """All raw topics to `<folder>/<exchange>.parquet`; returns the record counts."""
    return {
        name: await dump(settings, topics.raw(name), folder / f"{name}.parquet") for name in topics.EXCHANGES
    }
