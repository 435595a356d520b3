"""What a comparison of an output with the truth has found."""

from __future__ import annotations

from dataclasses import dataclass


class WrongOutput(Exception):
    """A stage wrote something else than it should have: it has no figure."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of `what`: as they should be, different, absent, and there more than once."""

    what: str
    right: int
    wrong: int = 0
    missing: int = 0
    twice: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is something and all of it is right."""
        return self.right > 0 and not (self.wrong or self.missing or self.twice)

    def __str__(self) -> str:
        parts = [f"{self.right:,} right", f"{self.wrong:,} wrong", f"{self.missing:,} missing"]
        return f"{self.what}: {', '.join([*parts, f'{self.twice:,} twice'])}"


def demand(verdicts: list[Verdict]) -> str:
    """The verdicts in one line. Raises WrongOutput when one of them is not ok."""
    said = "; ".join(map(str, verdicts))
    if not all(verdict.ok for verdict in verdicts):
        raise WrongOutput(said)
    return said
