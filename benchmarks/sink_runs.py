"""K2's sinks in a process of their own: trades into ClickHouse or Iceberg, and a look at every row."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

from benchmarks import progress
from benchmarks.check import tables
from benchmarks.check.verdict import WrongOutput, demand
from benchmarks.measure import Figures, counted, measure
from benchmarks.place import Place
from benchmarks.runner import Bench, bench_environment, outputs
from k2stream import topics
from k2stream.embedded.front import ClickHouseServer
from k2stream.embedded.ports import HOST, free_port
from k2stream.settings import Settings, environment, replace

_DATABASE = "k2"
_COMMIT_SECONDS = 5.0  # of the cold tier: nobody waits 15 minutes for the last rows
_ROWS = {
    "bronze rows": (
        "bronze_trades_binance",
        "t AS sequence, s AS symbol, p AS price, q AS quantity, m AS sold, T * 1000 AS time_us",
    ),
    "silver rows": (
        "silver_trades",
        "sequence, symbol, price, quantity, side = 'SELL' AS sold, "
        "toUnixTimestamp64Micro(timestamp) AS time_us",
    ),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """A running ClickHouse."""

    port: int
    http_port: int

    async def query(self, sql: str) -> bytes:
        """The answer over HTTP. Raises WrongOutput with what the engine says instead."""
        async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
            answer = await client.post(f"http://{HOST}:{self.http_port}/", content=sql)
        if answer.is_error:
            raise WrongOutput(f"ClickHouse: {answer.text.strip()[:300]}")
        return answer.content


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[Engine]:
    """Run ClickHouse on a folder."""
    ports = free_port(), free_port()
    child = await ClickHouseServer(folder / "clickhouse", *ports, folder / "logs" / "clickhouse.log").start()
    try:
        yield Engine(*ports)
    finally:
        await child.stop(5.0)


async def run_sink(
    ready: Bench, database: Engine, role: str, command: list[str | Path], env: Mapping[str, str]
) -> tuple[Figures, str]:
    """One run of the hot or the cold worker over the whole load.

    A trade is done when its rows of bronze and silver are durable. Raises StageError, or WrongOutput when a
    row is lost, doubled or wrong.
    """
    broker, loaded, state = ready.servers.canonical, ready.loaded, ready.fresh_state()
    for canonical in (False, True):
        await ready.source(broker, canonical, loaded)
    place = Place(broker.bootstrap, topics.NORMALIZED, "", state, ready.folder / "progress")
    progress.create(place.progress)
    settings = replace(
        ready.settings(broker, state),
        clickhouse_port=database.port,
        clickhouse_database=_DATABASE,
        iceberg_catalog_uri=f"sqlite:///{state}/catalog.db",
        iceberg_warehouse=f"file://{state}/warehouse",
        cold_commit_seconds=_COMMIT_SECONDS,
        cold_maintain_at="",
    )
    await database.query(f"DROP DATABASE IF EXISTS {_DATABASE} SYNC")
    await ready.reset(broker, outputs(settings, loaded.partitions))
    count = counted(place.progress)
    figures = await measure(
        role,
        command,
        {**environment(settings), **bench_environment(place, loaded.records, loaded.partitions), **env},
        ready.folder / "logs" / f"{role}.log",
        count,
        loaded.records,
        broker.child.pid,
        count,
    )
    found = await _hot(database) if role == "hot" else _cold(settings)
    return figures, demand([tables.trades(what, rows, loaded) for what, rows in found.items()])


async def _hot(database: Engine) -> dict[str, pa.Table]:
    answers = {
        what: await database.query(f"SELECT {columns} FROM {_DATABASE}.{table} FORMAT Parquet")
        for what, (table, columns) in _ROWS.items()
    }
    return {what: pq.read_table(io.BytesIO(answer)) for what, answer in answers.items()}


def _cold(settings: Settings) -> dict[str, pa.Table]:
    catalog = load_catalog(
        "k2", type="sql", uri=settings.iceberg.catalog_uri, warehouse=settings.iceberg.warehouse
    )
    names = {
        "t": "sequence",
        "s": "symbol",
        "p": "price",
        "q": "quantity",
        "m": "sold",
        "trade_time": "time_us",
    }
    bronze = catalog.load_table("cold.bronze_trades_binance").scan(selected_fields=(*names,)).to_arrow()
    bronze = bronze.select([*names]).rename_columns([*names.values()])
    at = bronze.column_names.index("time_us")
    bronze = bronze.set_column(at, "time_us", pc.multiply(bronze["time_us"], 1000))
    silver = catalog.load_table("cold.silver_trades").scan().to_arrow()
    return {
        "bronze rows": bronze,
        "silver rows": silver.select(["sequence", "symbol", "price", "quantity"])
        .append_column("sold", pc.equal(silver["side"].cast(pa.string()), "SELL"))
        .append_column("time_us", silver["timestamp"].cast(pa.int64())),
    }


def event_time_ms() -> int:
    """A whole minute two hours ago: tables drop what is older than days."""
    return int(time.time() - 7200) // 60 * 60_000
