"""Whole platforms for fault tests: run, kept alive under faults, and at the end held to the oracle."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from k2stream import topics
from k2stream.avro import candles, registry
from k2stream.clickhouse.destination import connect
from k2stream.commands.demo import drain
from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.process import Child
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.lag import LagReader
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.platform.platform import Platform, Simulation
from k2stream.reconcile.oracle.raw_log import read_to_end
from k2stream.reconcile.oracle.run import verify
from k2stream.settings import load, make, replace
from tests import kafka

FOUR = dict.fromkeys(
    ("binance_partitions", "kraken_partitions", "coinbase_partitions", "normalized_partitions"), 4
)
GROUPS = {role: f"k2-{role}" for role in ("normalize", "candles", "hot", "cold", "certify")}
EVERY_GROUP = tuple(GROUPS.values())
LEAVE_SECONDS = 30
ENDED_AT_MOST = 3


@asynccontextmanager
async def running(
    folder: Path,
    *,
    rate: int = 200,
    seed: int = 1,
    ahead_seconds: float = 0.0,
    make_platform: Any = Platform,  # what is called as Platform is
    **given: Any,
) -> AsyncIterator[Platform]:
    """A platform on simulated exchanges, in a folder of its own; the cold tier commits every few seconds."""
    for known in (registry._writers, registry._layouts):
        known.clear()  # each platform's registry numbers its schemas anew
    settings = make(
        data_dir=str(folder / "data"),
        cache_dir=load().local.cache_dir,
        **{"cold_commit_seconds": 5.0, **given},
    )
    async with make_platform(settings, Simulation(rate, seed, ahead_seconds)) as platform:
        platform.longest_pause = 0.0
        yield platform
    shutil.rmtree(folder / "data", ignore_errors=True)  # of a test that failed it stays, with its logs


async def quiet(platform: Platform, seconds: float) -> None:
    """Let time pass; workers that died are started again."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.5))
        await platform.heal()


@asynccontextmanager
async def kept_alive(platform: Platform) -> AsyncIterator[None]:
    """Meanwhile workers that die are started again, as `k2 up` does."""
    keeping = asyncio.create_task(quiet(platform, math.inf))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def recovered(platform: Platform, within: float = 180) -> None:
    """Wait until every worker runs and is ready."""
    async with asyncio.timeout(within):
        while not await platform.is_ready():
            await quiet(platform, 0.5)


async def caught_up(platform: Platform, within: float, groups: Sequence[str] = EVERY_GROUP) -> float:
    """Wait until the groups have committed all that their topics hold now; the seconds it took."""
    async with LagReader(platform.settings) as lags:
        began = time.monotonic()

        async def passed(group: str) -> None:
            assert await lags.passed(group, within), (
                f"{group} still lags after {within} s: {await lags.lag()}"
            )

        async with kept_alive(platform):
            await asyncio.gather(*map(passed, groups))
    return time.monotonic() - began


async def members(platform: Platform, group: str) -> set[str]:
    """Ids of a consumer group's members; none while it is not stable."""
    return await kafka.members(platform.settings.kafka.bootstrap, group)


async def until(
    condition: Callable[[], Awaitable[Any]], within: float, what: str, healing: Platform | None = None
) -> Any:
    """Wait for an awaitable condition; workers of the platform `healing` that die are started again."""
    deadline = time.monotonic() + within
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.2)
        if healing:
            await healing.heal()
    return found


