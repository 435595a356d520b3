"""A sink killed at every step, with real destinations: F6."""

import asyncio
import random
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from k2stream.clickhouse.destination import connect
from k2stream.embedded.front import ClickHouseServer
from k2stream.embedded.ports import free_port
from k2stream.iceberg.catalog import open_catalog
from k2stream.settings import make
from tests.fault import report
from tests.fault.dying_sink import EACH, PARTITIONS, ROUNDS, Run, acknowledged

pytestmark = pytest.mark.fault

PRODUCED = PARTITIONS * ROUNDS * EACH
CALLS = ("positions", "write", "save", "an acknowledgement")
RANDOM_RUNS = 10


@pytest_asyncio.fixture
async def clickhouse_port(tmp_path):
    """An engine of the test's own."""
    port = free_port()
    front = ClickHouseServer(
        tmp_path / "clickhouse", port, free_port(frozenset({port})), tmp_path / "clickhouse.log"
    )
    child = await front.start()
    yield port
    await child.stop(5)


def rows_in(tier, settings):
    """(partition, offset) of every row, as often as a reader sees it."""
    if tier == "clickhouse":
        table = f"{settings.clickhouse.database}.silver_trades"
        return connect(settings.clickhouse).execute(f"SELECT raw_partition, raw_offset FROM {table} FINAL")
    held = open_catalog(settings.iceberg).load_table("cold.silver_trades").scan().to_arrow()
    return list(zip(held["raw_partition"].to_pylist(), held["raw_offset"].to_pylist(), strict=True))


@pytest_asyncio.fixture
async def run(tmp_path):
    """run(tier, settings, step, journal) -> the step it died at, "" when it came to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fault.dying_sink"),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout

    async def one(tier, settings, step, journal):
        stdin.write(msgspec.json.encode(Run(tier, step, str(journal), settings)) + b"\n")
        await stdin.drain()
        said = await stdout.readline()
        assert said, f"the sink failed: {await process.wait()}"
        return said.decode().strip()

    yield one
    stdin.close()
    await process.wait()


@pytest.mark.parametrize("tier", ["clickhouse", "iceberg"])
async def test_f06_a_sink_killed_at_each_step_of_its_state_machine(tmp_path, clickhouse_port, run, tier):
    """F6: kill -9 at every step, and at random ones again and again; rows = produced, each once.

    Short form: tests/property/test_sink_machine.py::test_every_record_is_there_once_whatever_happens.
    """
    died, order = Counter(), random.Random("F6")

    def fresh(name):
        folder = tmp_path / name
        folder.mkdir()
        database = f"f06_{name}"
        return make(
            data_dir=str(folder), clickhouse_port=clickhouse_port, clickhouse_database=database
        ), folder / "journal"

    def holds(settings, journal):
        """What was acknowledged is there; the rows."""
        found = Counter(rows_in(tier, settings))
        assert not found or max(found.values()) == 1
        for partition, end in acknowledged(journal).items():
            assert all(found[partition, offset] for offset in range(end))
        return found.total()

    async def finish(settings, journal):
        assert await run(tier, settings, 0, journal) == ""
        assert holds(settings, journal) == PRODUCED
        assert set(acknowledged(journal).values()) == {ROUNDS * EACH}

    for step in count(1):
        settings, journal = fresh(f"step_{step}")
        name = await run(tier, settings, step, journal)
        if not name:
            break
        died[name] += 1
        if "prepare" not in name:
            holds(settings, journal)
        await finish(settings, journal)
    every = step - 1
    assert {f"{when} {call}" for when in ("before", "after") for call in CALLS} <= died.keys()

    settings, journal = fresh("random")
    for _ in range(RANDOM_RUNS):
        if name := await run(tier, settings, order.randint(3, 12), journal):
            died[name] += 1
            holds(settings, journal)
    await finish(settings, journal)
    checked = {"steps there are": every, "rows = produced each time": PRODUCED, "missing or twice": 0}
    report.record(f"F6 {tier}", died, checked)
