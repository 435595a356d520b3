"""Raw records of one partition to canonical records, dead letters, feed events and new positions. Pure.

Records at or below their symbol's position are a replay whose outputs are durable already, and are skipped.
Any cutting of the same records into batches gives the same canonical records, but for their process time.
"""

from __future__ import annotations

from collections.abc import Callable

from k2stream.avro.limits import longest
from k2stream.batch import RecordBatch
from k2stream.columnar.layout import NotColumnar
from k2stream.exchanges.spec import Exchange
from k2stream.normalizer import records, uniform
from k2stream.normalizer.records import AHEAD
from k2stream.normalizer.result import Normalised, SymbolPosition
from k2stream.topics import MAX_RAW_BYTES

UNIFORM_FROM = 200
"""Records from which on a batch is worth trying by column: it costs about 0.5 ms, then 1 µs a record."""


def normalise(
    exchange: Exchange,
    batch: RecordBatch,
    position_of: Callable[[str], SymbolPosition | None],
    canonical: Callable[[str], str],
    *,
    schema_id: int,
    process_time: int,
) -> Normalised:
    """Normalise a batch of the exchange's raw topic.

    `position_of` gives the position of a native symbol, None for a new one; `canonical` its BASE/QUOTE;
    `process_time` is in µs since 1970.
    """
    options = {"schema_id": schema_id, "process_time": process_time}
    large = longest(batch.values) > MAX_RAW_BYTES
    if len(batch) >= UNIFORM_FROM and exchange.layout is not None and not large:
        try:
            return uniform.normalise(exchange, exchange.layout, batch, position_of, canonical, **options)
        except NotColumnar:
            pass  # record by record
    return records.normalise(exchange, batch, position_of, canonical, **options)


__all__ = ["AHEAD", "Normalised", "SymbolPosition", "normalise"]
