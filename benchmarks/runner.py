"""Runs stages on the servers: outputs and groups of the run before are deleted, inputs stay."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from benchmarks import load
from benchmarks import progress as counters
from benchmarks.broker import Kafka, NewTopics, Servers, reset, servers
from benchmarks.measure import Figures, counted, measure, written
from benchmarks.stages.registry import Kind, Place, Stage
from k2stream import topics
from k2stream.avro import registry
from k2stream.settings import Settings, environment

OUTPUT = "bench.output"


@dataclass(frozen=True, slots=True)
class Bench:
    """Loaded servers, ready to run stages."""

    folder: Path
    servers: Servers
    loaded: load.Load

    async def run(self, stage: Stage, records: int) -> Figures:
        """One run of one stage. Raises StageError, or Missing when the peer cannot run here."""
        canonical = stage.input == "canonical"
        broker = self.servers.canonical if canonical else self.servers.raw
        source = topics.NORMALIZED if canonical else load.RAW
        output = topics.NORMALIZED if stage.name == "k2" and stage.kind is Kind.NORMALISE else OUTPUT
        state = self.fresh_state()
        place = Place(broker.bootstrap, source, output, state, self.folder / "progress")
        counters.create(place.progress)
        command = stage.command(place)
        settings = self.settings(broker, state)
        await reset(broker.bootstrap, {source}, _outputs(settings, self.loaded.partitions))
        env = environment(settings) | _bench_environment(place, records, self.loaded.partitions) | stage.env
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=None) as watcher:
            normalises = stage.kind is Kind.NORMALISE
            progress = (
                written(watcher, output, self.loaded.partitions) if normalises else counted(place.progress)
            )
            log = self.folder / "logs" / f"{stage.kind}-{stage.name}.log"
            return await measure(stage.name, command, env, log, progress, records, broker.child.pid)

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
        return Settings(
            data_dir=str(state / "k2"),
            kafka_bootstrap=broker.bootstrap,
            registry_url=self.servers.registry_url,
            binance_partitions=self.loaded.partitions,
            normalized_partitions=self.loaded.partitions,
            kraken_partitions=1,
            coinbase_partitions=1,
            log_level="warning",
        )


def _outputs(settings: Settings, partitions: int) -> list[NewTopics]:
    declared = [NewTopics((topic.name,), topic.partitions) for topic in topics.declared(settings)]
    return [*declared, NewTopics((OUTPUT,), partitions)]


def _bench_environment(place: Place, records: int, partitions: int) -> dict[str, str]:
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
    """Start the servers on a scratch folder and load both topics."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    async with servers(folder) as running:
        await fill(running, wanted)
        yield Bench(folder, running, wanted)


async def fill(running: Servers, wanted: load.Load) -> None:
    """Load both topics anew."""
    schema_id = await registry.register(topics.NORMALIZED, "trade", running.registry_url)
    await load.load_raw(running.raw.bootstrap, wanted)
    await load.load_canonical(running.canonical.bootstrap, wanted, schema_id)
