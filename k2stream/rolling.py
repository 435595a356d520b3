"""A histogram of the last minute: status views show current latency, without that of a past start-up."""

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
    """A histogram of the last minute with one label; observations expire in slots of five seconds.

    `bounds` are the upper bounds of the buckets, without infinity; `clock` gives monotonic seconds.
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
        """Add observations of a label value: one count per bucket, the last one beyond all bounds."""
        slots, now = self._current(value)
        if slots and slots[-1][0] == now:
            slots[-1][1][:] += counts
        else:
            slots.append((now, counts.copy()))

    def collect(self) -> Iterator[GaugeHistogramMetricFamily]:
        """The cumulative buckets, as Prometheus expects them; there is no sum."""
        family = GaugeHistogramMetricFamily(self._name, self._text)
        for value in list(self._slots):
            counts = sum((slot for _, slot in self._current(value)[0]), np.zeros(len(self._bounds), np.int64))
            for bound, count in zip(self._bounds, np.cumsum(counts).tolist(), strict=True):
                family.add_sample(f"{self._name}_bucket", {self._label: value, "le": bound}, count)
        yield family

    def _current(self, value: str) -> tuple[deque[tuple[int, Counts]], int]:
        """The slots of the last minute, after dropping older ones, and the number of the current slot."""
        slots, now = self._slots[value], int(self._clock() // SLOT_SECONDS)
        while slots and slots[0][0] <= now - SLOTS:
            slots.popleft()
        return slots, now
