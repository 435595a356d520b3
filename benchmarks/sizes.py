"""How many bytes a trade takes in each layer: records in Kafka's batches, rows in Parquet files.

`python -m benchmarks.sizes`: docs/capacity.md has what it printed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from benchmarks.load import Batch, Load, canonical_batches, raw_batches
from k2stream.avro import registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.layers import bronze, silver

LOAD = Load(records=200_000, partitions=1)
SCHEMA = 1  # of no registry: ids are equally long
ROWS_OF_A_FILE = 100_000
"""K2_COLD_COMMIT_ROWS: what one commit of a cold worker writes."""


def kafka_bytes(batches: list[Batch], compression: int) -> float:
    """Bytes per record of the topic's log."""
    total = records = 0
    for batch in batches:
        builder = DefaultRecordBatchBuilder(
            magic=2, compression_type=compression, is_transactional=0,
            producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1_000_000,
        )  # fmt: skip
        for offset, (key, value, time) in enumerate(
            zip(batch.keys, batch.values, batch.timestamps, strict=True)
        ):
            builder.append(offset, time, key, value, [])
        total += len(builder.build())
        records += len(batch.values)
    return total / records


def parquet_bytes(rows: pa.Table) -> float:
    """Bytes per row of files as large as a commit, compressed as pyiceberg does by default."""
    total = 0
    for start in range(0, rows.num_rows, ROWS_OF_A_FILE):
        file = io.BytesIO()
        pq.write_table(rows.slice(start, ROWS_OF_A_FILE), file, compression="zstd", compression_level=3)
        total += file.tell()
    return total / rows.num_rows


def read(topic: str, batches: list[Batch]) -> Iterator[RecordBatch]:
    """The batches as a sink is given them."""
    offset = 0
    for batch in batches:
        count = len(batch.values)
        offsets, times = np.arange(offset, offset + count), np.array(batch.timestamps)
        yield RecordBatch(TP(topic, batch.partition), offsets, times, list(batch.keys), list(batch.values))
        offset += count


def main() -> None:
    """Print the figures."""
    registry.learn(SCHEMA, wire.declared("trade"))
    raw, canonical = list(raw_batches(LOAD)), list(canonical_batches(LOAD, SCHEMA))
    for name, batches in (("raw", raw), ("canonical", canonical)):
        plain, lz4 = kafka_bytes(batches, 0), kafka_bytes(batches, 3)
        print(f"{name} record: {plain:.0f} bytes in Kafka, {lz4:.0f} with lz4")
    sources = {"bronze": (bronze.ROUTES[0], raw), "silver": (silver.ROUTE, canonical)}
    rows = {
        name: [route.columns(batch) for batch in read(name, made)] for name, (route, made) in sources.items()
    }
    for name, pieces in rows.items():
        print(f"{name} row: {parquet_bytes(pa.concat_tables(pieces)):.0f} bytes in Parquet")


if __name__ == "__main__":
    main()
