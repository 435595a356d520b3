"""A histogram of the last minute: what is shown to a person says how it is now, not how a start once was."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import GaugeHistogramMetricFamily
from prometheus_client.registry import Collector

SLOT_SECONDS, SLOTS = 5.0, 12

Counts = NDArray[np.int64]


class RollingHistogram(Collector):
    """Counts per bucket of the last minute, by one label; a slot of five seconds leaves at once.

    `bounds` are the buckets' upper bounds without infinity; `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        name: str,
        text: str,
        label: str,
        bounds: Sequence[float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = [*map(str, bounds), "+Inf"]
        self._clock = clock
        self._slots: defaultdict[str, deque[tuple[int, Counts]]] = defaultdict(deque)

    def add(self, value: str, counts: Counts) -> None:
        """Count observations of a label's value now: one number per bucket, the last is beyond all bounds."""
        slots, now = self._current(value)
        if slots and slots[-1][0] == now:
            slots[-1][1][:] += counts
        else:
            slots.append((now, counts.copy()))

    def collect(self) -> Iterator[GaugeHistogramMetricFamily]:
        """The buckets as Prometheus takes them, cumulative; a sum is not kept."""
        family = GaugeHistogramMetricFamily(self._name, self._text)
        for value in list(self._slots):
            counts = sum((slot for _, slot in self._current(value)[0]), np.zeros(len(self._bounds), np.int64))
            for bound, count in zip(self._bounds, np.cumsum(counts).tolist(), strict=True):
                family.add_sample(f"{self._name}_bucket", {self._label: value, "le": bound}, count)
        yield family

    def _current(self, value: str) -> tuple[deque[tuple[int, Counts]], int]:
        """The slots of the last minute, older ones forgotten, and the number of the present slot."""
        slots, now = self._slots[value], int(self._clock() // SLOT_SECONDS)
        while slots and slots[0][0] <= now - SLOTS:
            slots.popleft()
        return slots, now
