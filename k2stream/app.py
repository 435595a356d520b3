"""The Faust app of a role."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

import faust
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from k2stream import memory, metrics, peers, proxies, topics
from k2stream.avro import registry
from k2stream.batch import BatchApp, batch_app_options, is_ready, report_uncaught, watch_stalls
from k2stream.kafka.creation import ensure_topics
from k2stream.logs.setup import configuration
from k2stream.model.roles import Role
from k2stream.monitor import WorkerMonitor, measure_lag, measure_stalls
from k2stream.settings import KafkaSettings, Settings, WorkerSettings, current
from k2stream.tracing import Tracer, tracer
from k2stream.worker import Worker

# The least and the most from a fetch to the next one: one delivery per trade would saturate a core in Faust.
GATHER_SECONDS = (0.012, 0.03)

# Batches create thousands of short-lived objects: with CPython's default of a collection per 700 allocations,
# garbage collection took half of a worker's time. Cycles are rare here, and still collected, less often.
GC_THRESHOLDS = (200_000, 20, 20)

logger = logging.getLogger(__name__)

ROLES = ("ingest", "normalize", "candles", "hot", "cold", "certify")


def credentials(settings: KafkaSettings) -> Any:
    """Faust's broker credentials; None for a connection without SASL and TLS."""
    context = settings.connection.get("ssl_context")
    if settings.authenticated:
        return faust.SASLCredentials(
            mechanism=settings.sasl_mechanism,
            username=settings.sasl_username,
            password=settings.sasl_password,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None


class App(BatchApp):
    """A Faust app that creates the declared topics and runs its preparations before anything else starts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.prepared = False
        self.refused_seconds = 0.0
        self.web_key = ""
        self.trades_tracer: Tracer | None = None
        super().__init__(*args, gather_seconds=GATHER_SECONDS, **options)

    async def prepare(self) -> None:
        """Create missing topics, then run the preparations.

        Raises ConfigError when topics do not match the settings, StateRefused when one already read is lost.
        """
        conf, settings = self.conf, current()
        logger.info(
            "%s: pages at http://%s:%d, data in %s", conf.id, conf.web_host, conf.web_port, conf.datadir
        )
        conf.datadir.mkdir(parents=True, exist_ok=True)
        # Changelogs too: a partition assigned before its changelog exists would have no table.
        written = topics.written_by_feed(settings.worker.exchange) if self.producer_only else ()
        declared = [*topics.declared(settings.kafka), *self.changelogs()]
        await ensure_topics(settings.kafka, declared, recreate=written, leave=self.producer_only)
        await super().prepare()
        for table in self.tables.values():
            metrics.TABLE_KEYS.labels(table.name).set_function(table.__len__)
        self.prepared = True
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def changelogs(self) -> list[topics.Topic]:
        """Changelog topics of the app's tables."""
        return [
            topics.changelog(
                table.changelog_topic_name,
                table.partitions or self.conf.topic_partitions,
                {name: str(value) for name, value in (table.extra_topic_configs or {}).items()},
                getattr(table, "source", ""),
            )
            for table in self.tables.values()
        ]


@cache
def create_app(role: str) -> App:
    """Create the app of a role, once per process, with its consumer group, `/health` and `/metrics`.

    From now on, a K2Error that ends the process is printed as one line. Raises ConfigError.
    """
    sys.excepthook = report_uncaught
    memory.share_heaps()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    proxies.except_local()
    settings = current()
    registry.use(settings.kafka.registry)
    name = f"{Role(role).group}-{settings.worker.exchange}" if role == Role.INGEST else Role(role).group
    app = App(
        name,
        Worker=Worker,
        broker_credentials=credentials(settings.kafka),
        datadir=settings.local.data_path / "workers" / name,
        topic_partitions=settings.kafka.normalized_partitions,
        topic_replication_factor=settings.kafka.replication,
        **peers.web_options(
            settings.worker, settings.worker.web_port or _free_port(settings.worker.web_bind)
        ),
        Monitor=WorkerMonitor,
        logging_config=logging_of(role, settings.worker),
        **batch_app_options(settings.kafka.bootstrap, broker_commit_interval=settings.worker.commit_seconds),
    )
    app.refused_seconds, app.web_key = settings.worker.refused_seconds, settings.worker.web_key
    app.trades_tracer = tracer(role, settings.trace.one_in, settings.trace.url)
    _add_pages(app, role)
    _measure_process(app, settings)
    if role != "ingest":  # that role consumes no topic

        @app.task  # type: ignore[untyped-decorator]
        async def watch_progress() -> None:
            """Restart the worker when partitions with lag make no progress."""
            await watch_stalls(app, settings.worker.stall_seconds, measure_stalls)

        @app.task  # type: ignore[untyped-decorator]
        async def watch_lag() -> None:
            """Measure what the worker has yet to commit."""
            await measure_lag(app)

    return app


def logging_of(role: str, settings: WorkerSettings) -> dict[str, Any]:
    """The logging configuration of a role: each record names the worker, and an ingest one its exchange."""
    said = {"role": role, "worker": role}
    if role == Role.INGEST:
        said = {"role": role, "worker": f"{role}-{settings.exchange}", "exchange": settings.exchange}
    return configuration(settings.log_format, settings.log_level, **said)


def _measure_process(app: BatchApp, settings: Settings) -> None:
    """Values that are read when they are asked for."""
    metrics.READY.set_function(lambda: is_ready(app))
    metrics.DISK_FREE.set_function(lambda: _disk_free(settings.local.data_path))
    metrics.RECOVERY_LEFT.set_function(lambda: _recovery_left(app))


def _recovery_left(app: BatchApp) -> int:
    if not len(app.tables):
        return 0
    recovery = app.tables.recovery
    return max(recovery.active_remaining_total(), 0) if recovery.in_recovery else 0


def _disk_free(folder: Path) -> int:
    """Free bytes below a folder, which may not exist yet."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _add_pages(app: BatchApp, role: str) -> None:
    async def health(view: Any, request: Any) -> Any:
        ready = is_ready(app)
        body = {"role": role, "app": app.conf.id, "status": "ok" if ready else "recovering"}
        return view.json(body, status=200 if ready else 503)

    async def metrics(view: Any, request: Any) -> Any:
        return view.bytes(generate_latest(), content_type=CONTENT_TYPE_LATEST.split(";")[0])

    app.page("/health", name="health")(health)
    app.page("/metrics", name="metrics")(metrics)
