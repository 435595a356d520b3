"""Compares existing rows with expected rows: one vocabulary for every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

MOST = 100_000
"""The most differences listed per layer: more would only fill the memory."""

SUMMARISED = 3
"""The number of examples per kind in a summary."""

Kind = Literal["missing", "surplus", "doubled", "different"]

_WORDS: Mapping[Kind, str] = {
    "missing": "missing",
    "surplus": "should not be there",
    "doubled": "there more than once",
    "different": "different",
}


class Difference(NamedTuple):
    """One difference, in terms that a person can read."""

    layer: str
    what: str
    field: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.layer}: {self.what}: {self.field} is {self.found}, expected {self.expected}"

    @property
    def kind(self) -> Kind:
        """The kind; `missing` rows may still arrive, any other kind is an error."""
        if self.found in ("missing", "behind"):
            return "missing"
        if self.expected == "absent":
            return "surplus"
        return "doubled" if self.field == "rows" else "different"


@dataclass(slots=True)
class Comparison:
    """The comparison of a layer, in rows.

    `newer` rows include what came after the reference was read, or are still to come; whoever compares says
    whether they are among the `compared`. `coming` rows are expected and need not be in this layer yet.
    `skipped` rows cannot be compared, for the `reason`. `differences` lists the first MOST of the differences
    that `counts` counts.
    """

    layer: str
    compared: int = 0
    newer: int = 0
    coming: int = 0
    skipped: int = 0
    reason: str = ""
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """The number of all differences."""
        return self.counts.total()

    @property
    def waiting(self) -> bool:
        """Whether all differences are missing rows, which may still arrive."""
        return bool(self.total) and self.counts["missing"] == self.total

    def add(self, found: Iterable[Difference]) -> None:
        """Add differences."""
        for difference in found:
            self.counts[difference.kind] += 1
            if len(self.differences) < MOST:
                self.differences.append(difference)

    def merge(self, other: Comparison) -> None:
        """Add the comparison of another part of the layer."""
        self.compared += other.compared
        self.newer += other.newer
        self.coming += other.coming
        self.skipped += other.skipped
        self.reason = other.reason
        self.differences += other.differences[: MOST - len(self.differences)]
        self.counts += other.counts

    def rows(self, kind: Kind, names: Sequence[str], count: int | None = None) -> None:
        """Add rows that differ as a whole; `count` is their number when `names` has only the first ones."""
        expected, found = {
            "missing": ("present", "missing"),
            "surplus": ("absent", "present"),
            "doubled": ("once", "more often"),
            "different": ("the same", "different"),
        }[kind]
        self.add(
            Difference(self.layer, name, "rows" if kind == "doubled" else "row", expected, found)
            for name in names
        )
        self.counts[kind] += len(names) if count is None else count
        self.counts[kind] -= len(names)

    def values(self, name: str, expected: Mapping[str, object], found: Mapping[str, object]) -> None:
        """Add a row whose columns differ, as one difference."""
        wrong = [column for column, value in expected.items() if found[column] != value]
        texts = (", ".join(str(row[column]) for column in wrong) for row in (expected, found))
        self.add([Difference(self.layer, name, ", ".join(wrong), *texts)])

    def summary(self) -> str:
        """The number of differences per kind with examples, in one line; empty without differences."""
        return "; ".join(self._summed(kind, count) for kind, count in sorted(self.counts.items()) if count)

    def _summed(self, kind: Kind, count: int) -> str:
        mine = [item for item in self.differences if item.kind == kind][: SUMMARISED + 1]
        texts = [
            str(item).removeprefix(f"{self.layer}: ") if kind == "different" else item.what for item in mine
        ]
        more = ", …" if count > SUMMARISED else ""
        return f"{count:,} {_WORDS[kind]}: {', '.join(texts[:SUMMARISED])}{more}"
