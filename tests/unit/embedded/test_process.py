import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k2stream.embedded.errors import StackError
from k2stream.embedded.process import Child

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from k2stream.embedded.process import Child

async def main():
    child = await Child.spawn("sleeper", ["sleep", "600"], Path(sys.argv[1]))
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


async def never():
    return False


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_supervisor_leaves_no_child(tmp_path):
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, tmp_path / "log"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert supervisor.stdout
        child = int(supervisor.stdout.readline())
        assert alive(child)
    finally:
        supervisor.kill()
        supervisor.communicate()
    deadline = time.monotonic() + 60
    while alive(child):
        assert time.monotonic() < deadline, f"process {child} outlived its supervisor"
        time.sleep(0.01)


async def test_ready_when_the_probe_says_so(tmp_path):
    code = "import time; held = b'x' * 50_000_000; print('up', flush=True); time.sleep(600)"
    child = await Child.spawn("holder", [sys.executable, "-c", code], tmp_path / "log")

    async def probe():
        return child.log.read_text() == "up\n"

    await child.until_ready(probe, 5)
    assert child.returncode is None
    assert os.getsid(child.pid) == child.pid  # Ctrl-C in our terminal is not its
    usage = child.usage()
    assert usage and usage.rss > 50_000_000
    memory = child.memory()
    assert memory and 50_000_000 < memory <= usage.rss
    assert await child.stop(5) == -signal.SIGTERM
    assert child.stopping
    assert child.usage() is None
    assert child.memory() is None
    assert await child.stop(5) == -signal.SIGTERM


async def test_a_death_before_ready_shows_the_log(tmp_path):
    child = await Child.spawn(
        "broken", ["sh", "-c", "echo first; echo no disk >&2; exit 3"], tmp_path / "log"
    )
    with pytest.raises(StackError, match=r"broken ended with status 3; .*log:\n  first\n  no disk$"):
        await child.until_ready(never, 5)


async def test_not_ready_in_time_is_killed_and_shows_the_log(tmp_path):
    child = await Child.spawn("slow", ["sh", "-c", "echo waiting; exec sleep 600"], tmp_path / "log")
    with pytest.raises(StackError, match=r"slow was not ready in 0.1 s; .*\n  waiting$"):
        await child.until_ready(never, 0.1)
    assert child.returncode == -signal.SIGKILL


async def test_a_cancelled_wait_leaves_no_child(tmp_path):
    child = await Child.spawn("slow", ["sleep", "600"], tmp_path / "log")
    waiting = asyncio.create_task(child.until_ready(never, 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert child.returncode == -signal.SIGKILL


async def test_a_deaf_child_is_killed_after_its_grace(tmp_path):
    child = await Child.spawn(
        "deaf", ["sh", "-c", "trap '' TERM; echo up; sleep 600 & wait; wait"], tmp_path / "l"
    )

    async def probe():
        return child.log.read_text() == "up\n"

    await child.until_ready(probe, 5)
    assert await child.stop(0.1) == -signal.SIGKILL


async def test_an_unexpected_death_is_told(tmp_path):
    child = await Child.spawn("victim", ["sleep", "600"], tmp_path / "log")
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    assert not child.stopping
    assert child.exit_report().startswith("victim was killed by SIGKILL;")


async def test_the_previous_log_is_kept(tmp_path):
    log = tmp_path / "logs" / "child.log"
    for word in ("one", "two", "three"):
        await (await Child.spawn("echo", ["echo", word], log)).wait()
    assert (log.read_text(), log.with_name("child.log.1").read_text()) == ("three\n", "two\n")


async def test_a_command_that_does_not_exist(tmp_path):
    with pytest.raises(StackError, match=r"ghost cannot be started: .*no-such-program"):
        await Child.spawn("ghost", ["no-such-program"], tmp_path / "log")


async def test_what_a_program_answers_may_have_a_file_of_its_own(tmp_path):
    answers, log = tmp_path / "answers", tmp_path / "log"
    child = await Child.spawn("two", ["sh", "-c", "echo ready; echo careful >&2"], log, output=answers)
    await child.wait()
    assert (answers.read_text(), log.read_text()) == ("ready\n", "careful\n")


async def test_the_end_of_a_log_of_records_is_shown_as_people_read_it(tmp_path):
    record = '{"timestamp":"T","level":"error","event":"no disk","role":"hot","exception":"Traceback\\n  E"}'
    child = await Child.spawn(
        "hot", ["sh", "-c", f"printf '%s\\n' '{record}'; echo Error: no disk"], tmp_path / "log"
    )
    await child.wait()
    assert child.tail() == "  T [error] no disk\n  Traceback\n    E\n  Error: no disk"


async def test_the_end_of_a_process_is_told_also_where_its_log_was_removed(tmp_path):
    """A worker that died after somebody had cleared the logs ended the supervisor, and with it all feeds."""
    child = await Child.spawn("worker", [sys.executable, "-c", "exit(3)"], tmp_path / "log")
    await child.wait()
    child.log.unlink()
    assert child.exit_report() == f"worker ended with status 3; {child.log}:\n"
    assert child.error() == f"see {child.log}"
