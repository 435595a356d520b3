"""Which statements of the mutated files each test runs, how long it takes, and which modules all need."""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

IMPORTED = ""
"""In place of a test's name: what runs while modules are imported."""

_HIT = "__k2_hit__"


class Covering:
    """A pytest plugin. `hits`: by test, (file, first line) of each statement that it ran."""

    def __init__(self) -> None:
        self.hits: dict[str, set[tuple[str, int]]] = {IMPORTED: set()}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._current = self.hits[IMPORTED]

    def hit(self, file: str, line: int) -> None:
        """A statement runs."""
        self._current.add((file, line))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._current, began = self.hits.setdefault(item.nodeid, set()), time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began
            self._current = self.hits[IMPORTED]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def write(self, path: Path) -> None:
        """As JSON, with the names of the modules that came from elsewhere."""
        own = ("k2stream", "tests", "tables", "agents", "__main__", "conftest")
        modules = [
            name
            for name, module in sys.modules.items()
            if name.partition(".")[0] not in own and getattr(module, "__file__", None)
        ]
        lines: dict[str, dict[str, list[int]]] = {}
        for test, hits in self.hits.items():
            if test not in self.failed:
                files = lines.setdefault(test, {})
                for file, line in sorted(hits):
                    files.setdefault(file, []).append(line)
        found = {"lines": lines, "seconds": self.seconds, "modules": modules, "failed": self.failed}
        path.write_text(json.dumps(found))


class _Marked(ast.NodeTransformer):
    """A call before each statement: tracing would cost ten times as much."""

    def __init__(self, file: str) -> None:
        self._file = file

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [part for each in statements for part in self._marked(each)])
        return node

    def _marked(self, statement: ast.stmt) -> list[ast.stmt]:
        kept = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if kept or text or not isinstance(statement, ast.stmt):
            return [statement]
        where: list[ast.expr] = [ast.Constant(self._file), ast.Constant(statement.lineno)]
        call = ast.Expr(ast.Call(ast.Name(_HIT, ast.Load()), where, []))
        return [ast.copy_location(call, statement), statement]


def mark(root: Path, files: list[str], hit: Any) -> None:
    """Make this process import the files so that each of their statements says that it runs."""
    setattr(builtins, _HIT, hit)
    known = {str((root / file).resolve()): file for file in files}
    loader: Any = importlib.machinery.SourceFileLoader
    get_code = loader.get_code

    def code_of(self: Any, name: str) -> CodeType | None:
        path = os.path.realpath(self.path)
        if path not in known:
            code: CodeType | None = get_code(self, name)
            return code
        tree = _Marked(known[path]).visit(ast.parse(Path(path).read_bytes()))
        return compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)

    loader.get_code = code_of


def main(root: Path, files: list[str], tests: list[str], out: Path) -> None:
    """Run the tests under watch. Writes nothing when they cannot be collected."""
    covering = Covering()
    mark(root, files, covering.hit)
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"]
    if pytest.main([*tests, *options], [covering]) in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        covering.write(out)
