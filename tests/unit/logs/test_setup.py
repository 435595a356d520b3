"""A process logs all: its own records, those of libraries, warnings, and errors that nothing handles."""

import json
import os
import pty
import subprocess
import sys

import pytest

from k2stream.logs.setup import QUIET

SAID = """
import asyncio, logging, sys, threading, warnings
from k2stream.logs.setup import set_up

set_up(sys.argv[1], sys.argv[2], role="hot", worker="hot")
logging.getLogger("k2stream.x").info("own")
logging.getLogger("aiokafka").warning("of a library\\nof two lines")
logging.getLogger("httpx").info("a request")
warnings.warn("deprecated", DeprecationWarning)

def fail():
    raise ValueError("in a thread")

thread = threading.Thread(target=fail, name="writer")
thread.start()
thread.join()

class Released:
    def __del__(self):
        raise ValueError("in a destructor")

Released()

async def main():
    async def lost():
        raise ValueError("in a task")
    task = asyncio.ensure_future(lost())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(main(), debug=False)
"""


def lines(how, level="info"):
    command = [sys.executable, "-W", "always", "-c", SAID, how, level]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_each_is_one_json_object():
    found = [json.loads(line) for line in lines("auto")]
    assert all(
        {"timestamp", "level", "logger", "event", "role", "worker", "pid"} <= each.keys() for each in found
    )
    loggers = [each["logger"] for each in found]
    assert loggers == [
        "k2stream.x",
        "aiokafka",
        "py.warnings",
        "k2stream.logs.setup",
        "k2stream.logs.setup",
        "asyncio",
    ]
    assert found[1]["event"] == "of a library\nof two lines"
    assert "DeprecationWarning: deprecated" in found[2]["event"]
    for each, where in zip(found[3:], ("thread", "destructor", "task"), strict=True):
        assert each["exception"].endswith(f"ValueError: in a {where}")
    assert found[3]["event"] == "thread writer ended by an exception"


def test_the_level_holds_for_all_and_debug_shows_requests():
    assert {json.loads(line)["logger"] for line in lines("json", "error")} == {
        "asyncio",
        "k2stream.logs.setup",
    }
    assert "httpx" in {json.loads(line)["logger"] for line in lines("json", "debug")}
    assert "httpx" in QUIET


def test_plain_lines_when_asked():
    found = lines("plain")
    assert "[info     ] own [k2stream.x]" in found[0]
    assert found[1].endswith(r"of a library\nof two lines [aiokafka]")
    assert not any(line.startswith("{") for line in found)


@pytest.mark.parametrize(
    ("how", "no_color", "begin"), [("auto", "", b"\x1b["), ("auto", "1", b"2"), ("json", "", b"{")]
)
def test_on_a_terminal_they_are_readable_and_coloured(how, no_color, begin):
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environ |= {"NO_COLOR": no_color} if no_color else {}
    command = [sys.executable, "-c", SAID, how, "info"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environ) as process:
        os.close(theirs)
        first = os.read(ours, 4096)
        while True:
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert first.startswith(begin)
