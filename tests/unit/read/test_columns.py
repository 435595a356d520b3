"""Columns of readers: no digit changes, and what is said of a candle's wholeness."""

from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.timeframes import timeframe
from k2stream.layers.candle_rows import candle_rows
from k2stream.model.errors import ConfigError
from k2stream.read.columns import HEALTH, candle_columns, floats, texts, with_decimals
from tests.unit.history.test_tiers import candle

MINUTE = 60_000
mantissas = st.one_of(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(-(10**20), 10**20))


def decimal(mantissa):
    return Decimal(mantissa).scaleb(-18, Context(prec=60))


def array(values):
    return pa.array(map(decimal, values), pa.decimal128(38, 18))


@given(st.lists(mantissas, max_size=30))
def test_floats_are_the_nearest(values):
    assert floats(array(values)).to_pylist() == [float(decimal(value)) for value in values]


@given(st.lists(mantissas, max_size=30))
def test_texts_have_all_digits_and_no_exponent(values):
    found = texts(array(values)).to_pylist()
    assert [Decimal(text) for text in found] == [decimal(value) for value in values]
    assert not any("E" in text or ("." in text and text.endswith("0")) for text in found)


@given(st.lists(mantissas, min_size=1, max_size=20))
def test_candles_keep_their_digits(values):
    candles = [candle(n * MINUTE)._replace(open=decimal(value)) for n, value in enumerate(values)]
    rows = candle_rows(candles)
    assert rows["open"].to_pylist() == [held.open for held in candles]
    assert rows["open_time"].cast(pa.int64()).to_pylist() == [held.open_time for held in candles]
    assert rows["last_trade_time"].cast(pa.int64()).to_pylist() == [held.last_trade_time for held in candles]


def test_every_decimal_column_changes_its_form_and_no_other_does():
    rows = candle_rows([candle(0), candle(MINUTE)])
    for form, kind in (("exact", pa.decimal128(38, 18)), ("float", pa.float64()), ("string", pa.string())):
        found = with_decimals(rows, form).schema
        changed = {field.name for field, before in zip(found, rows.schema, strict=True) if field != before}
        decimals = {field.name for field in rows.schema if pa.types.is_decimal(field.type)}
        assert changed == (set() if form == "exact" else decimals)
        assert {found.field(name).type for name in decimals} == {kind}
    assert with_decimals(rows.slice(0, 0), "string").schema.field("open").type == pa.string()
    with pytest.raises(ConfigError, match="decimals='double' must be one of exact, float, string"):
        with_decimals(rows, "double")


def test_quality_counts_the_empty_windows_before_a_candle():
    opened = [0, 1, 5, 6]
    candles = [candle(n * MINUTE)._replace(close_time=(n + 1) * MINUTE - 1) for n in opened]
    rows = candle_rows(candles).append_column(HEALTH, pa.array([True, None, False, True]))
    found = candle_columns(rows, timeframe("1m"), quality=True)
    assert found["empty_before"].to_pylist() == [None, 0, 3, 0]
    assert found["feed_healthy"].to_pylist() == [True, None, False, True]
    assert candle_columns(rows.slice(0, 0), timeframe("1m"), quality=True)["empty_before"].to_pylist() == []
    assert "final" not in candle_columns(rows, timeframe("1m"), quality=False).column_names
