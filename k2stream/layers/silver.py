"""Silver: canonical trades with every field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from k2stream.avro import trades
from k2stream.avro.added import LAID_OUT
from k2stream.avro.limits import check_exchanges, check_fixed16, check_sizes, check_times
from k2stream.batch import RecordBatch
from k2stream.columnar.strings import strings
from k2stream.delivery.route import Marks, Route, delivered
from k2stream.layers import table
from k2stream.layers.schema import SILVER, WORD
from k2stream.tracing import Traced

_DERIVED = {"side", "vendor_data"}


def columns(batch: RecordBatch) -> pa.Table:
    """Convert canonical records to rows. Raises ValueError, or LookupError for an unknown schema."""
    check_sizes(batch.values, batch.keys, 0)
    decoded = trades.decode(batch.values)
    check_times([decoded.timestamp, decoded.receive_time, decoded.process_time])
    check_fixed16([decoded.price, decoded.quantity])
    check_exchanges(decoded.exchange.offsets)
    own = [name for name in LAID_OUT if name not in _DERIVED]
    made = {name: _column(getattr(decoded, name), name) for name in own}
    made |= {name: pa.array(values, SILVER.field(name).type) for name, values in decoded.added.items()}
    sides = pa.array((~decoded.taker_buy).astype(np.int32))
    made["side"] = pa.DictionaryArray.from_arrays(sides, pa.array(["BUY", "SELL"]))
    made["vendor_data"] = pa.MapArray.from_arrays(
        pa.array(decoded.vendor_offsets.astype(np.int32)),
        strings(decoded.vendor_keys),
        strings(decoded.vendor_values),
    )
    return delivered(batch, made, SILVER)


def traced(rows: pa.Table) -> Traced:
    """The trades of the rows, for traces."""
    named = pc.binary_join_element_wise(
        rows["exchange"].cast(pa.string()), rows["canonical_symbol"].cast(pa.string()), ":"
    )
    keys = named.combine_chunks().dictionary_encode()
    return Traced(
        keys.dictionary.to_pylist(),
        keys.indices.to_numpy().astype(np.int64),
        rows["raw_partition"].to_numpy().astype(np.int64),
        rows["raw_offset"].to_numpy(),
    )


def _column(values: Any, name: str) -> pa.Array:
    kind = SILVER.field(name).type
    if pa.types.is_decimal(kind):
        return _decimals(values)
    if kind == WORD:
        return strings(values).dictionary_encode()
    if pa.types.is_string(kind):
        return strings(values)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(values.offsets.astype(np.int32)), strings(values.texts))
    if pa.types.is_timestamp(kind):
        return pa.array(values).view(kind)
    return pa.array(values).cast(kind)


def _decimals(fixed: NDArray[np.uint8]) -> pa.Array:
    """Big-endian rows of 16 bytes, reversed, are Arrow's decimals."""
    return pa.Array.from_buffers(
        SILVER.field("price").type, len(fixed), [None, pa.py_buffer(np.ascontiguousarray(fixed[:, ::-1]))]
    )


def fresh(rows: pa.Table, high_water_marks: Marks) -> tuple[pa.Table, Marks]:
    """Drop rows that a replay, or a normalizer that does not know it was replaced, wrote again.

    Each writer processes an (exchange, raw partition) in order, from a point at or before the mark: a row
    that is not above the highest raw offset so far was written before.
    """
    exchanges = rows["exchange"].combine_chunks()
    partitions = rows["raw_partition"].to_numpy()
    offsets = rows["raw_offset"].to_numpy()
    words = exchanges.dictionary.to_pylist()
    codes = exchanges.indices.to_numpy().astype(np.int64) << 32 | partitions
    keep = np.ones(len(rows), np.bool_)
    after = dict(high_water_marks)
    for code in np.unique(codes):
        key = f"{words[code >> 32]}:{code & 0xFFFFFFFF}"
        at = np.flatnonzero(codes == code)
        highest = np.maximum.accumulate(offsets[at])
        before = np.concatenate(
            ([high_water_marks.get(key, -1)], np.maximum(highest[:-1], high_water_marks.get(key, -1)))
        )
        keep[at] = offsets[at] > before
        after[key] = max(high_water_marks.get(key, -1), int(highest[-1]))
    return (rows if keep.all() else rows.filter(pa.array(keep))), after


ROUTE = Route(
    table.SILVER.topic, table.SILVER.hot, SILVER, columns, fresh=fresh, latency="silver", traced=traced
)
