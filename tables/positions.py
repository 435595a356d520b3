"""Positions tables: how far each symbol is normalized.

There is one table per exchange, partitioned like its raw topic.
"""

from __future__ import annotations

from operator import attrgetter

import faust
import msgspec

from k2stream import topics
from k2stream.batch import BatchTable
from k2stream.normalizer import SymbolPosition

# Only closed segments are compacted: small ones keep the part that recovery reads short.
_CHANGELOG = {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}


def declare(app: faust.App, exchange: str, partitions: int) -> BatchTable[str, SymbolPosition]:
    """Declare the table positions_<exchange>, keyed by native symbol.

    Faust assigns topics of equal partition count together, so a worker owns the same partitions of the raw
    topic and of this table.
    """
    table: BatchTable[str, SymbolPosition] = BatchTable(
        app,
        name=f"positions_{exchange}",
        help=f"Last raw offset and trade ids of each {exchange} symbol",
        partitions=partitions,
        loads_value=msgspec.json.Decoder(SymbolPosition).decode,
        supersedes=_newer,
        source=topics.raw(exchange),
        reach=attrgetter("raw_offset"),
        extra_topic_configs=_CHANGELOG,
    )
    app.tables.add(table)
    return table


def _newer(new: SymbolPosition, old: SymbolPosition) -> bool:
    return new.raw_offset >= old.raw_offset
