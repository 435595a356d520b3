"""Runs stages on the servers: outputs and groups of the run before are deleted, inputs stay.

A stage reads a topic of exactly its records, so that all it writes can be compared with the truth.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from benchmarks import load
from benchmarks import progress as counters
from benchmarks.broker import Kafka, NewTopics, Servers, reset, servers
from benchmarks.check.checks import Check, Run
from benchmarks.check.truth import key_of
from benchmarks.check.verdict import WrongOutput, demand
from benchmarks.measure import Figures, counted, measure, written
from benchmarks.place import Place
from benchmarks.stages.registry import Kind, Stage
from k2stream import topics
from k2stream.avro import registry
from k2stream.settings import RegistryAddress, Settings, environment, make

OUTPUT = "bench.output"


@dataclass(frozen=True, slots=True)
class Bench:
    """Running servers, ready to run stages. `loaded` is what the topics of K2's own names hold."""

    folder: Path
    servers: Servers
    loaded: load.Load
    schema_id: int
    held: dict[tuple[str, str], load.Load] = field(default_factory=dict)
    """What each input topic holds, by bootstrap and name."""

    async def run(self, stage: Stage, records: int) -> tuple[Figures, str]:
        """One run of one stage: its figures, and what the check of its output has found.

        Raises WrongOutput, StageError, or Missing when the peer cannot run here.
        """
        canonical = stage.input == "canonical"
        broker = self.servers.canonical if canonical else self.servers.raw
        loaded = replace(self.loaded, records=records)
        if stage.name == "k2" and loaded != self.loaded:
            raise ValueError("K2 reads the topics of its own names: all that is loaded")
        source = await self.source(broker, canonical, loaded)
        output = topics.NORMALIZED if stage.name == "k2" and stage.kind is Kind.NORMALISE else OUTPUT
        state = self.fresh_state()
        place = Place(broker.bootstrap, source, output, state, self.folder / "progress")
        counters.create(place.progress)
        command = stage.command(place)
        settings = self.settings(broker, state)
        await self.reset(broker, outputs(settings, loaded.partitions))
        env = environment(settings) | bench_environment(place, records, loaded.partitions) | stage.env
        run = Run(place, loaded, time.time_ns() // 1000)
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=None) as watcher:
            normalises = stage.kind is Kind.NORMALISE
            progress = written(watcher, output, loaded.partitions) if normalises else counted(place.progress)
            figures = await measure(
                stage.name, command, env, self.folder / "logs" / f"{stage.kind}-{stage.name}.log",
                progress, records, broker.child.pid, lambda: stage.check.size(run),
            )  # fmt: skip
        return figures, await checked(stage.check, run)

    async def source(self, broker: Kafka, canonical: bool, loaded: load.Load) -> str:
        """The topic that holds this load, filled on first use."""
        main = topics.NORMALIZED if canonical else load.RAW
        name = main if loaded == self.loaded else f"{main}.{loaded.records}"
        at = broker.bootstrap, name
        if self.held.get(at) != loaded:
            self.held.pop(at, None)
            await self.reset(broker, [NewTopics((name,), loaded.partitions)])
            made = load.canonical_batches(loaded, self.schema_id) if canonical else load.raw_batches(loaded)
            await load.send(broker.bootstrap, name, made)
            self.held[at] = loaded
        return name

    async def reset(self, broker: Kafka, create: Iterable[NewTopics]) -> None:
        """Nothing is left on a broker but the inputs, and the new topics."""
        await reset(broker.bootstrap, {name for at, name in self.held if at == broker.bootstrap}, create)

    def with_load(self, loaded: load.Load) -> Bench:
        """The same servers with another load in them."""
        return replace(self, loaded=loaded)

    def fresh_state(self) -> Path:
        """An empty folder for the next process."""
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        return state

    def settings(self, broker: Kafka, state: Path) -> Settings:
        """The settings of a K2 worker on one of the brokers."""
        return make(
            data_dir=str(state / "k2"),
            instruments_file=str(self._instruments()),
            kafka_bootstrap=broker.bootstrap,
            registry_url=self.servers.registry_url,
            normalized_partitions=self.loaded.partitions,
            binance_partitions=self.loaded.partitions,
            kraken_partitions=1,
            coinbase_partitions=1,
            log_level="warning",
        )

    def _instruments(self) -> Path:
        """The load's symbols, as a worker is told them."""
        path = self.folder / "instruments.yaml"
        names = ((name, key_of(name).partition(":")[2]) for name in self.loaded.names())
        lines = [f"  - {{symbol: {native}, canonical: {canonical}}}" for native, canonical in names]
        path.write_text("\n".join(["binance:", *lines, ""]))
        return path


async def checked(check: Check, run: Run) -> str:
    """What the check has found, in a line. Raises WrongOutput."""
    try:
        verdicts = await check.verify(run)
    except Exception as error:  # whatever a reader says of an output that is no such output
        raise WrongOutput(f"cannot be read: {type(error).__name__}: {error}") from error
    return demand(verdicts)


def outputs(settings: Settings, partitions: int) -> list[NewTopics]:
    """The topics that a stage may write to."""
    declared = [NewTopics((topic.name,), topic.partitions) for topic in topics.declared(settings.kafka)]
    return [*declared, NewTopics((OUTPUT,), partitions)]


def bench_environment(place: Place, records: int, partitions: int) -> dict[str, str]:
    """The variables that tell a stage its place."""
    return {
        "BENCH_BOOTSTRAP": place.bootstrap,
        "BENCH_INPUT": place.input,
        "BENCH_OUTPUT": place.output,
        "BENCH_STATE": str(place.state),
        "BENCH_PROGRESS": str(place.progress),
        "BENCH_RECORDS": str(records),
        "BENCH_PARTITIONS": str(partitions),
    }


@asynccontextmanager
async def bench(folder: Path, wanted: load.Load) -> AsyncIterator[Bench]:
    """Start the servers on a scratch folder; a topic is loaded when the first stage reads it."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    async with servers(folder) as running:
        schema_id = await registry.register(topics.NORMALIZED, "trade", RegistryAddress(running.registry_url))
        yield Bench(folder, running, wanted, schema_id)
