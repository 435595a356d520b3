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
    code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code.count("\n") <= 24
    (tmp_path / "clicks.py").write_text(code.replace("localhost:9092", kafka.bootstrap))
    await kafka.create("clicks")
    await kafka.fill("clicks", 8_000, key=b"page")
    changelog = "clicks-totals-changelog"
    await kafka.create(changelog, {"cleanup.policy": "compact"})
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
                totals = {p: json.loads(found[-1].value) for p, found in records.items() if found}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            session.get("/tables/totals/page?partition=3") as answer,
        ):
            shown = await answer.json()
    finally:
        worker.terminate()
        await worker.wait()
    assert totals == dict.fromkeys(range(4), 2_000)
    assert shown == {"table": "totals", "key": "page", "partition": 3, "value": 2_000}
