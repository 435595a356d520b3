"""The cold worker: writes every layer to Iceberg and maintains the tables daily.

`POST /cold/flush` commits at once.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from faust.types import TP
from faust.web import View

# Parquet writers take this pool whatever `set_memory_pool` says; the default, mimalloc, keeps what they free.
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = os.environ.get("ARROW_DEFAULT_MEMORY_POOL", "system")

from k2stream import memory, topics
from k2stream.app import create_app
from k2stream.delivery.sink import Policy
from k2stream.delivery.worker import SinkWorker
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.maintenance import daily
from k2stream.iceberg.tables import TABLES
from k2stream.settings import current

MAX_BYTES, CALM_BYTES = 24 << 20, 12 << 20  # all buffers together
FLUSH_WAIT_SECONDS = 60.0
GATHER_SECONDS = (1.0, 1.0)  # latency does not matter here, and large deliveries cost far less
CHECK_SECONDS = TRIM_SECONDS = 60.0

app = create_app("cold")
app.gather_seconds = GATHER_SECONDS
settings = current()
policy = Policy(
    flush_seconds=settings.sinks.cold_commit_seconds,
    max_rows=settings.sinks.cold_commit_rows,
    max_bytes=MAX_BYTES,
    save_seconds=0.0,
    check_seconds=CHECK_SECONDS,
    calm_bytes=CALM_BYTES,
)
sink = SinkWorker(app, settings.kafka, Iceberg(settings.iceberg), policy)
sink.deliver([table.route for table in TABLES.values()])


@app.page("/cold/flush", name="cold_flush")
class Flush(View):
    """Commits the records that the topics contain now."""

    async def post(self, request: Any) -> Any:
        """Commit, then answer with the rows added to each table."""
        return self.json(await sink.flush(FLUSH_WAIT_SECONDS))


@app.timer(TRIM_SECONDS)  # type: ignore[untyped-decorator]
async def trim() -> None:
    """Return freed memory to the system."""
    await asyncio.to_thread(memory.trim)


async def maintain_daily() -> None:
    """Maintain the tables daily, in the one worker that is assigned normalized partition 0."""
    first = TP(topics.NORMALIZED, 0)
    await daily.run_daily(settings.maintenance.maintain_at, lambda: first in app.consumer.assignment())


if settings.maintenance.maintain_at:
    app.task(maintain_daily)
