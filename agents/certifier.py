"""Certifies final candles: takes canonical trades, and publishes the digest of those of each candle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faust.types import TP

from k2stream import topics
from k2stream.app import create_app
from k2stream.batch import BatchSchema
from k2stream.certificates.partition import CertifiedPartition
from k2stream.certificates.worker import Certifier
from k2stream.settings import current
from k2stream.tables import certificates as tables_of
from k2stream.web.health import FeedHealth

app = create_app("certify")
settings = current()
tables = tables_of.declare(app, settings.kafka.normalized_partitions)
health = FeedHealth()


class NormalizedTopic:
    """How far this worker has read the canonical trades."""

    async def end(self, partition: int) -> int:
        """The offset after the last record that the broker has now."""
        tp = TP(topics.NORMALIZED, partition)
        return int((await app.consumer.highwaters(tp))[tp] or 0)

    def position(self, partition: int) -> int | None:
        """The offset up to which the partition is acknowledged; None when that is unknown."""
        tp = TP(topics.NORMALIZED, partition)
        remaining = app.consumer.remaining(tp)
        return None if remaining is None else int(app.consumer.highwater(tp)) - remaining


def restore(partition: int) -> CertifiedPartition:
    """A partition's certificates, restored from its tables."""
    stores = tables.blocks_store(partition), tables.progress_store(partition)
    return CertifiedPartition(*stores, settings.candles.grace_us)


async def send(partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Send certificates through the worker's producer."""
    await app.producer.send_columns(topics.CERTIFICATES, partition, keys, values)


certifier = Certifier(restore, NormalizedTopic(), health, send)


@app.agent(app.topic(topics.NORMALIZED, schema=BatchSchema()), name="certify_trades")
async def trades(stream: Any) -> None:
    """Take each batch of trades."""
    async for batch in stream:
        certifier.take_trades(batch)


@tables.progress.on_recover
async def recovered() -> None:
    """Restore the assigned partitions once their tables are recovered."""
    certifier.recover(tables.progress.active_partitions)
    app.producer.before_flush(expire)


async def expire() -> None:
    """Drop old blocks before the tables are flushed."""
    certifier.expire()


@app.task  # type: ignore[untyped-decorator]
async def watch_feeds() -> None:
    """Follow the feed events."""
    await health.follow(settings.kafka)
