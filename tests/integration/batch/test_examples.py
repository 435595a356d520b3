"""The applications of examples/, each against the real broker."""

import asyncio
import json
import os
import re
import sqlite3
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from k2stream.batch._changes import RESERVED
from k2stream.embedded.ports import free_port

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def running(name, kafka, folder, **environ):
    """A worker of an example, in a folder of its own."""
    code = (ROOT / "examples" / f"{name}.py").read_text()
    (folder / f"{name}.py").write_text(code.replace("localhost:9092", kafka.bootstrap))
    with (folder / "log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *(f"{name}.py", "worker", "--web-port", str(free_port())),
            cwd=folder,
            env=os.environ | {"FAUST_DATADIR": str(folder / "data")} | environ,
            stdout=log,
            stderr=log,
        )
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


async def until(condition, worker, folder):
    async with asyncio.timeout(60):
        while not await condition():
            assert worker.returncode is None, (folder / "log").read_text()
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", ["clicks", "exact"])
def test_what_the_page_shows_is_an_example(name):
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "batch.md").read_text(), re.DOTALL)
    example = (ROOT / "examples" / f"{name}.py").read_text()
    assert any(example.endswith(code) for code in shown)


async def test_counts_with_their_positions_are_exact_after_kills(kafka, tmp_path):
    await kafka.create("views")
    await kafka.create("exact-totals-changelog", {"cleanup.policy": "compact"})

    async def totals():
        found = {}
        for partition, records in (await kafka.read("exact-totals-changelog")).items():
            for record in records:
                if not record.key.startswith(RESERVED):
                    found[partition, record.key] = json.loads(record.value)[0]
        return found

    for number in (1, 2, 3):
        await kafka.fill("views", 8_000, key=b"page")
        async with running("exact", kafka, tmp_path) as worker:

            async def counted(wanted=8_000 * number):
                return sum((await totals()).values()) >= wanted

            await until(counted, worker, tmp_path)  # and kill -9
    assert list((await totals()).values()) == [6_000] * 4


async def test_orders_are_joined_with_the_newest_price(kafka, tmp_path):
    for topic in ("prices", "orders", "valued"):
        await kafka.create(topic)
    await kafka.create("join-newest-changelog", {"cleanup.policy": "compact"})
    await kafka.fill("prices", 400, key=b"p%d", value=b"%d")
    async with running("join", kafka, tmp_path) as worker:

        async def known():
            return all(
                len({record.key for record in found}) >= 100
                for found in (await kafka.read("join-newest-changelog")).values()
            )

        await until(known, worker, tmp_path)
        await kafka.fill("orders", 404, key=b"p%d", value=b'{"quantity": 2, "number": %d}')

        async def valued():
            return all(len(found) == 101 for found in (await kafka.read("valued")).values())

        await until(valued, worker, tmp_path)
    for records in (await kafka.read("valued")).values():
        made = [json.loads(record.value) for record in records]
        assert [order["worth"] for order in made[:100]] == [2 * number for number in range(100)]
        assert made[100]["price"] is None


async def test_a_sink_of_ones_own_has_each_record_once_after_kills(kafka, tmp_path):
    await kafka.create("events")
    file = tmp_path / "events.sqlite"

    async def written(count):
        if not file.exists():
            return False
        with sqlite3.connect(file) as database:
            try:
                (found,) = database.execute("SELECT count(*) FROM events").fetchone()
            except sqlite3.OperationalError:
                return False
        return found >= count

    for number in (1, 2):
        await kafka.fill("events", 8_000)
        async with running("sink", kafka, tmp_path, SINK_FILE=str(file)) as worker:
            await until(lambda wanted=8_000 * number: written(wanted), worker, tmp_path)  # and kill -9
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT part, place FROM events ORDER BY part, place").fetchall()
    assert rows == [(part, place) for part in range(4) for place in range(4_000)]
