"""`make fault PART=2/3`: a part of a long suite; its results are kept in results.json with their commit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

RESULTS = Path(__file__).parent / "results.json"

UNKNOWN_SECONDS = 60.0
"""Of a test that has never been run."""

Item = TypeVar("Item")


class Part(NamedTuple):
    """The `number`-th of `count` parts, from 1."""

    number: int
    count: int  # type: ignore[assignment] # a tuple's own `count` is used nowhere


def parse(text: str) -> Part:
    """Of "2/3"; raises ValueError saying what is expected."""
    number, slash, count = text.partition("/")
    if slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count):
        return Part(int(number), int(count))
    raise ValueError(f"PART={text}: write it as 2/3, the second of three parts")


def chosen(items: Sequence[Item], seconds: Mapping[Item, float], part: Part) -> list[Item]:
    """The items of a part, in their order: the longest first, each to the part that has least so far."""
    loads = [0.0] * part.count
    mine = set()
    for item in sorted(items, key=lambda name: -seconds.get(name, UNKNOWN_SECONDS)):
        least = loads.index(min(loads))
        loads[least] += seconds.get(item, UNKNOWN_SECONDS)
        if least == part.number - 1:
            mine.add(item)
    return [item for item in items if item in mine]


def durations(results: Path = RESULTS) -> dict[str, float]:
    """Seconds that each test took when it last ran."""
    return {name: entry["seconds"] for name, entry in _read(results).items()}


def keep(outcomes: Iterable[tuple[str, str, float]], results: Path = RESULTS) -> None:
    """Write down (test, outcome, seconds) under the present commit; what others gave stays."""
    run = {"commit": _commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    found = {name: {"outcome": outcome, "seconds": round(s, 1), **run} for name, outcome, s in outcomes}
    entries = dict(sorted((_read(results) | found).items()))
    results.write_text(
        "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in entries.items()) + "\n}\n"
    )


def _read(results: Path) -> dict[str, dict[str, float]]:
    read: dict[str, dict[str, float]] = json.loads(results.read_text()) if results.exists() else {}
    return read


def _commit() -> str:
    """The commit that ran, marked where the tree differed from it in more than the results."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", f":!{RESULTS.name}")
    return _git("rev-parse", "--short=10", "HEAD") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=RESULTS.parent, capture_output=True, text=True).stdout.strip()