class Extra:
    """One more worker of a role, or of an exchange's ingest, beside the platform's own.

    `code` is the folder of another release, to run that: if it ends by itself, it is started again as its
    supervisor does, and `ended` counts it.
    """

    ended = 0

    def __init__(
        self,
        platform: Platform,
        role: str,
        number: int = 0,
        exchange: str = "",
        *,
        niceness: int = 0,
        code: Path | None = None,
    ) -> None:
        self._platform, self.role, self._exchange = platform, role, exchange
        self._niceness, self._code = niceness, code
        self._log = platform.settings.local.data_path / "logs" / f"extra-{role}-{number}.log"

    async def __aenter__(self) -> Self:
        port = free_port()
        settings = replace(self._platform.settings, web_port=port, service_port=0, exchange=self._exchange)
        environ = self._platform._environment(settings)
        self.url = f"http://{HOST}:{port}"
        command = [sys.executable, "-m", "k2stream", "worker", self.role]
        self.child = await Child.spawn(
            self._log.stem,
            command,
            self._log,
            env=environ | {"PYTHONPATH": str(self._code)} if self._code else environ,
            niceness=self._niceness,
            cwd=self._code,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.child.stop(10)

    async def leave(self) -> None:
        """SIGTERM; it has to end by itself."""
        if self._code and self.child.returncode is not None:
            return
        os.kill(self.child.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self.child.wait()
        except TimeoutError:
            pytest.fail(f"{self.role} has not left within {LEAVE_SECONDS} s: {self.child.tail()}")

    async def kill(self) -> None:
        """kill -9."""
        os.kill(self.child.pid, signal.SIGKILL)
        await self.child.wait()

    async def healthy(self) -> bool:
        if self.child.returncode is not None and self._code and self.ended < ENDED_AT_MOST:
            self.ended += 1
            await self.__aenter__()
        assert self.child.returncode is None, self.child.exit_report()
        return await answers(f"{self.url}/health") == 200


async def answers(url: str) -> int | None:
    """The status of an answer, None when there is none."""
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            return (await client.get(url)).status_code
    except httpx.TransportError:
        return None


async def stats(platform: Platform) -> dict[str, Any]:
    """What the simulated exchanges have counted, by exchange."""
    async with httpx.AsyncClient(timeout=10) as client:
        return (await client.get(f"{platform.control_url}/stats")).json()["exchanges"]


async def exact(platform: Platform, *, whole: bool = True) -> dict[str, float]:
    """Heal, stop the feeds, drain, and hold every layer to the oracle; the counts of what was compared.

    `whole`: the raw logs still have all that was ever in them.
    """
    await recovered(platform)
    await platform.stop_feeds()
    await caught_up(platform, 300, [GROUPS[role] for role in ("normalize", "candles", "hot")])
    await drain(platform)
    report = await verify(platform.settings, platform.urls["candles"])
    found = [
        line
        for item in report.comparisons
        if item.differences
        for line in (f"{item.layer}: {len(item.differences)} of", *map(str, item.differences[:5]))
    ]
    assert not found, f"{report.differences} differences\n" + "\n".join(found)
    counts = Counter()
    for exchange in report.counts.values():
        counts.update(exchange)
    assert counts["raw"] > 0
    assert report.candles > 0
    refused = counts["raw"] - counts["normalized"] - counts["duplicates"]
    # Frames that nobody could read are letters too.
    assert not whole or 0 <= refused <= counts["dead letters"], counts
    return {
        "raw trades": counts["raw"],
        "canonical trades": counts["normalized"],
        "late trades": counts["late"],
        "candles": report.candles,
        "comparisons": sum(item.compared for item in report.comparisons),
        "differences": report.differences,
        "candle records": len(await published(platform)),
        "snapshots": await asyncio.to_thread(snapshots, platform),
        "repeated ids": await asyncio.to_thread(repeated_ids, platform),
    }


async def published(platform: Platform) -> dict[tuple[str, str, int, int], Candle]:
    """{(timeframe, key, open time, revision): candle} of the candle topics: each revision is one content."""
    found = {}
    for timeframe in TIMEFRAMES:
        async for _, records in read_to_end(platform.settings.kafka, topics.ohlcv(timeframe)):
            registry.look_up((record.value for record in records), platform.settings.kafka.registry)
            for candle in candles.decode([record.value for record in records]):
                name = (timeframe, f"{candle.exchange}:{candle.symbol}", candle.open_time, candle.revision)
                assert found.setdefault(name, candle) == candle, f"two contents of revision {name}"
    return found


def repeated_ids(platform: Platform) -> int:
    """Trades that stand in silver under an id or a position that another has; in both tiers. Always 0."""
    database = platform.settings.clickhouse.database
    ((rows, ids, positions),) = connect(platform.settings.clickhouse).execute(
        f"""SELECT count(), uniqExact(exchange, symbol, trade_id),
            uniqExact(exchange, raw_partition, raw_offset)
        FROM {database}.silver_trades FINAL"""
    )
    columns = ("exchange", "symbol", "trade_id")
    cold = open_catalog(platform.settings.iceberg).load_table("cold.silver_trades")
    held = cold.scan(selected_fields=columns).to_arrow()
    distinct = held.group_by(list(columns)).aggregate([]).num_rows
    repeated = {"ids": rows - ids, "positions": rows - positions, "cold ids": held.num_rows - distinct}
    assert not any(repeated.values()), repeated
    return 0


def minutes_of_silver(platform: Platform, late: float) -> int:
    """How many minutes silver has; each has a candle of all its trades but the `late` ones.

    Also those whose raw records are gone, which the oracle does not compare.
    """
    database = platform.settings.clickhouse.database
    of_minute = connect(platform.settings.clickhouse).execute(
        f"""SELECT exchange, symbol, minute, sum(trades), sum(folded) FROM (
            SELECT exchange, symbol, toStartOfMinute(timestamp) AS minute, trade_count AS trades, 0 AS folded
            FROM {database}.silver_trades FINAL
            UNION ALL
            SELECT exchange, symbol, toDateTime(open_time), 0, trade_count FROM {database}.ohlcv_1m FINAL
        ) GROUP BY 1, 2, 3 ORDER BY 3"""
    )
    differ = [row for row in of_minute if row[3] != row[4]]
    missing = sum(row[3] - row[4] for row in differ)
    assert missing == late, f"{missing} trades of silver are in no candle, {late} were late: {differ[:5]}"
    return len(of_minute)


def snapshots(platform: Platform) -> int:
    """How many snapshots the cold tables have; each that added rows brought some partition forward."""
    catalog = open_catalog(platform.settings.iceberg)
    count = 0
    for name in tables.TABLES:
        before = {}
        for snapshot in catalog.load_table(name).snapshots():
            count += 1
            assert snapshot.summary is not None
            told = snapshot.summary.additional_properties
            held = writer._decode(told) if told.get(writer.PROPERTY) else before
            if int(told.get("added-records", 0)) and snapshot.summary.operation.value == "append":
                forward = [
                    item for item in held if item not in before or held[item].offset > before[item].offset
                ]
                assert forward, f"{name}: snapshot {snapshot.snapshot_id} adds what was there before"
            before = held
    return count
