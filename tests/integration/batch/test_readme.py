"""The first application that docs/batch.md shows, as it stands there."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from k2stream.embedded.ports import free_port

pytestmark = pytest.mark.integration
README = Path(__file__).parents[3] / "docs" / "batch.md"


async def test_the_application_of_the_readme_counts(kafka, tmp_path):
    code, sending, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code.count("\n") <= 24
    for name, text in (("clicks.py", code), ("send.py", sending)):
        (tmp_path / name).write_text(text.replace("localhost:9092", kafka.bootstrap))
    sender = await asyncio.create_subprocess_exec(sys.executable, "send.py", cwd=tmp_path)
    assert await sender.wait() == 0
    changelog = "clicks-totals-changelog"
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("clicks.py", "worker", "--web-port", str(port)),
            cwd=tmp_path,
            env=os.environ | {"FAUST_DATADIR": str(tmp_path / "data")},
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(60):
            totals = {}
            while sum(totals.values()) < 8_000:
                assert worker.returncode is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.2)
                records = await kafka.read(changelog)
                written = [record for found in records.values() for record in found]
                totals = {json.loads(record.key): json.loads(record.value) for record in written}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            session.get("/tables/totals//page3") as answer,
        ):
            shown = await answer.json()
    finally:
        worker.terminate()
        await worker.wait()
    assert totals == {f"/page{number}": 1_600 for number in range(5)}
    assert shown.pop("partition") in range(4)
    assert shown == {"table": "totals", "key": "/page3", "value": 1_600}
