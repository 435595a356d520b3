"""One mutant in a process of its own: its source is given to the import system, no file is changed."""

from __future__ import annotations

import importlib.machinery
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest

OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--hypothesis-profile=mutation")
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

    def __init__(self, tries: Callable[[], str], limit: float) -> None:
        """`tries` says SURVIVED, or the test that failed."""
        self._began, self._limit = time.monotonic(), limit
        self._pipe, write = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
                with Path(os.devnull).open("w") as nothing:
                    for stream in (1, 2):
                        os.dup2(nothing.fileno(), stream)
                os.write(write, tries().encode())
            except BaseException as error:
                os.write(write, repr(error).encode())
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
            self._kill()
            os.waitpid(self._pid, 0)
            trial = Trial(TIMEOUT, "", seconds)
        else:
            return None
        self._kill()  # what it has started
        os.close(self._pipe)
        return trial

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)


def anew(path: Path, source: bytes, tests: list[str]) -> str:
    """Import all with the mutant in it; for a process that has imported nothing of ours."""
    replace_source(path, source)
    chosen = Chosen(tests)
    files = sorted({test.partition("::")[0] for test in tests})
    code = pytest.main([*files, "-x", *OPTIONS], [chosen])
    return SURVIVED if code == pytest.ExitCode.OK else chosen.failed or f"import: {code}"


class Server:
    """A pytest plugin that collects all tests once; `serve` gets what runs some of them, in a fork."""

    def __init__(self, serve: Callable[[Callable[[list[str]], str]], None]) -> None:
        self._serve = serve
        self._items: dict[str, pytest.Item] = {}
        self._failed = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        self._serve(self._run)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid

    def _run(self, tests: list[str]) -> str:
        items = [self._items[test] for test in tests]
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if self._failed:
                return self._failed
        return SURVIVED


def serve(tests: list[str], loop: Callable[[Callable[[list[str]], str]], None]) -> None:
    """Collect the tests, then let `loop` fork."""
    pytest.main([*tests, *OPTIONS], [Server(loop)])


def preload(modules: list[str]) -> None:
    """Import what every fork would."""
    for name in modules:
        if name not in sys.modules:
            try:
                __import__(name)
            except Exception as error:
                print(f"not preloaded: {name}: {error!r}", file=sys.stderr)
