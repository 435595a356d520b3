"""Sinks that kill themselves at one of their steps, each in a process of its own.

A step lies before and after each call of the destination and each acknowledgement. Reads a `Run` a line,
forks for each (all imports are done then), and answers with the name of the step at which it died, or an
empty line when it came to its end.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.sink import Policy, Sink
from k2stream.iceberg import tables
from k2stream.iceberg.destination import Iceberg
from k2stream.layers import silver
from k2stream.settings import Settings
from tests.integration.sink_samples import piece, trade

PARTITIONS, ROUNDS, EACH = 2, 2, 20
TIERS = {
    "clickhouse": (lambda settings: ClickHouse(settings.clickhouse), silver.ROUTE),
    "iceberg": (lambda settings: Iceberg(settings.iceberg), tables.TABLES["cold.silver_trades"].route),
}
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)


class Run(msgspec.Struct):
    """One run. `step` counts from 1, 0 is never. `journal` is what Kafka knows: a line an acknowledgement."""

    tier: str
    step: int
    journal: str
    settings: Settings


class Steps:
    """Counts the steps, and dies at the wanted one with its name as the last word."""

    def __init__(self, wanted):
        self._left = wanted

    def take(self, name):
        self._left -= 1
        if self._left == 0:
            os.write(1, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A destination whose every call is a step."""

    def __init__(self, destination, steps):
        self._destination, self._steps = destination, steps

    def __getattr__(self, name):
        call = getattr(self._destination, name)

        def stepped(*arguments):
            self._steps.take(f"before {name}")
            result = call(*arguments)
            self._steps.take(f"after {name}")
            return result

        return stepped


def acknowledged(journal):
    """{partition: the offset to read on from}."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    return dict.fromkeys(range(PARTITIONS), 0) | {
        entry["partition"]: entry["end"] for entry in map(json.loads, lines)
    }


def rows(route, batch):
    first, partition = int(batch.offsets[0]), batch.tp.partition
    trades = [trade(offset, raw_partition=partition) for offset in batch.offsets.tolist()]
    return piece(route, trades, first=first, partition=partition).rows


async def work(run):
    steps, journal = Steps(run.step), Path(run.journal)
    opened, route = TIERS[run.tier]
    destination = Dying(opened(run.settings), steps)
    destination.prepare([route])
    route = replace(route, columns=lambda batch: rows(route, batch))

    async def earliest(partition):
        return 0

    async def go_back(offsets, between):
        raise AssertionError(f"nothing went back: {offsets}")

    sink = Sink(destination, NEVER, earliest, go_back)
    reading = acknowledged(journal)
    with journal.open("a") as log:  # noqa: ASYNC230
        for _ in range(ROUNDS):
            for partition, first in reading.items():
                offsets = np.arange(first, min(first + EACH, ROUNDS * EACH))
                if not len(offsets):
                    continue
                blank: list[bytes | None] = [b"" for _ in offsets]
                batch = RecordBatch(TP(route.topic, partition), offsets, offsets * 0, blank, blank)
                end = reading[partition] = int(offsets[-1]) + 1

                async def acknowledge(partition=partition, end=end):
                    steps.take("before an acknowledgement")
                    log.write(json.dumps({"partition": partition, "end": end}) + "\n")
                    log.flush()
                    steps.take("after an acknowledgement")

                await sink.put(route, batch, acknowledge)
            await sink.flush()
    await sink.close()


def main():
    for line in sys.stdin:
        if not (child := os.fork()):
            asyncio.run(work(msgspec.json.decode(line, type=Run)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, -signal.SIGKILL):
            sys.exit(code)
        print(flush=True)  # ends what the child has said


if __name__ == "__main__":
    main()
