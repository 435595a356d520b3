"""The tables of the certifier: blocks of minutes by symbol, and the progress of each symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import faust

from k2stream.batch import BatchTable
from k2stream.candles.codec import KeyProgress, dumps_progress, loads_progress
from k2stream.certificates import minute
from k2stream.tables.ohlcv import PartitionProgress

# Only closed segments are compacted: small ones keep the part that recovery reads short.
_CHANGELOG = {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}

BlockKey = tuple[str, int]
"""Symbol key, open time in ms."""


@dataclass(frozen=True, slots=True)
class CertificateTables:
    """The blocks, and the progress by key. Blocks stay encoded in memory: a fifth of the size."""

    blocks: BatchTable[BlockKey, bytes]
    progress: BatchTable[str, KeyProgress]

    def blocks_store(self, partition: int) -> PartitionBlocks:
        """The blocks of one partition."""
        return PartitionBlocks(self.blocks, partition)

    def progress_store(self, partition: int) -> PartitionProgress:
        """The progress store of one partition."""
        return PartitionProgress(self.progress, partition)


def declare(app: faust.App, partitions: int) -> CertificateTables:
    """Declare the tables; `partitions` is the partition count of the normalized topic.

    They name no source: a table that is behind gives certificates without a digest, and refuses nothing.
    """
    blocks: BatchTable[BlockKey, bytes] = BatchTable(
        app,
        name="certificate_blocks",
        help="Digests of the trades of each five minutes, and the certified revisions of their candles",
        partitions=partitions,
        dumps_value=bytes,
        loads_value=bytes,
        supersedes=_newer_block,
        extra_topic_configs=_CHANGELOG,
    )
    # Flushed only after the blocks are durable: see k2stream/certificates/partition.py.
    progress: BatchTable[str, KeyProgress] = BatchTable(
        app,
        name="certificate_progress",
        help="The last raw offset and the newest trade time taken, by key",
        partitions=partitions,
        dumps_value=dumps_progress,
        loads_value=loads_progress,
        supersedes=_newer_progress,
        flush_stage=1,
        extra_topic_configs=_CHANGELOG,
    )
    app.tables.add(blocks)
    app.tables.add(progress)
    return CertificateTables(blocks, progress)


def _newer_block(new: bytes, old: bytes) -> bool:
    return minute.loads(new).place >= minute.loads(old).place


def _newer_progress(new: KeyProgress, old: KeyProgress) -> bool:
    return new.raw_offset >= old.raw_offset


@dataclass(frozen=True, slots=True)
class PartitionBlocks:
    """The encoded blocks of one partition; open times in ms."""

    table: BatchTable[BlockKey, bytes]
    partition: int

    def get(self, key: str, open_time: int) -> bytes | None:
        """A block; None where there is none."""
        return self.table.get_from(self.partition, (key, open_time))

    def put(self, key: str, open_time: int, block: bytes) -> None:
        """Set a block."""
        self.table.put(self.partition, (key, open_time), block)

    def delete(self, key: str, open_time: int) -> None:
        """Delete a block, leaving a tombstone in the changelog."""
        self.table.delete(self.partition, (key, open_time))

    def blocks(self) -> Iterator[tuple[str, int]]:
        """The key and open time of all blocks."""
        for (key, open_time), _ in self.table.partition_items(self.partition):
            yield key, open_time
