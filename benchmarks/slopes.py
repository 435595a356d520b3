"""How a figure changes with time: the line that fits its samples best (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

HOUR = 3600.0


class Trend(NamedTuple):
    """Of one figure of one process: its mean, and its change per hour in the same unit."""

    mean: float
    per_hour: float

    @property
    def percent_per_hour(self) -> float:
        """0 for a figure that is 0 throughout."""
        return 100 * self.per_hour / self.mean if self.mean else 0.0


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """The least-squares line through (seconds, value). Raises ValueError for fewer than two moments."""
    if len({at for at, _ in samples}) < 2:
        raise ValueError("a slope needs samples of two moments")
    count = len(samples)
    middle = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    above = sum((at - middle) * (value - mean) for at, value in samples)
    return Trend(mean, HOUR * above / sum((at - middle) ** 2 for at, _ in samples))


def trends(
    samples: Sequence[tuple[float, Mapping[str, Mapping[str, float]]]], since: float
) -> dict[str, dict[str, Trend]]:
    """By process and figure, of samples (seconds, process -> figure -> value) from `since` on.

    Processes that are not in every sample have restarted or ended, and are left out.
    """
    late = [(at, values) for at, values in samples if at >= since]
    names = [name for name in late[0][1] if all(name in values for _, values in late)] if late else []
    return {
        name: {
            figure: trend([(at, values[name][figure]) for at, values in late]) for figure in late[0][1][name]
        }
        for name in names
    }
