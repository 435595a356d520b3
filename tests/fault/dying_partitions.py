"""`python -m tests.fault.dying_partitions STEP:N NAME COUNT`: `k2 partitions`, killed before a step."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from k2stream.cli import main
from k2stream.clickhouse.destination import ClickHouse
from k2stream.iceberg.destination import Iceberg
from k2stream.kafka.positions import GroupPositions
from k2stream.kafka.producer import DurableProducer
from k2stream.partitions import rest

PLACES: dict[str, tuple[Any, ...]] = {
    "create_topics": (AIOKafkaAdminClient,),
    "create_partitions": (AIOKafkaAdminClient,),
    "delete_records": (AIOKafkaAdminClient,),
    "delete_topics": (AIOKafkaAdminClient,),
    "occupy": (DurableProducer,),
    "send": (DurableProducer,),
    "open": (ClickHouse, Iceberg),
    "commit": (GroupPositions,),
}
"""The methods that make a step durable."""


def die_before(step: str, number: int) -> None:
    """Kill this process before the `number`-th call of a step; "tombstone" is a send without a value."""
    calls = 0

    def counted(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        def call(*arguments: Any, **options: Any) -> Awaitable[Any]:
            nonlocal calls
            if step != "tombstone" or arguments[2] is None:
                calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **options)

        return call

    name = "send" if step == "tombstone" else step
    for place in PLACES[name]:
        setattr(place, name, counted(getattr(place, name)))


if __name__ == "__main__":
    rest.WATCH_SECONDS = 0.2
    if sys.argv[1] != "-":
        step, _, number = sys.argv[1].partition(":")
        die_before(step, int(number))
    sys.argv = ["k2", "partitions", *sys.argv[2:], "--yes"]
    main()
