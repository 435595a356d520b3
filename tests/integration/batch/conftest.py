"""Topics, records and worker processes for the tests of the batch engine."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest_asyncio
from aiokafka import AIOKafkaProducer

from tests import kafka as broker

WORKER = Path(__file__).with_name("worker.py")
PARTITIONS = 4
_serial = count()


class Kafka:
    """A few client operations against one broker."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    async def create(self, topic, configs=None):
        await broker.create(self.bootstrap, topic, PARTITIONS, configs)

    async def fill(self, topic, records, key=b"k%d", value=b"%d", begin=0):
        """`records` records over all partitions, in broker batches of 500.

        `%d` is a record's number in its partition, from `begin` on.
        """
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        now, each = int(time.time() * 1000), records // PARTITIONS
        for partition in range(PARTITIONS):
            for first in range(begin, begin + each, 500):
                batch = producer.create_batch()
                for n in range(first, min(first + 500, begin + each)):
                    batch.append(timestamp=now, key=key % n if b"%" in key else key, value=value % n)
                await producer.send_batch(batch, topic, partition=partition)
        await producer.stop()

    @asynccontextmanager
    async def growing(self, topic, records):
        """`records` records come twice a second while it lasts; yields a list of how many came each time."""
        fillings, ended = [], asyncio.Event()

        async def fill():
            while not ended.is_set():
                await self.fill(topic, records, begin=len(fillings) * records // PARTITIONS)
                fillings.append(records)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 0.5)

        task = asyncio.create_task(fill())
        yield fillings
        ended.set()
        await task

    async def read(self, topic):
        """Records by partition, to the end."""
        return await broker.read(self.bootstrap, topic, PARTITIONS)

    async def committed(self, group, topic):
        """Committed offsets by partition, 0 where there is none, and the lag."""
        found = await broker.progress(self.bootstrap, group, broker.partitions(topic, PARTITIONS))
        return list(found.committed.values()), found.lag

    async def caught_up(self, group, topic, seconds=60):
        deadline = time.monotonic() + seconds
        while (await self.committed(group, topic))[1]:
            assert time.monotonic() < deadline, f"{group} still lags: {await self.committed(group, topic)}"
            await asyncio.sleep(0.2)


class Worker:
    """A worker process; `facts` are its JSON lines so far, `log` its log file."""

    def __init__(self, role, directory, **environment):
        self.role, self.environment = role, {name: str(value) for name, value in environment.items()}
        self.log = directory / f"worker-{next(_serial)}.log"
        self.facts = []

    async def __aenter__(self):
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(WORKER),
                self.role,
                env=os.environ | self.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reader

    async def _read(self):
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"{"):
                self.facts.append(json.loads(line))

    async def until(self, condition, seconds=60):
        """Wait until `condition(facts)` holds."""
        deadline = time.monotonic() + seconds
        while not condition(self.facts):
            assert self.process.returncode is None, f"worker ended: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"not in {seconds} s: {self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.02)

    async def ready(self):
        await self.until(lambda _: b"Worker ready" in self.log.read_bytes())

    async def kill(self):
        self.process.kill()
        await self.process.wait()

    async def stop(self):
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)

    async def end(self, seconds=60):
        """Exit status of a worker that ends by itself."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    def sum(self, name):
        return sum(fact.get(name, 0) for fact in self.facts)


@pytest_asyncio.fixture
async def kafka(stack):
    return Kafka(stack.bootstrap)


@dataclass(frozen=True)
class Start:
    """Makes workers of one app; its name, and its topics."""

    make: Callable[..., Worker]
    app: str
    source: str
    out: str

    def __call__(self, role: str, **environment: object) -> Worker:
        return self.make(role, **environment)


@pytest_asyncio.fixture
async def start(kafka, tmp_path):
    """start(role, **environment) -> Worker, all in one app of its own with a source and an out topic."""
    name = f"batch-{os.getpid()}-{next(_serial)}"
    await kafka.create(f"{name}-source")

    def factory(role, **environment):
        defaults = {
            "APP_ID": name,
            "SOURCE": f"{name}-source",
            "OUT": f"{name}-out",
            "BOOTSTRAP": kafka.bootstrap,
            "DATADIR": tmp_path / f"data-{next(_serial)}",
        }
        return Worker(role, tmp_path, **(defaults | environment))

    return Start(factory, name, f"{name}-source", f"{name}-out")
