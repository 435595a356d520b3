"""In the copy of the tree: which test runs which statements, then one fork a mutant."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.mutation import run
from tests.mutation.covering import IMPORTED
from tests.mutation.covering import main as cover
from tests.mutation.forked import KILLED, Child, anew, preload, serve
from tests.mutation.listed import LISTED
from tests.mutation.mutants import Mutant
from tests.mutation.patched import AtImport, Changed, Loaded, changed

JOBS = os.cpu_count() or 1


def test_paths() -> list[str]:
    """Where the tests are."""
    return [
        str(path)
        for folder in run.TESTS
        for path in sorted(Path(folder).iterdir())
        if path.name not in run.BESIDE and (path.is_dir() or path.name.startswith("test_"))
    ]


def covered(root: Path, files: list[str]) -> dict[str, Any]:
    """Run all tests once, in a fork: nothing of ours is imported here; what an earlier part found is kept."""
    out = root / "covered.json"
    if not out.exists():
        _cover(root, files, out)
    found: dict[str, Any] = json.loads(out.read_text())
    for test in found["failed"]:
        print(f"left out, it fails without any mutant: {test}", flush=True)
    return found


def _cover(root: Path, files: list[str], out: Path) -> None:
    pid = os.fork()
    if not pid:
        try:
            log = os.open(root / "covered.log", os.O_CREAT | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            cover(root, files, test_paths(), out)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    if not out.exists():
        raise SystemExit((root / "covered.log").read_text()[-5000:])


def tests_of(mutant: Mutant, found: dict[str, Any]) -> list[str]:
    """The tests that run the mutant's statement, quickest first; of one that an import runs, the file's."""
    line = mutant.first_line
    imported = line in found["lines"][IMPORTED].get(mutant.path, ())
    chosen = [
        test
        for test, files in found["lines"].items()
        if test != IMPORTED and mutant.path in files and (imported or line in files[mutant.path])
    ]
    return sorted(chosen, key=lambda test: found["seconds"][test])


class Work:
    """The mutants to try, each with its tests."""

    def __init__(self, root: Path, end: float) -> None:
        self._root, self._end = root, end
        self._population = run.population(root)
        began = time.monotonic()
        self._found = covered(root, sorted({mutant.path for mutant in self._population.values()}))
        tests = len(self._found["seconds"])
        print(f"{tests} tests in {time.monotonic() - began:.0f} s", flush=True)
        self.tests: dict[str, list[str]] = {}
        self.changes: dict[str, list[Changed] | None] = {}

    def sort(self, wanted: list[str]) -> None:
        """Find each mutant's tests; `changes` is None for those that change what an import runs."""
        for key in wanted:
            mutant = self._population[key]
            self.tests[key] = tests_of(mutant, self._found)
            if not self.tests[key]:
                self._say(key, "no test", "", 0.0)
                continue
            source = self._source(mutant)
            try:
                self.changes[key] = changed(self._path(mutant), source, mutant.applied(source))
            except AtImport:
                self.changes[key] = None

    def go(self) -> None:
        """Try them all."""
        preload(self._found["modules"])
        self._try(
            {
                key: partial(anew, self._path(mutant), mutant.applied(self._source(mutant)), self.tests[key])
                for key, changes in self.changes.items()
                if changes is None and (mutant := self._population[key])
            }
        )
        serve(test_paths(), self._patched)

    def _patched(self, run_tests: Callable[[list[str]], str]) -> None:
        loaded = Loaded({self._path(mutant) for mutant in self._population.values()})

        def tries(key: str, changes: list[Changed]) -> str:
            loaded.apply(self._path(self._population[key]), changes)
            return run_tests(self.tests[key])

        self._try(
            {
                key: partial(tries, key, changes)
                for key, changes in self.changes.items()
                if changes is not None
            }
        )

    def _try(self, wanted: dict[str, Callable[[], str]]) -> None:
        running: dict[str, Child] = {}
        waiting = list(reversed(wanted))
        while running or (waiting and time.monotonic() < self._end):
            while waiting and len(running) < JOBS and time.monotonic() < self._end:
                key = waiting.pop()
                seconds = sum(self._found["seconds"][test] for test in self.tests[key])
                running[key] = Child(wanted[key], run.LIMIT_SECONDS + 5 * seconds)
            for key, child in list(running.items()):
                if (trial := child.ended()) is not None:
                    del running[key]
                    self._say(key, *trial)
            time.sleep(0.005)

    def _path(self, mutant: Mutant) -> Path:
        return self._root / mutant.path

    def _source(self, mutant: Mutant) -> bytes:
        return self._path(mutant).read_bytes()

    def _say(self, key: str, status: str, by: str, seconds: float) -> None:
        mutant = self._population[key]
        trial = {
            "key": key,
            "path": mutant.path,
            "line": mutant.first_line,
            "kind": mutant.kind,
            "change": run.change_of(mutant, self._root),
            "status": status,
            "by": by,
            "seconds": round(seconds, 2),
        }
        os.write(1, b"\n" + json.dumps(trial).encode() + b"\n")


def try_listed(root: Path) -> None:
    """Each mutant of the list fails the test that it names."""
    for each in LISTED:
        path = root / each.path
        source = path.read_text().replace(each.old, each.new).encode()
        child = Child(partial(anew, path, source, [each.test]), 4 * run.LIMIT_SECONDS)
        while (trial := child.ended()) is None:
            time.sleep(0.02)
        if trial.status != KILLED or trial.by != each.test:
            raise SystemExit(f"{each.what}: {trial.status} {trial.by}, not killed by {each.test}")
    print(f"all {len(LISTED)} of the list are killed by their tests", flush=True)


if __name__ == "__main__":
    work = Work(Path.cwd(), time.monotonic() + float(sys.argv[1]))
    if sys.argv[2] == "1":
        try_listed(Path.cwd())
    work.sort(json.loads(Path("wanted.json").read_text()))
    work.go()
