"""A worker ends within seconds in every phase, with the cause as its last line."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import asyncio, sys, threading, time
import faust
from k2stream.batch import _worker as limits
from k2stream.model.errors import ConfigError, StateRefused
from k2stream.worker import Worker

limits.STOP_SECONDS = limits.FAIL_SECONDS = 1.0
phase = sys.argv.pop(1)

def hang():
    threading.Thread(target=time.sleep, args=(3600,)).start()

class App(faust.App):
    prepared = False

    async def on_first_start(self):
        print("begun", flush=True)
        if phase == "preparing":
            hang()
            while True:
                await asyncio.sleep(1)
        if phase == "refused":
            self.refused_seconds = 4.0
            raise StateRefused("another topic; mend it")
        if phase == "start fails":
            hang()
            raise ConfigError("no such table; make one")
        self.prepared = True
        await super().on_first_start()

app = App("probe", Worker=Worker, web_enabled=False)
app.producer_only = True

async def never(*_, **__):
    await asyncio.sleep(3600)

if phase in ("stop hangs", "crash"):
    app.on_before_shutdown.connect(never, weak=False)

@app.task
async def work():
    print("running", flush=True)
    if phase == "crash":
        hang()
        error = RuntimeError("the disk is full")
        await app.crash(error)
        raise error

async def start(self):
    pass

app.finalize()
app.producer.__class__.start = start
app.Worker(loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
"""


def run(phase, path, *, stop_at=""):
    """Exit status and the last line of stderr."""
    command = [sys.executable, "-c", SCRIPT, phase]
    with subprocess.Popen(
        command, cwd=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stdout if process.stdout and stop_at else ():
                if stop_at in line:
                    process.send_signal(signal.SIGTERM)
                    break
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, said.splitlines()[-1]


def test_told_to_stop_while_it_prepares(tmp_path):
    """It waits for a destination that is away, say: it went on for ever."""
    code, _ = run("preparing", tmp_path, stop_at="begun")
    assert code == 0


def test_told_to_stop_while_something_hangs(tmp_path):
    code, last = run("stop hangs", tmp_path, stop_at="running")
    assert (code, last) == (1, "Error: not stopped within 1 s")


@pytest.mark.parametrize(
    ("phase", "cause"),
    [("start fails", "no such table; make one"), ("crash", "the disk is full")],
)
def test_a_failure_ends_it_with_the_cause_as_the_last_line(phase, cause, tmp_path):
    """A thread that hangs, or a service that half a start has left behind, kept it there for ever."""
    code, last = run(phase, tmp_path)
    assert (code, last) == (1, f"Error: {cause}")


def test_a_refusal_stands_as_long_as_it_should(tmp_path):
    """The limit for the end of a failed worker, here 1 s, ended it while it still showed its reason."""
    began = time.monotonic()
    code, last = run("refused", tmp_path)
    assert (code, last) == (78, "Error: another topic; mend it")
    assert time.monotonic() - began > 4
