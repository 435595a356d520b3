"""Every stage that is compared: what runs, on how many records, and how its progress is seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from benchmarks.peers import build

Command = Callable[["Place"], list[str | Path]]


class Kind(StrEnum):
    """What a stage does; rates of one kind are compared."""

    NORMALISE = "normalise"  # raw JSON to canonical Avro
    CANDLES = "candles"  # canonical Avro to candles with state and changelog
    CHAIN = "chain"  # raw JSON to 1m candles
    CEILINGS = "ceilings"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage runs."""

    bootstrap: str
    input: str
    output: str
    state: Path
    progress: Path


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A stage of one system. Slow systems get fewer records: all figures are rates."""

    kind: Kind
    name: str
    records: int
    command: Command
    quick: int = 0  # records of a quick run, 0 for none
    env: dict[str, str] = field(default_factory=dict)
    input: str = "raw"  # or "canonical"


def _module(name: str, *arguments: str) -> Command:
    return lambda place: [sys.executable, "-m", name, *arguments]


def _peer(name: str, *arguments: str) -> Command:
    return lambda place: [build.python(), "-m", name, *arguments]


def _java(mode: str) -> Command:
    def command(place: Place) -> list[str | Path]:
        return [
            *(
                "java",
                "-Xmx1g",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
                build.class_path(),
                "k2bench.Main",
            ),
            *(mode, place.bootstrap, place.input, place.output, place.state, place.progress),
        ]

    return command


_N, _C = Kind.NORMALISE, Kind.CANDLES
_FAUST = "benchmarks.peers.faust_app"
_QUIX = "benchmarks.peers.quix_app"
_K2 = "benchmarks.stages.k2"
_CLICKHOUSE = _module("benchmarks.peers.clickhouse_chain")
_BYTEWAX = _peer("bytewax.run", "benchmarks.peers.bytewax_flow")
_GETMANY = _module("benchmarks.stages.getmany")

STAGES = (
    Stage(_N, "k2", 2_000_000, _module(_K2, "normalize"), quick=200_000),
    Stage(_N, "kafka_streams", 2_000_000, _java("normalise"), quick=200_000),
    Stage(_N, "kafka_streams_generic", 2_000_000, _java("normalise-generic")),
    Stage(_N, "quix", 400_000, _peer(_QUIX, "normalise")),
    Stage(_N, "faust", 40_000, _module(_FAUST, "normalise"), quick=10_000),
    Stage(_N, "faust_tuned", 60_000, _module(_FAUST, "normalise", "tuned")),
    Stage(_C, "k2", 2_000_000, _module(_K2, "candles"), quick=200_000, input="canonical"),
    Stage(_C, "kafka_streams", 2_000_000, _java("candles-1m"), quick=200_000, input="canonical"),
    Stage(_C, "kafka_streams_generic", 2_000_000, _java("candles-1m-generic"), input="canonical"),
    Stage(_C, "kafka_streams_six", 2_000_000, _java("candles-six"), quick=200_000, input="canonical"),
    Stage(_C, "quix", 300_000, _peer(_QUIX, "candles"), input="canonical"),
    Stage(_C, "bytewax", 600_000, _BYTEWAX, input="canonical"),
    Stage(_C, "faust", 40_000, _module(_FAUST, "candles"), quick=10_000, input="canonical"),
    Stage(_C, "faust_tuned", 60_000, _module(_FAUST, "candles", "tuned"), input="canonical"),
    Stage(Kind.CHAIN, "clickhouse_1k", 200_000, _CLICKHOUSE, env={"BENCH_BLOCK": "1000"}),
    Stage(Kind.CHAIN, "clickhouse_10k", 2_000_000, _CLICKHOUSE, env={"BENCH_BLOCK": "10000"}),
    Stage(Kind.CHAIN, "clickhouse_100k", 2_000_000, _CLICKHOUSE, env={"BENCH_BLOCK": "100000"}),
    Stage(Kind.CEILINGS, "getmany_raw", 2_000_000, _GETMANY, quick=200_000),
    Stage(Kind.CEILINGS, "getmany_canonical", 2_000_000, _GETMANY, quick=200_000, input="canonical"),
    Stage(Kind.CEILINGS, "msgspec", 2_000_000, _module("benchmarks.stages.decode"), quick=400_000),
)
