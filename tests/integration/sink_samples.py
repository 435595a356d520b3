"""Batches of rows for tests of destinations."""

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from k2stream.delivery.progress import Piece, SinkBatch, SourcePartition
from k2stream.delivery.route import DELIVERY, OFFSET, Route
from k2stream.layers import bronze, gold, silver
from k2stream.layers.schema import UTC_MICROSECONDS

SILVER, GOLD = silver.ROUTE, gold.ROUTES[0]
KRAKEN = bronze.ROUTES[1]
NOW = time.time_ns() // 1000
"""Rows are kept some days from their receipt."""


def piece(
    route: Route,
    records: Sequence[Mapping[str, Any]],
    first: int = 0,
    partition: int = 0,
    receipt: Any = None,
    marks: Mapping[str, int] | None = None,
) -> Piece:
    """One delivery of (route's column values) as dicts; offsets rise from `first`."""
    offsets = np.arange(first, first + len(records))
    schema = pa.schema([*route.schema, *DELIVERY])
    rows = pa.Table.from_pylist(
        [{**row, OFFSET: int(offset)} for row, offset in zip(records, offsets, strict=True)],
        pa.schema([field.with_type(_plain(field.type)) for field in schema]),
    ).cast(schema)
    where = SourcePartition(route.topic, partition)
    return Piece(where, first, first + len(records) - 1, marks or {}, rows, len(records), receipt)


def batch(*pieces: Piece) -> SinkBatch:
    return SinkBatch(tuple(pieces))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def trade(offset: int, **fields: Any) -> dict[str, Any]:
    stamps = dict.fromkeys(("timestamp", "receive_time", "process_time"), NOW + offset)
    return {
        **{name: pa.scalar(value, UTC_MICROSECONDS).as_py() for name, value in stamps.items()},
        "price": Decimal("83285.1"),
        "quantity": Decimal("2E-8"),
        "side": "SELL",
        "raw_offset": offset,
        "sequence": offset,
        "raw_partition": 0,
        "trade_count": 1,
        "exchange": "kraken",
        "symbol": "XBT/USD",
        "canonical_symbol": "BTC/USD",
        "trade_id": f"KRAKEN-{offset}",
        "vendor_data": [("side", "s")],
        "trade_conditions": [],
        "validation_errors": [],
        **fields,
    }


def native(offset: int, **fields: Any) -> dict[str, Any]:
    return {
        "pair": "XBT/USD",
        "price": "83285.10000",
        "volume": "0.00001000",
        "time": "1700000000.123456",
        "side": "b",
        "orderType": "l",
        "misc": "",
        "connection": "c1",
        "sequence": offset,
        "receive_time": pa.scalar(NOW, UTC_MICROSECONDS).as_py(),
        "raw_partition": 0,
        "raw_offset": offset,
        **fields,
    }


def candle(minute: int, revision: int, **fields: Any) -> dict[str, Any]:
    money = GOLD.schema.names[6:15]
    opened = pa.scalar(minute * 60_000, pa.timestamp("ms", tz="UTC")).as_py()
    traded = pa.scalar(NOW, UTC_MICROSECONDS).as_py()
    return {
        "exchange": "kraken",
        "symbol": "XBT/USD",
        "canonical_symbol": "BTC/USD",
        "timeframe": "1m",
        "open_time": opened,
        "close_time": opened,
        **dict.fromkeys(money, Decimal("1.5")),
        "trade_count": revision,
        "first_trade_time": traded,
        "last_trade_time": traded,
        "revision": revision,
        "final": False,
        "raw_partition": 0,
        "raw_offset": revision,
        **fields,
    }
