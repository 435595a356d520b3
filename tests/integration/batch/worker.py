"""The worker under test: `python worker.py ROLE`, settings in the environment, JSON lines on stdout."""

import asyncio
import json
import os
import sys
from typing import Any

import numpy as np

from k2stream.batch import BatchApp, BatchSchema, BatchTable, batch_app_options
from k2stream.batch import _guard as guard
from k2stream.batch import _guarded as guarded
from k2stream.batch import _topic_ids as topic_ids
from k2stream.worker import Worker

ENV = os.environ
PARTITIONS = int(ENV.get("PARTITIONS", "4"))
SOURCE, OUT = ENV["SOURCE"], ENV.get("OUT", "")
PAUSE = float(ENV.get("PAUSE", "0"))
patched: Any = (guard, guarded)
for module in patched:
    module.SETTLE_SECONDS = 2.0  # of one broker on this machine


async def no_ids(client, topics):
    """As of a broker that has none."""
    return "", {}


if ENV.get("TOPIC_IDS") == "off":
    topic_ids.ids = no_ids

app = BatchApp(
    ENV["APP_ID"],
    Worker=Worker,
    **batch_app_options(
        ENV["BOOTSTRAP"],
        datadir=ENV["DATADIR"],
        web_enabled="WEB_PORT" in ENV,
        web_host="127.0.0.1",
        web_bind="127.0.0.1",
        web_port=int(ENV.get("WEB_PORT", "6066")),
        worker_redirect_stdouts=False,
        broker_commit_interval=float(ENV.get("COMMIT", "0.3")),
        broker_max_poll_records=50,
        consumer_max_fetch_size=int(ENV.get("FETCH", "65536")),
        consumer_group_instance_id=ENV.get("INSTANCE"),
        table_standby_replicas=int(ENV.get("STANDBYS", "0")),
    ),
)
app.gather_seconds = (float(ENV.get("GATHER", "0")),) * 2
wanted = {"empty": True} if "EMPTY" in ENV else {}
schema = BatchSchema(max_unacked=int(ENV.get("MAX_UNACKED", "200000")), **wanted)
source = app.topic(SOURCE, schema=schema)


def report(**facts):
    print(json.dumps(facts), flush=True)


def state_table():
    return app.tables.add(BatchTable(app, name="state", partitions=PARTITIONS, source=SOURCE))


def forward():
    """Copy records to OUT; the table holds [records, last offset] of each partition and drops replays."""
    table = state_table()

    @table.on_recover
    async def recovered():
        held = {p: dict(table.partition_items(p)) for p in table.active_partitions}
        report(recovered=sum(map(len, held.values())), partitions=sorted(held))

    @app.agent(source)
    async def copy(stream):
        async for batch in stream:
            partition = batch.tp.partition
            count, last = table.get_from(partition, "position", [0, -1])
            start = int(batch.offsets.searchsorted(last, side="right"))
            if start < len(batch):
                await app.producer.send_columns(
                    OUT, partition, batch.keys[start:], batch.values[start:], batch.timestamps[start:]
                )
                table.put(partition, "position", [count + len(batch) - start, batch.last_offset])
            report(batch=len(batch), replayed=start)
            if PAUSE:
                await asyncio.sleep(PAUSE)


def serve():
    """Keep the newest value of each key, and serve the table."""
    table = state_table()
    app.web.tables()

    @app.agent(source)
    async def keep(stream):
        async for batch in stream:
            newest = zip(batch.keys, batch.values, strict=True)
            table.put_many(batch.tp.partition, {key.decode(): int(value) for key, value in newest})
            report(batch=len(batch))


def slow():
    """Hold every batch for PAUSE seconds."""

    @app.agent(source)
    async def hold(stream):
        async for batch in stream:
            ledgers = app.consumer._ledgers.values()
            unacked = sum(ledger.unacked() for ledger in ledgers)
            report(batch=len(batch), unacked=unacked, generation=app.consumer_generation_id)
            await asyncio.sleep(PAUSE)


def failing():
    """Raise in the batch that holds offset FAIL_AT, after an await, as a real failure would."""

    @app.agent(source)
    async def fail(stream):
        async for batch in stream:
            report(first=batch.first_offset, last=batch.last_offset)
            await asyncio.sleep(PAUSE)
            if np.any(batch.offsets == int(ENV["FAIL_AT"])):
                raise RuntimeError("failed on purpose")


def sink():
    """Acknowledge by hand, HOLD batches at a time, newest first."""

    @app.agent(source)
    async def insert(stream):
        manual = stream.noack()
        held = []
        async for event in manual.events():
            held.append(event)
            if len(held) == int(ENV["HOLD"]):
                report(acked=[[event.value.tp.partition, event.value.last_offset + 1] for event in held])
                for event in reversed(held):
                    await manual.ack(event)
                held.clear()


def recover():
    """Report what the changelog gave."""
    table = state_table()

    @table.on_recover
    async def recovered():
        total = sum(value for p in table.active_partitions for _, value in table.partition_items(p))
        report(keys=len(table), total=total)

    @app.agent(source)
    async def ignore(stream):
        async for _ in stream:
            pass


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    app.Worker(loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
