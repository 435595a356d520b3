"""Comparisons of final candles with the exchanges' own klines, as rows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from k2stream import topics
from k2stream.avro.limits import check_times
from k2stream.batch import RecordBatch
from k2stream.delivery.route import Route, delivered
from k2stream.layers.schema import KLINE_CHECKS, WORD
from k2stream.model.kline_checks import KlineCheck

TABLE = "kline_checks"

_CHECK = msgspec.json.Decoder(KlineCheck)


def columns(batch: RecordBatch) -> pa.Table:
    """Convert records to rows. Raises ValueError for a record that is no KlineCheck."""
    checks = [_CHECK.decode(value or b"") for value in batch.values]
    check_times([np.array([check.open_time for check in checks], np.int64)], 1000)
    check_times([np.array([check.checked_time for check in checks], np.int64)])
    fields = KLINE_CHECKS.names
    found = {name: _column([getattr(check, name) for check in checks], name) for name in fields}
    return delivered(batch, found, KLINE_CHECKS)


def _column(values: list[Any], name: str) -> pa.Array:
    kind = KLINE_CHECKS.field(name).type
    if kind == WORD:
        return pa.array(map(str, values), pa.string()).dictionary_encode()
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


ROUTE = Route(topics.KLINE_CHECKS, TABLE, KLINE_CHECKS, columns)
