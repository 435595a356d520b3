"""Every stage that is compared: what runs, on how many records, and what its output is held to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from benchmarks.check import checks
from benchmarks.check.checks import Check
from benchmarks.peers import build
from benchmarks.place import Place

Command = Callable[[Place], list[str | Path]]


class Kind(StrEnum):
    """What a stage does; rates of one kind are compared."""

    NORMALISE = "normalise"  # raw JSON to canonical Avro
    CANDLES = "candles"  # canonical Avro to candles with state and changelog
    CHAIN = "chain"  # raw JSON to 1m candles
    CEILINGS = "ceilings"


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A stage of one system. Slow systems get fewer records: all figures are rates."""

    kind: Kind
    name: str
    records: int
    command: Command
    check: Check
    quick: int = 0  # records of a quick run, 0 for none
    env: dict[str, str] = field(default_factory=dict)
    input: str = "raw"  # or "canonical"


def _module(name: str, *arguments: str) -> Command:
    return lambda place: [sys.executable, "-m", name, *arguments]


def _peer(name: str, *arguments: str) -> Command:
    return lambda place: [build.python(), "-m", name, *arguments]


def _java(peer: str, main: str, mode: str) -> Command:
    def command(place: Place) -> list[str | Path]:
        where = (place.bootstrap, place.input, place.output, place.state, place.progress)
        start = ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
        return [*start, *_OPENS[peer], "-cp", build.class_path(peer), main, mode, *where]

    return command


_OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.text"),
    *("java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
)
_OPENS: dict[str, list[str]] = {
    "kafka_streams": [],
    "flink": [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED],
}


def _streams(mode: str) -> Command:
    return _java("kafka_streams", "k2bench.Main", mode)


def _flink(mode: str) -> Command:
    return _java("flink", "k2bench.FlinkMain", mode)


_N, _C = Kind.NORMALISE, Kind.CANDLES
_FAUST = "benchmarks.peers.faust_app"
_QUIX = "benchmarks.peers.quix_app"
_K2 = "benchmarks.stages.k2"
_CLICKHOUSE = _module("benchmarks.peers.clickhouse_chain")
_BYTEWAX = _peer("bytewax.run", "benchmarks.peers.bytewax_flow")
_GETMANY = _module("benchmarks.stages.getmany")
_DECODE = _module("benchmarks.stages.decode")
_CANONICAL, _STREAMS, _SIX = checks.CANONICAL, checks.STREAMS_1M, checks.STREAMS_SIX
_FLOATS, _TABLES, _COUNT = checks.FLOAT_FINALS, checks.TABLES, checks.COUNT
_M, _TEN = 2_000_000, 10_000

# fmt: off
STAGES = (
    Stage(_N, "k2", _M, _module(_K2, "normalize"), _CANONICAL, quick=200_000),
    Stage(_N, "kafka_streams", _M, _streams("normalise"), _CANONICAL, quick=200_000),
    Stage(_N, "kafka_streams_generic", _M, _streams("normalise-generic"), _CANONICAL),
    Stage(_N, "flink", _M, _flink("normalise"), _CANONICAL, quick=200_000),
    Stage(_N, "quix", 400_000, _peer(_QUIX, "normalise"), _CANONICAL),
    Stage(_N, "faust", 40_000, _module(_FAUST, "normalise"), _CANONICAL, quick=_TEN),
    Stage(_N, "faust_tuned", 60_000, _module(_FAUST, "normalise", "tuned"), _CANONICAL),
    Stage(_C, "k2", _M, _module(_K2, "candles"), checks.K2_CANDLES, quick=200_000, input="canonical"),
    Stage(_C, "kafka_streams", _M, _streams("candles-1m"), _STREAMS, quick=200_000, input="canonical"),
    Stage(_C, "kafka_streams_generic", _M, _streams("candles-1m-generic"), _STREAMS, input="canonical"),
    Stage(_C, "kafka_streams_six", _M, _streams("candles-six"), _SIX, quick=200_000, input="canonical"),
    Stage(_C, "flink", _M, _flink("candles"), checks.FINALS, quick=200_000, input="canonical"),
    Stage(_C, "flink_revisions", _M, _flink("candles-revisions"), checks.REVISIONS, input="canonical"),
    Stage(_C, "quix", 300_000, _peer(_QUIX, "candles"), _FLOATS, input="canonical"),
    Stage(_C, "bytewax", 600_000, _BYTEWAX, checks.PATIENT_FINALS, input="canonical"),
    Stage(_C, "faust", 40_000, _module(_FAUST, "candles"), checks.FAUST, quick=_TEN, input="canonical"),
    Stage(_C, "faust_tuned", 60_000, _module(_FAUST, "candles", "tuned"), checks.FAUST, input="canonical"),
    Stage(Kind.CHAIN, "clickhouse_1k", 200_000, _CLICKHOUSE, _TABLES, env={"BENCH_BLOCK": "1000"}),
    Stage(Kind.CHAIN, "clickhouse_10k", _M, _CLICKHOUSE, _TABLES, env={"BENCH_BLOCK": "10000"}),
    Stage(Kind.CHAIN, "clickhouse_100k", _M, _CLICKHOUSE, _TABLES, env={"BENCH_BLOCK": "100000"}),
    Stage(Kind.CEILINGS, "getmany_raw", _M, _GETMANY, _COUNT, quick=200_000),
    Stage(Kind.CEILINGS, "getmany_canonical", _M, _GETMANY, _COUNT, quick=200_000, input="canonical"),
    Stage(Kind.CEILINGS, "msgspec", _M, _DECODE, _COUNT, quick=200_000),
)
# fmt: on
