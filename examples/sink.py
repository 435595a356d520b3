"""Writes a topic to SQLite, each record once: rows and position change in one transaction.

After a crash the records since the last commit to Kafka come again; the position beside the rows says which.
"""

import os
import sqlite3

import numpy as np

from k2stream.batch import BatchApp, BatchSchema, batch_app_options

app = BatchApp("sink", **batch_app_options("localhost:9092"))
events = app.topic("events", schema=BatchSchema())
database = sqlite3.connect(os.environ.get("SINK_FILE", "events.sqlite"))
database.execute("CREATE TABLE IF NOT EXISTS events (part INT, place INT, key BLOB, value BLOB)")
database.execute("CREATE TABLE IF NOT EXISTS positions (part INT PRIMARY KEY, next INT)")


@app.agent(events)
async def write(stream):
    async for batch in stream:
        with database:  # a transaction
            partition = batch.tp.partition
            held = database.execute("SELECT next FROM positions WHERE part = ?", [partition]).fetchone()
            first = int(np.searchsorted(batch.offsets, held[0])) if held else 0
            offsets = batch.offsets[first:].tolist()
            rows = zip(
                [partition] * len(offsets), offsets, batch.keys[first:], batch.values[first:], strict=True
            )
            database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            database.execute("REPLACE INTO positions VALUES (?, ?)", [partition, batch.last_offset + 1])


if __name__ == "__main__":
    app.main()
