"""One stage in one process, watched from outside: the same clock and the same definitions for all.

Time runs from the first records seen as processed to the last; warm is the second half by records. CPU
seconds are those of the process, all its threads and children, in that time: user and system. `total_cpu` is
all that the process used, from its start until its output stood still.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.progress import Counter
from k2stream.embedded.process import Child

INTERVAL = 0.02  # seconds between two looks
_STALLED = 60.0  # seconds without progress
_QUIET = 3.0  # seconds without new output: it is complete
_SETTLES_WITHIN = 60.0
_STOP_WITHIN = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")

Progress = Callable[[], Awaitable[int]]


class StageError(Exception):
    """A stage that ended early or stalled, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of one stage measured; rates are trades a second, CPU is seconds a million trades."""

    records: int
    seconds: float
    rate: float
    warm_rate: float
    cpu: float
    warm_cpu: float
    broker_cpu: float
    rss_mb: float  # highest
    start_seconds: float  # from the start of the process to its first record
    total_cpu: float = 0.0  # from the start of the process to its last output

    @property
    def wall(self) -> float:
        """Seconds a million trades."""
        return 1e6 / self.rate


class _Sample(NamedTuple):
    at: float
    records: int
    cpu: float
    broker_cpu: float


async def measure(
    name: str,
    command: Sequence[str | Path],
    env: Mapping[str, str],
    log: Path,
    progress: Progress,
    records: int,
    broker_pid: int,
    size: Progress | None = None,
) -> Figures:
    """Run a stage until it has processed `records` and its output stands still, then stop it.

    `size` says how much output there is, None where nobody reads it. Raises StageError.
    """
    begun = time.perf_counter()
    child = await Child.spawn(name, command, log, env={**_inherited(), **env})
    try:
        samples = await _watch(child, progress, records, broker_pid)
        total_cpu = await _settled(child, size) if size else samples[-1].cpu
        rss = max(_status_mb(pid, "VmHWM") for pid in _tree(child.pid))
    finally:
        await child.stop(_STOP_WITHIN)
    return _figures(samples, records, rss, begun, total_cpu)


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("K2_")}


async def _watch(child: Child, progress: Progress, records: int, broker_pid: int) -> list[_Sample]:
    samples: list[_Sample] = []
    moved = time.perf_counter()
    while not samples or samples[-1].records < records:
        count = await progress()
        now = time.perf_counter()
        if count > (samples[-1].records if samples else 0):
            moved = now
            samples.append(_Sample(now, count, cpu_seconds(child.pid), cpu_seconds(broker_pid)))
        elif child.returncode is not None:
            raise StageError(child.exit_report())
        elif now - moved > _STALLED:
            raise StageError(f"{child.name} stalled at {count:,} of {records:,} records")
        await asyncio.sleep(INTERVAL)
    return samples


async def _settled(child: Child, size: Progress) -> float:
    """Wait for the end of the output; the CPU seconds of the process when the last of it was seen."""
    begun = since = time.perf_counter()
    last, cpu = -1, 0.0
    while (now := time.perf_counter()) - since < _QUIET:
        if child.returncode is not None:
            raise StageError(child.exit_report())
        if now - begun > _SETTLES_WITHIN:
            what = "still writes" if last > 0 else "has written nothing"
            raise StageError(f"{child.name} {what} {_SETTLES_WITHIN:.0f} s after its last record")
        used = cpu_seconds(child.pid)
        if (count := await size()) != last or not count:
            last, since, cpu = count, now, used
        await asyncio.sleep(5 * INTERVAL)
    return cpu


def _figures(
    samples: list[_Sample], records: int, rss: float, begun: float, total_cpu: float = 0.0
) -> Figures:
    first, last = samples[0], samples[-1]
    half = next(sample for sample in samples if sample.records >= records / 2)
    if half is last:
        raise StageError(f"{records:,} records went by in one look: run more")
    return Figures(
        records=last.records,
        seconds=last.at - first.at,
        rate=_rate(first, last),
        warm_rate=_rate(half, last),
        cpu=_per_million(last.cpu - first.cpu, first, last),
        warm_cpu=_per_million(last.cpu - half.cpu, half, last),
        broker_cpu=_per_million(last.broker_cpu - first.broker_cpu, first, last),
        rss_mb=rss,
        start_seconds=first.at - begun,
        total_cpu=total_cpu * 1e6 / last.records,
    )


def _rate(start: _Sample, end: _Sample) -> float:
    return (end.records - start.records) / (end.at - start.at)


def _per_million(cpu: float, start: _Sample, end: _Sample) -> float:
    return cpu * 1e6 / (end.records - start.records)


def counted(path: Path) -> Progress:
    """Progress by the stage's own count of records processed."""
    counter = Counter(path)

    async def progress() -> int:
        return counter.value

    return progress


def written(consumer: AIOKafkaConsumer, topic: str, partitions: int) -> Progress:
    """Progress by the records in the output topic."""
    wanted = [TopicPartition(topic, number) for number in range(partitions)]

    async def progress() -> int:
        return sum((await consumer.end_offsets(wanted)).values())

    return progress


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, ended ones included where waited for."""
    ticks = 0
    for member in _tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return ticks / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its descendants now, MB."""
    return sum(_status_mb(member, "VmRSS") for member in _tree(pid))


def _status_mb(pid: int, field: str) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{member}/task").iterdir():
                members += map(int, (task / "children").read_text().split())
    return members
