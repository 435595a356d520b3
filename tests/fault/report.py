"""What fault tests injected and what they checked, in counts; shown at the end of a run, see conftest.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One test: its id in the fault table, and counts by name."""

    test: str
    injected: Mapping[str, int | float]
    checked: Mapping[str, int | float]


entries: list[Entry] = []


def record(test: str, injected: Mapping[str, int | float], checked: Mapping[str, int | float]) -> None:
    """Keep the counts of a test that held."""
    entries.append(Entry(test, dict(injected), dict(checked)))


def lines() -> Iterator[str]:
    """The report, a test in two lines."""
    for test, injected, checked in entries:
        yield f"{test:<12} injected  {_counts(injected)}"
        yield f"{'':<12} checked   {_counts(checked)}"


def _counts(counts: Mapping[str, int | float]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
