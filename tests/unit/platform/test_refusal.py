"""A worker that refuses its state says so by its exit code, and its supervisor leaves it alone."""

import json
import os
import subprocess
import sys
import time

import httpx
import pytest

from k2stream.embedded.ports import free_port
from k2stream.embedded.process import Child
from k2stream.model.errors import ConfigError, StateRefused, refusal
from k2stream.platform import mended
from k2stream.platform.addresses import ADDRESSES
from k2stream.platform.platform import WORKERS, Platform, WorkerSpec
from k2stream.settings import make

WORKER = """
import faust
from k2stream.model.errors import ConfigError, StateRefused
from k2stream.worker import Worker

class App(faust.App):
    async def on_first_start(self):
        raise {error}("the topic is another one; run k2 mend")

app = App("probe", Worker=Worker, web_enabled=False, web_bind="127.0.0.1", web_port={port})
app.producer_only = True
app.finalize()
app.Worker(loglevel="INFO").execute_from_commandline()
"""


@pytest.mark.parametrize(("error", "code"), [("StateRefused", 78), ("ConfigError", 1)])
def test_a_refused_state_has_its_own_exit_code(error, code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WORKER.format(error=error, port=1)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if code == StateRefused.exit_code:
        assert done.stderr.splitlines()[-1] == "Error: the topic is another one; run k2 mend"


def test_a_refused_start_whose_stop_hangs_keeps_its_exit_code_and_its_cause(tmp_path):
    """It ended with 1 and "not stopped within 15 s", and was started again and again."""
    hanging = (
        "    async def on_stop(self):\n        import asyncio\n        await asyncio.sleep(60)\n\napp = App("
    )
    code = WORKER.format(error="StateRefused", port=1).replace("app = App(", hanging)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == StateRefused.exit_code, done.stderr
    assert done.stderr.splitlines()[-1] == "Error: the topic is another one; run k2 mend"


def test_how_long_a_refusal_is_said_is_a_setting(tmp_path):
    code = "from k2stream.app import create_app; print(create_app('candles').refused_seconds)"
    environ = os.environ | {"K2_REFUSED_SECONDS": "60"}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environ, text=True)
    assert said.split() == ["60.0"]


def test_a_refusal_can_be_read_before_the_worker_ends(tmp_path):
    """Where a supervisor starts whatever ends again, nobody would see it otherwise."""
    port = free_port()
    code = WORKER.format(error="StateRefused", port=port)
    code = code.replace("app.producer_only = True", "app.producer_only, app.refused_seconds = True, 60.0")
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                health = httpx.get(f"{url}/health")
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert health.status_code == 503
        assert health.json()["reason"] == "the topic is another one; run k2 mend"
        assert 'k2_state_refused{app="probe"} 1.0' in httpx.get(f"{url}/metrics").text
    finally:
        process.terminate()
        process.wait(10)


def test_a_refusal_is_found_behind_what_came_of_it():
    refused = StateRefused("seen; command")
    later = RuntimeError("crashed")
    later.__cause__ = refused
    assert refusal(later) is refused
    assert refusal(ConfigError("a typo")) is None
    assert refusal(None) is None


async def test_a_refused_worker_is_not_started_again_and_the_others_are(tmp_path, monkeypatch):
    platform = Platform(make(data_dir=str(tmp_path)), None)
    started = []

    async def start(spec):
        started.append(spec.name)
        platform.workers[spec.name] = await ended(spec.name, "pass")

    async def ended(name, code):
        child = await Child.spawn(name, [sys.executable, "-c", code], tmp_path / f"{name}.log")
        await child.wait()
        return child

    monkeypatch.setattr(platform, "_start_worker", start)
    refuse = "import sys; print('Error: seen; k2 mend'); print('more'); sys.exit(78)"
    for spec in WORKERS:
        code = {"normalize": refuse, "candles": "import sys; sys.exit(1)"}.get(spec.role)
        platform.workers[spec.name] = await ended(spec.name, code or "import sys; sys.exit(1)")
    await platform.heal()
    await platform.heal()
    assert "normalize" not in started
    assert "candles" in started
    assert platform.refused == {"normalize": "seen; k2 mend"}
    assert platform.restarts["normalize"] == 0
    assert json.loads((tmp_path / ADDRESSES).read_text())["refused"] == {"normalize": "seen; k2 mend"}
    for role in ("normalize", "certify"):  # the second before the first was seen
        mended.note(tmp_path, [role])
    await platform.heal()
    assert "normalize" in started
    assert platform.refused == {}


async def test_a_worker_that_still_says_its_refusal_while_it_is_mended_is_started_again(
    tmp_path, monkeypatch
):
    """With K2_REFUSED_SECONDS it ends later than `k2 mend`, whose note was gone: it stayed refused."""
    platform, spec = Platform(make(data_dir=str(tmp_path)), None), WorkerSpec("normalize")
    spawn, started, said = Child.spawn, [], tmp_path / "said"

    async def refusing(name, command, log, **options):
        started.append(name)
        code = f"""
import sys, time
from pathlib import Path
while not Path({str(said)!r}).exists():
    time.sleep(0.01)
sys.exit(print("Error: seen") or 78)
"""
        return await spawn(name, [sys.executable, "-c", code], log, **options)

    monkeypatch.setattr(Child, "spawn", refusing)
    await platform._start_worker(spec)
    mended.note(tmp_path, [spec.role])
    await platform.heal()
    said.touch()
    await platform.workers[spec.name].wait()
    await platform.heal()
    assert (started, platform.refused) == ([spec.name] * 2, {})
    await platform.workers[spec.name].wait()
    await platform.heal()
    assert (started, platform.refused) == ([spec.name] * 2, {spec.name: "seen"})
