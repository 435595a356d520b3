"""The candle codec against fastavro with the logical types."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.avro import candles, registry, wire
from k2stream.model.candle import Candle

SCHEMA_ID = 1005  # no registry of the other tests gets so far
registry.learn(SCHEMA_ID, wire.declared("candle"))
PARSED = fastavro.parse_schema(wire.declared("candle"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDE = Context(prec=60)

amount = st.integers(0, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-18, WIDE))
integer = st.integers(0, 2**50)
candle = st.builds(
    Candle,
    *[st.text(max_size=8)] * 4,
    *[integer.map(lambda ms: ms // 1000)] * 2,
    *[amount] * 9,
    *[integer] * 4,
    st.booleans(),
    st.integers(0, 2**31 - 1),
    integer,
)


def unscaled(value):
    return int(value.scaleb(18, WIDE)) if isinstance(value, Decimal) else value


@settings(deadline=None)
@given(st.lists(candle, max_size=4))
def test_candles_both_ways(items):
    values = [candles.encode(map(unscaled, item), SCHEMA_ID) for item in items]
    assert candles.decode(values) == items
    for value, item in zip(values, items, strict=True):
        out = io.BytesIO(b"")
        out.write(b"\0" + SCHEMA_ID.to_bytes(4, "big"))
        times = {
            name: EPOCH + timedelta(milliseconds=getattr(item, name)) for name in ("open_time", "close_time")
        }
        for name in ("first_trade_time", "last_trade_time"):
            times[name] = EPOCH + timedelta(microseconds=getattr(item, name))
        fastavro.schemaless_writer(out, PARSED, item._asdict() | times)
        assert value == out.getvalue()


def test_what_is_no_candle_is_told():
    with pytest.raises(ValueError, match="not a candle record"):
        candles.decode([wire.header(SCHEMA_ID) + b"\x02"])
    with pytest.raises(ValueError, match="Confluent wire format"):
        candles.decode([None])
