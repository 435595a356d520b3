"""No bytes on a topic end a reader: they are read, or are a dead letter."""

import numpy as np
import pytest
from faust.types import TP
from hypothesis import example, given
from hypothesis import strategies as st

from k2stream import faults
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.layers import bronze, gold, silver

ROUTES = (silver.ROUTE, gold.ROUTES[0], *bronze.ROUTES)
HEADERS = st.sampled_from([b"", wire.header(7001), wire.header(7002)])
VALUES = st.builds(lambda head, body: head + body, HEADERS, st.binary(max_size=260)) | st.none()


@pytest.fixture(autouse=True, scope="module")
def schemas():
    registry.learn(7001, wire.declared("trade"))
    registry.learn(7002, wire.declared("candle"))


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(ROUTES))
@example([wire.header(7001) + b"\x80" * 200], silver.ROUTE)
def test_any_bytes_are_rows_or_letters(values, route):
    offsets = np.arange(len(values))
    batch = RecordBatch(TP(route.topic, 0), offsets, offsets, [b"k"] * len(values), list(values))
    rest, rows, causes = faults.read(batch, route.columns)
    assert len(rows) == len(rest) == len(values) - len(causes)
    rest, trades, letters = records.read(batch)
    assert len(trades) == len(rest) == len(values) - len(letters)


@given(st.binary(min_size=1, max_size=40), st.integers(5, 120))
def test_a_spoiled_candle_is_a_row_or_a_letter(noise, at):
    fields = wire.declared("candle")["fields"]
    plain = {"string": "a", "long": 1, "int": 0, "boolean": True}
    row = {one["name"]: plain.get(one["type"]) if isinstance(one["type"], str) else 60_000 for one in fields}
    row |= {one["name"]: b"\x05" for one in fields if "precision" in str(one["type"])}
    value = wire.write(row, "candle", 7002)
    spoiled = value[:at] + noise + value[at + len(noise) :]
    route = gold.ROUTES[0]
    batch = RecordBatch(TP(route.topic, 0), np.arange(1), np.arange(1), [b"k"], [spoiled])
    rest, rows, _ = faults.read(batch, route.columns)
    assert len(rows) == len(rest)
