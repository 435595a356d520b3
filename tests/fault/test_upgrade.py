"""A data folder of an earlier release under the present one: adopted, exact, its watermarks taken back."""

import os
import subprocess
import sys
import time

import pytest

from k2stream import topics
from k2stream.clickhouse.destination import connect
from k2stream.settings import load
from tests.fault import report
from tests.fault.platforms import exact, quiet, running
from tests.fault.releases import HERE, RELEASES, unpacked

pytestmark = pytest.mark.fault


@pytest.fixture(params=RELEASES)
def written(request, tmp_path):
    """A data folder that the release wrote, with a trade dated ahead at its end."""
    code = unpacked(request.param, tmp_path / "code")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("K2_")}
    done = subprocess.run(
        [sys.executable, HERE / "earlier_release.py", tmp_path / "data", "15"],
        cwd=code,
        env=inherited | {"PYTHONPATH": str(code), "K2_CACHE_DIR": load().local.cache_dir},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return tmp_path / "data"


async def test_an_earlier_releases_state_is_adopted_and_goes_on_exactly(written, tmp_path):
    """Nothing of it has an identity: each worker says so once, refuses nothing, and no digit differs."""
    assert written.is_dir()
    began = time.time()
    async with running(tmp_path, rate=100) as platform:
        await quiet(platform, 30)
        held = await exact(platform)
        rows = connect(platform.settings.clickhouse).execute(
            f"""SELECT sum(trade_count) FROM k2.ohlcv_1m FINAL
            WHERE exchange = 'kraken' AND symbol = 'XBT/USD' AND open_time >= toDateTime64({began - 60}, 3)
                AND open_time < toDateTime64({began + 3600}, 3)"""
        )
        logs = [path.read_text() for path in (platform.settings.local.data_path / "logs").glob("*.log")]
    assert rows[0][0] > 100, "a trade dated ahead keeps its symbol's later trades out of their candles"
    assert not any("StateRefused" in log or "Traceback" in log for log in logs)
    report.record(
        "upgrade", {"releases": len(RELEASES), "trades dated ahead": 1, "topics": len(topics.EXCHANGES)}, held
    )
