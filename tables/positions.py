"""How far each symbol was normalised: a table an exchange, with the partitions of its raw topic."""

from __future__ import annotations

from operator import attrgetter

import faust
import msgspec

from k2stream import topics
from k2stream.batch import BatchTable
from k2stream.normalizer import SymbolPosition

# Small segments: what recovery reads is mostly compacted.
_CHANGELOG = {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}


def declare(app: faust.App, exchange: str, partitions: int) -> BatchTable[str, SymbolPosition]:
    """The table positions_<exchange>, by native symbol.

    Faust assigns topics of one partition count together, so its partitions go where the raw ones go.
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
