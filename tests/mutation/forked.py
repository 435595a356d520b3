"""One mutant in a process of its own: its source is given to the import system, no file is changed."""

from __future__ import annotations

import importlib.machinery
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
MOST_BYTES = 8 << 30  # of address space: a mutant may loop and allocate


class Trial(NamedTuple):
    """What came of a mutant: `by` is the first test that failed."""

    status: str
    by: str
    seconds: float


class Chosen:
    """A pytest plugin: only these tests, the quickest first; notes the first that fails."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def replace_source(path: Path, source: bytes) -> None:
    """Make this process import a file as if it held other bytes."""
    loader: Any = importlib.machinery.SourceFileLoader
    get_code, target = loader.get_code, str(path.resolve())

    def code_of(self: Any, name: str) -> CodeType | None:
        if os.path.realpath(self.path) == target:
            return compile(source, self.path, "exec", dont_inherit=True)
        code: CodeType | None = get_code(self, name)
        return code

    loader.get_code = code_of


class Child:
    """A fork that tries one mutant."""

    def __init__(self, path: Path, source: bytes, tests: list[str], limit: float) -> None:
        self._began, self._limit = time.monotonic(), limit
        self._pipe, write = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.setsid()
                os.write(write, _try(path, source, tests).encode())
            finally:
                os._exit(0)
        os.close(write)

    def ended(self) -> Trial | None:
        """The result, once there is one."""
        seconds = time.monotonic() - self._began
        pid, _ = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            said = os.read(self._pipe, 1 << 16).decode()
            trial = Trial(SURVIVED, "", seconds) if said == SURVIVED else Trial(KILLED, said, seconds)
        elif seconds > self._limit:
            os.waitpid(self._pid, 0) if self._kill() else None
            trial = Trial(TIMEOUT, "", seconds)
        else:
            return None
        self._kill()  # what it has started
        os.close(self._pipe)
        return trial

    def _kill(self) -> bool:
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def _try(path: Path, source: bytes, tests: list[str]) -> str:
    """SURVIVED, or the test that failed."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with Path(os.devnull).open("w") as nothing:
        for stream in (1, 2):
            os.dup2(nothing.fileno(), stream)
    replace_source(path, source)
    chosen = Chosen(tests)
    files = sorted({test.partition("::")[0] for test in tests})
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--hypothesis-profile=mutation"]
    code = pytest.main([*files, *options], [chosen])
    return SURVIVED if code == pytest.ExitCode.OK else chosen.failed or f"import: {code}"


def preload(modules: list[str]) -> None:
    """Import what every fork would."""
    for name in modules:
        if name not in sys.modules:
            try:
                __import__(name)
            except Exception as error:
                print(f"not preloaded: {name}: {error!r}", file=sys.stderr)
