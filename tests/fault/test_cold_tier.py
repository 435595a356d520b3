"""The cold tier with two writers, lost answers, and compaction beside the stream: F7, F8, F9."""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitStateUnknownException
from sqlalchemy.exc import OperationalError

from k2stream import topics
from k2stream.delivery.progress import SinkPosition
from k2stream.delivery.sink import DestinationUnavailable
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.settings import environment, make
from tests.fault import report
from tests.fault.platforms import exact, quiet, running
from tests.fault.test_broker import raw_records
from tests.integration.sink_samples import batch, piece, trade

pytestmark = pytest.mark.fault

SILVER = tables.TABLES["cold.silver_trades"].route
WRITERS, OFFSETS = 4, 10_000
COMMITS, EACH = 60, 50
STREAM_SECONDS, STREAM_RATE, MAINTAIN_SECONDS = 600, 1000, 60
FILES_A_PARTITION = 2  # one that is merged, and one that a commit has added since


def offsets(settings):
    """How often each raw offset stands in silver."""
    held = open_catalog(settings.iceberg).load_table("cold.silver_trades").scan().to_arrow()
    return Counter(held["raw_offset"].to_pylist())


async def test_f07_writers_of_the_same_offsets_at_once(tmp_path):
    """F7: four processes write the same offsets at once, each in commits of its own; each row is there once.

    Short form:
    tests/integration/test_sinks_iceberg.py::test_two_writers_of_the_same_offsets_leave_one_set_of_rows.
    """
    settings = make(data_dir=str(tmp_path))
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fault.cold_writer", str(seed), str(OFFSETS)),
            cwd=Path(__file__).parents[2],
            env=os.environ | environment(settings),
            stdout=asyncio.subprocess.PIPE,
        )
        for seed in range(WRITERS)
    ]
    said = [(await writer.communicate())[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    added, commits, refused = (list(map(int, column)) for column in zip(*said, strict=True))
    assert offsets(settings) == Counter(range(OFFSETS))
    assert sum(added) == OFFSETS
    assert sum(bool(rows) for rows in added) > 1, "one writer did all"
    table = open_catalog(settings.iceberg).load_table("cold.silver_trades")
    assert len(table.snapshots()) == sum(commits)
    report.record(
        "F7",
        {"writers": WRITERS, "offsets by each": OFFSETS, "commits given up as overtaken": sum(refused)},
        {"rows": OFFSETS, "snapshots = commits": sum(commits), "rows twice": 0},
    )


async def test_f08_a_commit_whose_answer_is_lost(tmp_path, monkeypatch):
    """F8: commits that time out, after they landed or before; the next try adds each row and snapshot once.

    Short form: tests/integration/test_sinks_iceberg.py::test_a_commit_whose_answer_was_lost.
    """
    settings = make(data_dir=str(tmp_path))
    store, chance, injected = Iceberg(settings.iceberg), random.Random("F8"), Counter()
    store.prepare([SILVER])
    real = SqlCatalog.commit_table
    errors: tuple[Exception, ...] = (TimeoutError("no answer"), CommitStateUnknownException("no answer"))
    errors += (OperationalError("COMMIT", None, Exception("no answer")),)

    def lose(self, *arguments):
        fate = chance.choice(("fine", "landed", "did not land"))
        if fate == "fine":
            return real(self, *arguments)
        if fate == "landed":
            real(self, *arguments)
        injected[f"answers lost, commit {fate}"] += 1
        raise chance.choice(errors)

    monkeypatch.setattr(SqlCatalog, "commit_table", lose)
    refused = 0
    for number in range(COMMITS):
        first = number * EACH
        sent = batch(piece(SILVER, [trade(o) for o in range(first, first + EACH)], first=first))
        while True:
            try:
                store.write(SILVER, sent)
                break
            except DestinationUnavailable:
                refused += 1
    assert refused == sum(injected.values())
    assert min(injected.values()) >= COMMITS // 6
    assert offsets(settings) == Counter(range(COMMITS * EACH))
    table = open_catalog(settings.iceberg).load_table("cold.silver_trades")
    assert len(table.snapshots()) == COMMITS
    assert store.positions(SILVER) == {0: SinkPosition(COMMITS * EACH - 1)}
    report.record("F8", injected, {"snapshots": COMMITS, "rows": COMMITS * EACH, "rows twice": 0})


async def test_f09_maintenance_every_minute_of_ten_minutes_of_streaming(tmp_path):
    """F9: compaction beside the stream; both succeed, no row comes or goes, and files stay few.

    Short form: tests/integration/test_cold_maintenance.py::test_appends_go_on_while_it_runs.
    """
    injected, merged = Counter(), 0
    limits = {"cold_snapshot_seconds": 120.0, "cold_orphan_seconds": 3600.0}
    async with running(
        tmp_path, rate=STREAM_RATE, seed=9, cold_commit_seconds=10.0, cold_maintain_at="", **limits
    ) as platform:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < STREAM_SECONDS:
            await quiet(platform, MAINTAIN_SECONDS - passed % MAINTAIN_SECONDS)
            steps = await maintained(platform)
            merged += sum(
                step["files_before"] - step["files_after"] for step in steps if step["step"] == "compact"
            )
            injected["maintenances"] += 1
            injected["steps of them"] += len(steps)
        injected["s of streaming"] = round(time.monotonic() - began)
        assert not platform.restarts
        checked = await exact(platform)
        async with httpx.AsyncClient(timeout=60) as client:
            (await client.post(f"{platform.urls['cold']}/cold/flush")).raise_for_status()
        await maintained(platform)
        catalog = open_catalog(platform.settings.iceberg)
        most = 0
        for name in tables.TABLES:
            tasks = catalog.load_table(name).scan().plan_files()
            most = max([most, *Counter(str(task.file.partition) for task in tasks).values()])
        rows = 0
        for exchange in topics.EXCHANGES:
            held = catalog.load_table(f"cold.bronze_trades_{exchange}").scan().to_arrow()
            found = Counter(
                zip(held["raw_partition"].to_pylist(), held["raw_offset"].to_pylist(), strict=True)
            )
            assert found == Counter(position for position, _ in await raw_records(platform, exchange)), (
                exchange
            )
            rows += found.total()
    assert most <= FILES_A_PARTITION
    checked |= {
        "bronze rows = raw positions": rows,
        "files merged away": merged,
        "files a partition at most": most,
        "failed steps": 0,
    }
    report.record("F9", injected, checked)


async def maintained(platform):
    """Run `k2 cold maintain` as a person would; its steps, all of which went well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "k2stream", "cold", "maintain", "--json"),
        env=platform._environment(platform.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    communicating = asyncio.create_task(process.communicate())
    while not communicating.done():
        await quiet(platform, 0.5)
    said, errors = communicating.result()
    steps = list(map(json.loads, said.splitlines()))
    failed = [step for step in steps if step["status"] != "OK"]
    assert not failed, failed
    assert process.returncode == 0, errors.decode()[-3000:]
    return steps
