"""Mutants of the core: which do the unit and property tests notice?

    make mutate [SEED=1] [PART=1/4] [RETRY=1]

First come, in part 1, the mutants of listed.py. A seeded sample of MUTANTS is then tried in a copy of the
tree, each with the tests that run its lines. Results are kept in .mutation/SEED.jsonl: a run that is broken
off goes on where it was, `RETRY=1` tries again what survived. The report says what is left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, line_of, mutants

MUTANTS = 600
WANTED = 0.85
ROOT = Path(__file__).parents[2]
TARGETS = (
    "batch/*.py",
    "candles/*.py",
    "normalizer/continuity/*.py",
    "feed/*.py",
    "delivery/sink.py",
    "delivery/unsaved.py",
    "delivery/progress.py",
    "delivery/rewind.py",
)
TESTS = ("tests/unit", "tests/property")
BESIDE = {
    "benchmarks", "deploy", "dlq", "docs", "exchanges", "history", "local", "simulate", "web",
    "test_added_fields.py", "test_bronze.py", "test_decimals.py", "test_deploy.py", "test_guarantees.py",
    "test_trade_codec.py", "test_wheel.py",
}  # fmt: skip
"""Of these, what is about other things."""

NOT_COPIED = (
    ".git",
    ".venv*",
    ".mutation",
    ".hypothesis",
    ".*_cache",
    "__pycache__",
    "k2-data",
    "dist",
    "site",
)
LIMIT_SECONDS = 30.0


def population(root: Path) -> dict[str, Mutant]:
    """All mutants by key."""
    found: dict[str, Mutant] = {}
    for pattern in TARGETS:
        for path in sorted((root / "k2stream").glob(pattern)):
            source = path.read_bytes()
            for mutant in mutants(str(path.relative_to(root)), source):
                key, number = mutant.key(source), 1
                while key in found:
                    key, number = f"{mutant.key(source)}#{number}", number + 1
                found[key] = mutant
    return found


def sample(keys: list[str], seed: int, count: int) -> list[str]:
    """A seeded choice that a change of the code elsewhere leaves as it is."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{seed}|{key}".encode()).digest())[:count]


class Results:
    """Trials by mutant, in a file that only grows; the last one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                trial = json.loads(line)
                self.found[trial["key"]] = trial

    def add(self, trial: dict[str, Any]) -> None:
        """Keep it."""
        self.found[trial["key"]] = trial
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(trial) + "\n")


def copy_tree(to: Path) -> None:
    """The whole tree, with its links: tests read of it what they like."""
    ignored = shutil.ignore_patterns(*NOT_COPIED)
    shutil.copytree(ROOT, to, symlinks=True, ignore=ignored, dirs_exist_ok=True)


def digest(root: Path) -> str:
    """Names the code and its tests as they are."""
    found = hashlib.sha256()
    for folder in ("k2stream", "tables", "agents", "tests"):
        for path in sorted((root / folder).rglob("*.py")):
            found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def report(results: Results, chosen: list[str]) -> int:
    """Print what is left; 1 when too much is."""
    tried = [results.found[key] for key in chosen if key in results.found]
    counts = Counter(trial["status"] for trial in tried)
    by_file: dict[str, Counter[str]] = {}
    for trial in tried:
        by_file.setdefault(trial["path"], Counter())[trial["status"]] += 1
    for trial in sorted(tried, key=lambda trial: (trial["path"], trial["line"])):
        if trial["status"] in ("survived", "no test"):
            print(f"{trial['status']}: {trial['path']}:{trial['line']}: {trial['change']}")
    for path, found in sorted(by_file.items()):
        print(f"{path}: {found['killed'] + found['timeout']} of {found.total()} killed")
    killed = counts["killed"] + counts["timeout"]
    share = killed / len(tried) if tried else 0.0
    print(
        f"{killed} of {len(tried)} killed ({share:.1%}), {len(chosen) - len(tried)} of the sample not tried"
    )
    return int(share < WANTED)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="N/OF: a part of the sample")
    parser.add_argument("--retry", action="store_true", help="try again what survived")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--report", action="store_true", help="only report")
    options = parser.parse_args()
    results = Results(ROOT / ".mutation" / f"{options.seed}.jsonl")
    found = population(ROOT)
    chosen = sample(list(found), options.seed, MUTANTS)
    number, of = map(int, options.part.split("/"))
    again = ("survived", "no test") if options.retry else ()
    wanted = [
        key
        for key in chosen[number - 1 :: of]
        if key not in results.found or results.found[key]["status"] in again
    ]
    if wanted and not options.report:
        _try(wanted, options.seconds, number, results)
    return report(results, chosen)


def _try(wanted: list[str], seconds: float, part: int, results: Results) -> None:
    with tempfile.TemporaryDirectory(prefix="k2-mutation-") as folder:
        copy = Path(folder)
        copy_tree(copy)
        (copy / "wanted.json").write_text(json.dumps(wanted))
        covered = ROOT / ".mutation" / f"covered-{digest(ROOT)}.json"
        if covered.exists():
            shutil.copy2(covered, copy / "covered.json")
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "tests.mutation.work", str(seconds), str(part)]
        with subprocess.Popen(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    trial = json.loads(line)
                    results.add(trial)
                    print(
                        f"{trial['status']:9}{trial['path']}:{trial['line']}: {trial['change']}", flush=True
                    )
                else:
                    print(line, end="", flush=True)
        if (copy / "covered.json").exists():
            covered.parent.mkdir(exist_ok=True)
            shutil.copy2(copy / "covered.json", covered)
        if process.returncode:
            raise SystemExit(process.returncode)


def change_of(mutant: Mutant, root: Path) -> str:
    """For reading."""
    return line_of(mutant, (root / mutant.path).read_bytes())


if __name__ == "__main__":
    sys.exit(main())
