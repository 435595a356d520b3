"""Which lines of the mutated files each test runs, how long it takes, and which modules all of them need."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

IMPORTED = ""
"""In place of a test's name: what runs while modules are imported."""


class Covering:
    """A pytest plugin. `lines`: by test, by file (as given to it), the line numbers."""

    def __init__(self, root: Path, files: set[str]) -> None:
        self.lines: dict[str, dict[str, set[int]]] = {}
        self.seconds: dict[str, float] = {}
        self._files = {str((root / file).resolve()): file for file in files}
        self._known: dict[str, str | None] = {}
        self._current = self._of(IMPORTED)

    def _of(self, test: str) -> dict[str, set[int]]:
        return self.lines.setdefault(test, {})

    def start(self) -> None:
        """Watch this thread and those that start from now on."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._current, began = self._of(item.nodeid), time.perf_counter()
        sys.settrace(self._called)  # whatever a test before has set
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began
            self._current = self._of(IMPORTED)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self._known:
            self._known[name] = self._files.get(os.path.realpath(name))
        file = self._known[name]
        if file is None:
            return None
        lines = self._current.setdefault(file, set())
        lines.add(frame.f_lineno)

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            lines.add(frame.f_lineno)
            return line

        return line

    def write(self, path: Path) -> None:
        """As JSON, with the names of the modules that came from elsewhere."""
        own = ("k2stream", "tests", "tables", "agents", "__main__", "conftest")
        modules = [
            name
            for name, module in sys.modules.items()
            if name.partition(".")[0] not in own and getattr(module, "__file__", None)
        ]
        lines = {
            test: {file: sorted(found) for file, found in files.items()} for test, files in self.lines.items()
        }
        path.write_text(json.dumps({"lines": lines, "seconds": self.seconds, "modules": modules}))


def main(root: Path, files: list[str], tests: list[str], out: Path) -> int:
    """Run the tests under watch; pytest's exit code."""
    covering = Covering(root, set(files))
    covering.start()
    code = pytest.main([*tests, "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"], [covering])
    sys.settrace(None)
    covering.write(out)
    return int(code)
