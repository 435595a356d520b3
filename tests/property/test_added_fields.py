"""Fields put at the end of trade.avsc: written and read as fastavro does, beside records that lack them."""

import copy
import io
from contextlib import contextmanager
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from k2stream.avro import added, registry, trades, uniform_trades, wire
from k2stream.batch import RecordBatch
from k2stream.clickhouse import evolve, native
from k2stream.columnar.rows import constant
from k2stream.layers import schema, silver
from k2stream.model import decimals
from k2stream.model.errors import ConfigError
from tests.property.test_trade_codec import NOW, SCHEMA_ID, batches, odd_word, records_of

NEW_ID = SCHEMA_ID + 1
FIELDS: list[dict[str, Any]] = [
    {"name": "lots", "type": "long", "default": 7},
    {"name": "venue", "type": ["null", "string"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}, "default": 0},
]
OLD = wire.declared("trade")
NEW = {**OLD, "fields": OLD["fields"] + FIELDS}
VALUES = {
    "lots": st.integers(-(2**60), 2**60),
    "venue": st.text(max_size=80),
    "tags": st.lists(st.text(max_size=3)),
}


def forget():
    for made in (wire.declared_plain, added.defaults, added.default_bytes, added.layouts):
        made.cache_clear()


@contextmanager
def declared(trade):
    """While trade.avsc is another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            wire, "declared", lambda name, before=wire.declared: trade if name == "trade" else before(name)
        )
        forget()
        for module in (schema, silver):
            patch.setattr(module, "SILVER", schema._avro("trade"))
        registry.learn(NEW_ID, trade)
        try:
            yield
        finally:
            patch.undo()
            forget()


def encode(columns, extra, schema_id):
    price, _ = decimals.parse(columns.price)
    quantity, _ = decimals.parse(columns.quantity)
    return trades.encode(columns, price, quantity, schema_id=schema_id, **extra)


@given(batches(text=st.one_of(st.just("BTC"), odd_word)), st.data())
def test_they_are_written_and_read_as_fastavro_does(batch, data):
    columns, extra = batch
    old = encode(columns, extra, SCHEMA_ID)
    count = len(columns)
    columns.added = {
        name: data.draw(st.lists(st.none() | values, min_size=count, max_size=count))
        for name, values in VALUES.items()
        if data.draw(st.booleans())
    }
    with declared(NEW):
        parsed = fastavro.parse_schema(copy.deepcopy(NEW))
        new = encode(columns, extra, NEW_ID)
        for row, (record, value) in enumerate(zip(records_of(columns, extra), new, strict=True)):
            given_ = {name: held[row] for name, held in columns.added.items() if held[row] is not None}
            out = io.BytesIO()
            fastavro.schemaless_writer(out, parsed, record | given_)
            assert value[5:] == out.getvalue()
        for values in (new, old, [*old, *new]):
            decoded = trades.decode(values)
            for name, default in added.defaults().items():
                held = columns.added.get(name, [None] * count)
                written = [default if value is None else value for value in held]
                wanted = {id(new): written, id(old): [default] * count}.get(id(values))
                assert list(decoded.added[name]) == (wanted or [default] * count + written)
            assert decoded.trade_id.tolist() == columns.trade_id * (len(values) // count)
            hot = trades.decode_hot(values, [b"k"] * len(values))
            assert hot.timestamp.tolist() == columns.timestamp * (len(values) // count)


def test_records_by_column_have_them_and_become_rows():
    text = constant(np.frombuffer(b"X1", np.uint8).reshape(-1, 1))
    number = decimals.parse(["1.5", "2"])[0]
    plain = uniform_trades.UniformTrades(
        exchange="binance",
        symbols=["S"],
        canonical=["A/B"],
        code=np.zeros(2, np.int64),
        trade_id=text,
        timestamp=np.full(2, NOW),
        receive_time=np.full(2, NOW),
        price=number,
        quantity=number,
        taker_buy=np.ones(2, np.bool_),
        sequence=np.arange(2),
        raw_offset=np.arange(2),
    )
    with declared(NEW):
        values: list[bytes | None] = [
            *uniform_trades.encode(plain, raw_partition=0, process_time=NOW, schema_id=NEW_ID)
        ]
        batch = RecordBatch(TP("t", 0), np.arange(2), np.arange(2), [b"k"] * 2, values)
        rows = silver.columns(batch)
        assert (
            rows.select([field["name"] for field in FIELDS]).to_pylist()
            == [{"lots": 7, "venue": None, "tags": [], "seen": pa.scalar(0, schema.UTC_MICROSECONDS).as_py()}]
            * 2
        )
        columns = evolve.columns()
        assert columns == {
            "lots": "Int64 DEFAULT 7",
            "venue": "Nullable(String)",
            "tags": "Array(String)",
            "seen": "DateTime64(6, 'UTC')",
        }
        for name, kind in columns.items():
            assert native.column(rows[name], kind.partition(" DEFAULT ")[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (OLD["fields"][1:], "put new fields at the end"),
        ([*OLD["fields"], {"name": "x", "type": "long"}], "x needs a default"),
    ],
)
def test_a_schema_that_would_not_be_read_is_refused(fields, words):
    with declared({**OLD, "fields": fields}), pytest.raises(ConfigError, match=words):
        added.defaults()
