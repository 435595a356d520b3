"""The cold tier's worker: every layer into Iceberg, maintained daily. `POST /cold/flush` commits now."""

from __future__ import annotations

from typing import Any

from faust.types import TP
from faust.web import View

from k2stream import settings as settings_module
from k2stream import topics
from k2stream.app import create_app
from k2stream.delivery.sink import Policy
from k2stream.delivery.worker import SinkWorker
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.maintenance import daily
from k2stream.iceberg.tables import TABLES

MAX_BYTES = 24 << 20  # of all buffers
FLUSH_WAIT_SECONDS = 60.0
GATHER_SECONDS = (1.0, 1.0)  # nobody waits for the cold tier, and large deliveries cost far less
CHECK_SECONDS = 60.0

app = create_app("cold")
app.gather_seconds = GATHER_SECONDS
settings = settings_module.get()
policy = Policy(
    flush_seconds=settings.sinks.cold_commit_seconds,
    max_rows=settings.sinks.cold_commit_rows,
    max_bytes=MAX_BYTES,
    save_seconds=0.0,
    check_seconds=CHECK_SECONDS,
)
sink = SinkWorker(app, settings.kafka, Iceberg(settings.iceberg), policy)
sink.deliver([table.route for table in TABLES.values()])


@app.page("/cold/flush", name="cold_flush")
class Flush(View):
    """Commit what the topics hold now; the rows added by table."""

    async def post(self, request: Any) -> Any:
        """Answer when it is committed."""
        return self.json(await sink.flush(FLUSH_WAIT_SECONDS))


async def maintain_daily() -> None:
    """Of several workers, the one that reads the first canonical partition maintains the tables."""
    first = TP(topics.NORMALIZED, 0)
    await daily.run_daily(settings.maintenance.maintain_at, lambda: first in app.consumer.assignment())


if settings.maintenance.maintain_at:
    app.task(maintain_daily)
