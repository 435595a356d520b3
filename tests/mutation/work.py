"""In the copy of the tree: which test runs which lines, then one fork a mutant."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.mutation import run
from tests.mutation.covering import IMPORTED
from tests.mutation.covering import main as cover
from tests.mutation.forked import KILLED, Child, preload
from tests.mutation.listed import LISTED
from tests.mutation.mutants import Mutant

JOBS = os.cpu_count() or 1


def covered(root: Path, files: list[str]) -> dict[str, Any]:
    """Run all tests once, in a fork: nothing of ours is imported here."""
    tests = [
        str(path)
        for folder in run.TESTS
        for path in sorted(Path(folder).iterdir())
        if path.name not in run.BESIDE and (path.is_dir() or path.name.startswith("test_"))
    ]
    out = root / "covered.json"
    pid = os.fork()
    if not pid:
        code = 1
        try:
            log = os.open(root / "covered.log", os.O_CREAT | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = cover(root, files, tests, out)
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        print((root / "covered.log").read_text()[-5000:])
        raise SystemExit("the tests fail without any mutant")
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def tests_of(mutant: Mutant, found: dict[str, Any]) -> list[str]:
    """The tests that run the mutant's statement, quickest first; of one that an import runs, the file's."""
    lines = set(range(mutant.first_line, mutant.last_line + 1))
    imported = lines & set(found["lines"][IMPORTED].get(mutant.path, ()))
    chosen = [
        test
        for test, files in found["lines"].items()
        if test != IMPORTED and mutant.path in files and (lines & set(files[mutant.path]) or imported)
    ]
    return sorted(chosen, key=lambda test: found["seconds"][test])


def main(seconds: float) -> None:
    """Try the mutants of wanted.json until the time is over; a line of JSON each."""
    end, root = time.monotonic() + seconds, Path.cwd()
    population = run.population(root)
    wanted = json.loads((root / "wanted.json").read_text())
    began = time.monotonic()
    found = covered(root, sorted({mutant.path for mutant in population.values()}))
    tests = len(found["seconds"])
    print(f"{len(wanted)} mutants; {tests} tests in {time.monotonic() - began:.0f} s", flush=True)
    preload(found["modules"])
    _try_listed(root)
    running: dict[str, Child] = {}
    waiting = list(reversed(wanted))
    while running or (waiting and time.monotonic() < end):
        while waiting and len(running) < JOBS and time.monotonic() < end:
            key = waiting.pop()
            mutant = population[key]
            if not (chosen := tests_of(mutant, found)):
                _say(root, key, mutant, "no test", "", 0.0)
                continue
            source = mutant.applied((root / mutant.path).read_bytes())
            limit = run.LIMIT_SECONDS + 5 * sum(found["seconds"][test] for test in chosen)
            running[key] = Child(root / mutant.path, source, chosen, limit)
        for key, child in list(running.items()):
            if (trial := child.ended()) is not None:
                del running[key]
                _say(root, key, population[key], *trial)
        time.sleep(0.02)


def _try_listed(root: Path) -> None:
    """Each mutant of the list fails the test that it names."""
    for each in LISTED:
        path = root / each.path
        source = path.read_text().replace(each.old, each.new).encode()
        child = Child(path, source, [each.test], run.LIMIT_SECONDS)
        while (trial := child.ended()) is None:
            time.sleep(0.02)
        if trial.status != KILLED or trial.by != each.test:
            raise SystemExit(f"{each.what}: {trial.status} {trial.by}, not killed by {each.test}")
    print(f"all {len(LISTED)} of the list are killed by their tests", flush=True)


def _say(root: Path, key: str, mutant: Mutant, status: str, by: str, seconds: float) -> None:
    trial = {
        "key": key,
        "path": mutant.path,
        "line": mutant.first_line,
        "kind": mutant.kind,
        "change": run.change_of(mutant, root),
        "status": status,
        "by": by,
        "seconds": round(seconds, 2),
    }
    print(json.dumps(trial), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
