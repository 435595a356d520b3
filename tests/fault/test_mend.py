"""State whose topics are lost: refused, mended by `k2 mend`, and nothing else stands still meanwhile."""

import asyncio
import os
import sys

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from k2stream.commands.demo import drain
from k2stream.kafka import client_options
from k2stream.settings import environment
from k2stream.verify.run import verify
from tests.fault.platforms import quiet, recovered, running, until

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]


async def delete(platform, names):
    admin = AIOKafkaAdminClient(**client_options(platform.settings))
    await admin.start()
    try:
        await admin.delete_topics(names)
    finally:
        await admin.close()


async def stop(platform, name):
    child = platform.workers[name]
    await child.stop(10)
    child.stopping = False


async def mend(platform, role):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "k2stream", "mend", role, "--yes",
        env={**os.environ, **environment(platform.settings)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


async def test_lost_changelogs_are_refused_and_rebuilt_from_raw(tmp_path):
    async with running(tmp_path, rate=60) as platform:
        await quiet(platform, 10)
        await stop(platform, "candles")
        names = [f"k2-candles-ohlcv_{name}-changelog" for name in ("1m", "1h", "1d")]
        await delete(platform, [*names, "k2-candles-candle_progress-changelog"])

        async def refused():
            return "candles" in platform.refused

        await until(refused, 60, "candles refuses", platform)
        assert "changelog" in platform.refused["candles"]
        await quiet(platform, 5)  # the others go on
        assert set(platform.refused) == {"candles"}
        said = await mend(platform, "candles")
        assert "rebuilt from the raw topics" in said
        await recovered(platform)
        assert not platform.refused
        await quiet(platform, 5)
        await platform.stop_feeds()
        await drain(platform)
        report = await verify(platform.settings, platform.urls["candles"])
        assert report.differences == 0, report
