"""What each stage's output is held to; a stage names its check in stages/registry.py."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import pyarrow.parquet as pq

from benchmarks import load
from benchmarks.check import formats, reading, tables, truth
from benchmarks.check.candles import Revision, compare
from benchmarks.check.records import Found
from benchmarks.check.verdict import Verdict
from benchmarks.place import Place
from benchmarks.progress import Counter


@dataclass(frozen=True, slots=True)
class Run:
    """What a stage has read and where it wrote."""

    place: Place
    loaded: load.Load
    started_us: int


Topics = Callable[[str, Collection[str]], list[str]]
"""Which topics hold the output: of the stage's own output topic and of those that exist."""


@dataclass(frozen=True, slots=True)
class Check:
    """How an output is compared with the load's truth, and in words what it is held to."""

    held_to: str
    verify: Callable[[Run], Awaitable[list[Verdict]]]
    size: Callable[[Run], Awaitable[int]]
    """How much output there is: it is complete when this stands still."""


def _canonical(held_to: str) -> Check:
    async def verify(run: Run) -> list[Verdict]:
        found = Found(run.started_us)
        async for records in reading.read(run.place.bootstrap, [run.place.output]):
            found.add([record.key for record in records], [record.value for record in records])
        return [found.verdict(run.loaded, time.time_ns() // 1000)]

    return Check(held_to, verify, _records_of(lambda output, _: [output]))


@dataclass(frozen=True, slots=True)
class _Held:
    """What a candle stage is held to."""

    timeframes: Collection[str]
    open_too: bool = True  # windows that have not ended are published or kept as well
    says_final: bool = False
    by_slowest: bool = False  # windows end by the partition furthest behind
    grace_ms: int = truth.GRACE_MS

    def verdict(self, revisions: list[Revision], loaded: load.Load) -> Verdict:
        windows = {
            window: fields
            for window, fields in truth.candles(loaded).items()
            if window.timeframe in self.timeframes
        }
        ended = truth.ended(loaded, by_slowest=self.by_slowest, grace_ms=self.grace_ms)
        ended &= windows.keys()
        required = windows.keys() if self.open_too else ended
        return compare(revisions, windows, required, ended if self.says_final else frozenset())


def _candles(held_to: str, topics: Topics, read: formats.Read, held: _Held) -> Check:
    async def verify(run: Run) -> list[Verdict]:
        names = topics(run.place.output, await reading.names(run.place.bootstrap))
        revisions = [
            read(formats.Record(record.topic, record.key, record.value))
            async for records in reading.read(run.place.bootstrap, names)
            for record in records
        ]
        return [held.verdict(revisions, run.loaded)]

    return Check(held_to, verify, _records_of(topics))


def _records_of(topics: Topics) -> Callable[[Run], Awaitable[int]]:
    async def size(run: Run) -> int:
        names = topics(run.place.output, await reading.names(run.place.bootstrap))
        return sum((await reading.ends(run.place.bootstrap, names)).values())

    return size


async def _tables(run: Run) -> list[Verdict]:
    return [
        tables.trades("silver rows", pq.read_table(run.place.state / tables.SILVER), run.loaded),
        _Held(("1m",)).verdict(tables.candles(run.place.state / tables.CANDLES), run.loaded),
    ]


async def _table_bytes(run: Run) -> int:
    return sum(path.stat().st_size for path in run.place.state.glob(tables.EXPORTS))


async def _counted(run: Run) -> list[Verdict]:
    count, wanted = Counter(run.place.progress).value, run.loaded.records
    return [Verdict("records counted", min(count, wanted), wrong=max(0, count - wanted))]


async def _count(run: Run) -> int:
    return Counter(run.place.progress).value


_ALL = truth.TIMEFRAMES_MS


def _output(output: str, existing: Collection[str]) -> list[str]:
    return [output]


def _platform(output: str, existing: Collection[str]) -> list[str]:
    return [f"market.crypto.ohlcv.{timeframe}" for timeframe in _ALL]


def _changelogs(output: str, existing: Collection[str]) -> list[str]:
    return [
        name for name in existing if "ohlcv" in name and name.endswith("-changelog") and "k2-" not in name
    ]


CANONICAL = _canonical("every canonical record once, byte for byte but for process_time (within the run)")
K2_CANDLES = _candles(
    "six timeframes: the newest revision of every window, every final one, all fields",
    _platform, formats.avro_candle, _Held(_ALL, says_final=True),
)  # fmt: skip
FINALS = _candles(
    "six timeframes, finals only: every window that ended by the slowest partition, once, all fields",
    _output, formats.avro_candle, _Held(_ALL, open_too=False, says_final=True, by_slowest=True),
)  # fmt: skip
REVISIONS = _candles(
    "six timeframes: the newest revision of every window, every final one, all fields",
    _output, formats.avro_candle, _Held(_ALL, says_final=True, by_slowest=True),
)  # fmt: skip
STREAMS_1M = _candles(
    "1m: the newest state of every window in the store's changelog, exact",
    _changelogs, formats.streams_state, _Held(("1m",)),
)  # fmt: skip
STREAMS_SIX = _candles(
    "six timeframes: the newest state of every window in the stores' changelogs, exact",
    _changelogs, formats.streams_state, _Held(_ALL),
)  # fmt: skip
FAUST = _candles(
    "1m: the newest state of every window in the table's changelog, floats within 1e-9",
    _changelogs, formats.faust_state, _Held(("1m",)),
)  # fmt: skip
FLOAT_FINALS = _candles(
    "1m, finals only: every window that ended, once, floats within 1e-9",
    _output, formats.float_final, _Held(("1m",), open_too=False, says_final=True),
)  # fmt: skip
PATIENT_FINALS = _candles(
    "1m, finals only: every window that ended a minute before the newest trade, once, floats within 1e-9",
    _output, formats.float_final, _Held(("1m",), open_too=False, says_final=True, grace_ms=60_000),
)  # fmt: skip
TABLES = Check("every row of silver and every 1m candle, exact", _tables, _table_bytes)
COUNT = Check("it writes nothing: every record counted, none twice", _counted, _count)
