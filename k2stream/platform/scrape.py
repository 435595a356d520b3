"""Reads the workers' metrics over HTTP."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import add

import httpx
from prometheus_client.parser import text_string_to_metric_families

from k2stream.settings import WorkerSettings

Labels = tuple[tuple[str, str], ...]
Values = Mapping[str, Mapping[Labels, float]]

LARGEST = ("k2_event_lag_seconds", "k2_sink_written_timestamp_seconds")
"""Of several workers the largest value is that of all: a sum of times is none."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Metric samples, summed over several workers: {name: {labels: value}}."""

    values: Values = field(default_factory=dict)
    silent: tuple[str, ...] = ()  # workers that did not answer
    each: Mapping[str, Values] = field(default_factory=dict)  # of each one that did

    @classmethod
    def of(cls, each: Mapping[str, Values], silent: tuple[str, ...] = ()) -> Samples:
        """The samples of several workers together."""
        values: dict[str, dict[Labels, float]] = defaultdict(dict)
        for worker in each.values():
            for name, samples in worker.items():
                for key, value in samples.items():
                    before = values[name].get(key)
                    together = max if name in LARGEST else add
                    values[name][key] = value if before is None else together(before, value)
        return cls(values, silent, each)

    def beside(self, now: Samples) -> Samples:
        """What to compare `now` with: a worker that answers again has done nothing since, not everything."""
        if self.each.keys() == now.each.keys():
            return self
        return Samples.of({name: self.each.get(name, values) for name, values in now.each.items()})

    def get(self, name: str, **labels: str) -> float:
        """Sum of all samples of a metric that have these labels; 0 if there are none."""
        wanted = labels.items()
        return sum(value for key, value in self.values.get(name, {}).items() if wanted <= dict(key).items())

    def since(self, before: Samples) -> Samples:
        """Growth of counters and histograms since `before`; gauges become meaningless."""
        before = before.beside(self)
        grown = {
            name: {key: value - before.values.get(name, {}).get(key, 0.0) for key, value in samples.items()}
            for name, samples in self.values.items()
        }
        return Samples(grown, self.silent)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Samples of a metric, summed per value of one label."""
        found: dict[str, float] = defaultdict(float)
        for key, value in self.values.get(name, {}).items():
            found[dict(key).get(label, "")] += value
        return dict(found)

    def quantile(self, name: str, share: float, **labels: str) -> float | None:
        """Quantile of a histogram, in its unit, as PromQL's histogram_quantile gives it; None if empty.

        Values are taken to be spread evenly within a bucket; beyond the last bound it is that bound.
        """
        wanted = labels.items()
        buckets: dict[float, float] = defaultdict(float)
        for key, value in self.values.get(f"{name}_bucket", {}).items():
            if wanted <= dict(key).items():
                buckets[float(dict(key)["le"])] += value
        total = buckets.get(float("inf"), 0.0)
        if not total:
            return None
        below, counted = 0.0, 0.0
        for bound, count in sorted(buckets.items())[:-1]:
            if count >= share * total:
                within = (share * total - counted) / (count - counted) if count > counted else 1.0
                return below + (bound - below) * within
            below, counted = bound, count
        return below


async def scrape(
    workers: Mapping[str, str], settings: WorkerSettings, leave: tuple[str, ...] = ()
) -> Samples:
    """Read `/metrics` of every worker; `workers` maps names to base URLs.

    Metrics whose names begin as one of `leave` are left out: to parse them takes time.
    """
    each: dict[str, Values] = {}
    silent = []
    for name, answer in (await _get(workers, settings, "/metrics")).items():
        if answer is None or not answer.is_success:
            silent.append(name)
            continue
        values: dict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(_own(answer.text, leave)):
            for sample in family.samples:
                values[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
        each[name] = values
    return Samples.of(each, tuple(silent))


async def healths(workers: Mapping[str, str], settings: WorkerSettings) -> dict[str, str]:
    """What `/health` of every worker says: "ok" or "recovering", by the names of those that answer."""
    answers = await _get(workers, settings, "/health")
    return {
        name: "ok" if answer.is_success else "recovering"
        for name, answer in answers.items()
        if answer is not None
    }


async def _get(
    workers: Mapping[str, str], settings: WorkerSettings, path: str
) -> dict[str, httpx.Response | None]:
    async with httpx.AsyncClient(timeout=2, **settings.web_connection) as client:
        answers = await asyncio.gather(
            *(client.get(f"{url}{path}") for url in workers.values()), return_exceptions=True
        )
    return {
        name: None if isinstance(answer, BaseException) else answer
        for name, answer in zip(workers, answers, strict=True)
    }


def _own(text: str, leave: tuple[str, ...]) -> str:
    kept = (line for line in text.splitlines() if line.startswith("k2_"))
    return "\n".join(line for line in kept if not (leave and line.startswith(leave))) + "\n"
