"""Compares final candles with the exchanges' own klines."""

from __future__ import annotations

from collections.abc import Sequence

from k2stream import exchanges
from k2stream.agreement.worker import AgreementMonitor
from k2stream.app import create_app
from k2stream.batch import is_ready
from k2stream.exchanges.spec import Exchange
from k2stream.settings import current
from k2stream.tables import agreement

app = create_app("certify")
settings = current()


async def send(topic: str, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Send the records through the worker's producer."""
    await app.producer.send_columns(topic, partition, keys, values)


tables = agreement.declare(app, settings.kafka.normalized_partitions)
monitor = AgreementMonitor(tables, send, settings, lambda: is_ready(app))


def compare(exchange: Exchange) -> None:
    """Declare the task that compares candles of one exchange."""

    async def task() -> None:
        await monitor.run(exchange)

    app.task(task)


if settings.agreement.enabled:
    for each in exchanges.REGISTRY.values():
        compare(each)
