"""Recreates raw records from bronze rows, which have the exchange's fields and literal digits (pure)."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from k2stream import exchanges
from k2stream.exchanges import raw
from k2stream.layers.schema import BRONZE
from k2stream.model.trade import RawTrade

_OURS = {"receive_time", "connection", "sequence", "raw_partition", "raw_offset"}


def records(exchange: str, rows: pa.Table) -> list[bytes]:
    """The values of the raw records of bronze rows; they normalize to the same trades.

    Numbers may have become strings, and fields without a bronze column are missing: neither matters for that.
    """
    names = [name for name in BRONZE[exchange].names if name not in _OURS]
    natives = zip(*(rows[name].to_pylist() for name in names), strict=True)
    received = rows["receive_time"].cast(pa.int64()).to_pylist()
    ingest = zip(received, rows["connection"].to_pylist(), rows["sequence"].to_pylist(), strict=True)
    symbol = names.index(exchanges.get(exchange).native.symbol)
    made = []
    for values, (receive_time, connection, sequence) in zip(natives, ingest, strict=True):
        fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        trade = RawTrade(values[symbol], msgspec.json.encode(fields))
        made.append(
            raw.record(trade, receive_time, connection, sequence, backfilled=raw.FETCHED in connection)
        )
    return made
