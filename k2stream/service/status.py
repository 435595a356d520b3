"""The state of the platform: `/v1/status`."""

from __future__ import annotations

import time

import msgspec
from litestar import get

from k2stream.layers.table import TABLES, LayerTable
from k2stream.model.roles import Role
from k2stream.platform.snapshot import Snapshot
from k2stream.service.parameters import From
from k2stream.web.query import RequestError


class WorkerItem(msgspec.Struct, frozen=True):
    """One worker: "ok", "recovering", "refused" (it does not start again by itself) or "unreachable"."""

    name: str
    state: str
    message: str | None = None
    """Why it refused its state."""


class StageItem(msgspec.Struct, frozen=True):
    """A step of the pipeline; latencies in ms, from the socket, of the last minute."""

    name: str
    records: int
    records_per_second: float
    lag: int | None
    """Records that wait for the step; null for the first one."""
    latency_p50: float | None
    latency_p99: float | None
    errors: int


class SinkItem(msgspec.Struct, frozen=True):
    """A table of a tier, and how far its sink is."""

    tier: str
    table: str
    layer: str
    rows: int
    """Since the worker started."""
    rows_per_second: float
    lag: int
    errors: int
    written: int | None
    """When rows last became durable (ms since 1970): of the cold tier, its last commit."""
    seconds_behind: float
    """How old the last write is while records wait; 0 if none do."""
    commit_seconds: float | None
    """How long rows wait for a commit at most, so that a lag until then is no fault; null: they do not."""


class StatusAnswer(msgspec.Struct, frozen=True):
    """Workers, pipeline and sinks; the exchanges are in `/v1/exchanges`."""

    simulated: bool
    time: int
    workers: list[WorkerItem]
    stages: list[StageItem]
    sinks: list[SinkItem]


@get("/v1/status")
async def status(sources: From) -> StatusAnswer:
    """The state of the workers, the pipeline's rates, lag and latency, and how far the sinks are."""
    snapshot = await sources.workers.read()
    if snapshot is None:
        raise RequestError(
            503, "no workers are known here: set K2_SERVICE_WORKERS to their names and addresses"
        )
    return answer(snapshot, time.time())


def answer(snapshot: Snapshot, now: float) -> StatusAnswer:
    """What a snapshot says; `now` in seconds since 1970."""
    return StatusAnswer(
        snapshot.simulated, round(now * 1000), _workers(snapshot), _stages(snapshot), _sinks(snapshot, now)
    )


def _workers(snapshot: Snapshot) -> list[WorkerItem]:
    found = {name: WorkerItem(name, state) for name, state in snapshot.states.items()}
    found |= {name: WorkerItem(name, "unreachable") for name in snapshot.now.silent}
    found |= {name: WorkerItem(name, "refused", why) for name, why in snapshot.refused.items()}
    return [found[name] for name in sorted(found)]


def _stages(snapshot: Snapshot) -> list[StageItem]:
    now = snapshot.now
    rejected = now.by("k2_rejected_total", "stage")
    return [
        _stage(snapshot, "raw", "k2_raw_trades_total", None, "", rejected.get("ingest", 0)),
        _stage(
            snapshot,
            "normalized",
            "k2_normalized_trades_total",
            Role.NORMALIZE,
            "normalized",
            rejected.get("normalize", 0),
        ),
        _stage(
            snapshot,
            "candles",
            "k2_candle_updates_total",
            Role.CANDLES,
            "candle",
            rejected.get("candles", 0),
        ),
    ]


def _stage(
    snapshot: Snapshot, name: str, counter: str, role: Role | None, to: str, errors: float
) -> StageItem:
    return StageItem(
        name,
        round(snapshot.now.get(counter)),
        round(snapshot.rate(counter), 1),
        sum(snapshot.lag.get(role.group, {}).values()) if role else None,
        _ms(snapshot.latency(to, 0.5)),
        _ms(snapshot.latency(to, 0.99)),
        round(errors),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _sinks(snapshot: Snapshot, now: float) -> list[SinkItem]:
    hot, cold = snapshot.lag.get(Role.HOT.group, {}), snapshot.lag.get(Role.COLD.group, {})
    items = []
    for table in TABLES.values():
        for tier, name, lags in (("ClickHouse", table.hot, hot), ("Iceberg", table.cold, cold)):
            items.append(_sink(snapshot, now, tier, name, table, lags.get(table.topic, 0)))
    return items


def _sink(snapshot: Snapshot, now: float, tier: str, name: str, table: LayerTable, lag: int) -> SinkItem:
    written = snapshot.now.get("k2_sink_written_timestamp_seconds", table=name)
    return SinkItem(
        tier,
        name,
        table.layer,
        round(snapshot.now.get("k2_sink_rows_total", table=name)),
        round(snapshot.rate("k2_sink_rows_total", table=name), 1),
        lag,
        round(snapshot.now.get("k2_sink_errors_total", table=name)),
        round(written * 1000) or None,
        round(max(now - written, 0), 1) if lag and written else 0.0,
        snapshot.commit_seconds if tier == "Iceberg" else None,
    )


ROUTES = (status,)
