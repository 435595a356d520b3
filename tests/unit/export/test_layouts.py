"""Exported files, read back by what each reader's documentation says of its layout."""

import csv
import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from k2stream.export.files import written
from k2stream.export.layout import Subject
from k2stream.export.run import LAYOUTS, export, target
from k2stream.history.timeframes import timeframe
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import SILVER
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.read.columns import CANDLES, HEALTH
from k2stream.read.source import RowPage
from tests.integration.sink_samples import trade
from tests.unit.history.test_tiers import candle
from tests.unit.read.test_merge import plain

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
CANDLE, TRADE = Subject(BTC, timeframe("1m")), Subject(BTC, None)
MINUTE = 60_000
PRICES = ("83285.123456789012345678", "0.00000002", "12345678901234567890.1")
MONEY = ("open", "high", "low", "close", "volume")


def minute(number, final=True):
    price = Decimal(PRICES[number % len(PRICES)])
    opened = number * MINUTE
    return candle(opened)._replace(**dict.fromkeys(MONEY, price), close_time=opened + MINUTE - 1, final=final)


def traded(number):
    moment = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(microseconds=1500 * number + 1)
    return trade(number, price=Decimal(PRICES[number % 2]), quantity=Decimal("0.123456789"), timestamp=moment)


def cost(number):
    return Context(prec=60).multiply(traded(number)["price"], traded(number)["quantity"])


class Source:
    """Five candles in pages of two, the last of which is open, and three trades in two pages."""

    where = "memory"
    simulated: bool | None = None
    held = {n * MINUTE: minute(n, final=n != 4) for n in range(5)}  # noqa: RUF012

    def instruments(self):
        raise NotImplementedError

    def page_size(self, timeframe):
        return 2

    def candles(self, instrument, timeframe, span, health):
        rows = candle_rows(span.cut(self.held))
        return RowPage(rows.append_column(HEALTH, pa.nulls(len(rows), pa.bool_())))

    def trades(self, instrument, start, end):
        for numbers in ([], [0, 1], [2]):
            rows = pa.Table.from_pylist([traded(n) for n in numbers], plain(SILVER)).cast(SILVER)
            yield RowPage(rows)


READ = {
    "parquet": pa.parquet.read_table,
    "feather": pa.feather.read_table,
    "csv": lambda file: pa.Table.from_pylist(list(csv.DictReader(file.open()))),
}


def made(folder, layout, form, subject):
    file = target(LAYOUTS[layout], form, subject, folder)
    outcome = export(Source(), subject, (0, None), LAYOUTS[layout], form, file)
    assert list(folder.iterdir()) == [file]
    return outcome, file


@pytest.mark.parametrize("form", ["parquet", "feather", "csv"])
def test_k2_has_every_digit(tmp_path, form):
    outcome, file = made(tmp_path, "k2", form, CANDLE)
    assert file.name == f"kraken-BTC-USD-1m.{form}"
    assert (outcome.rows, outcome.open, outcome.not_final) == (4, 1, 0)
    assert (outcome.first, outcome.last) == ("1970-01-01T00:00:00+00:00", "1970-01-01T00:03:00+00:00")
    rows = READ[form](file)
    assert rows.column_names == [*CANDLES.names, "final", "revision", "feed_healthy"]
    assert [Decimal(value) for value in rows["close"].to_pylist()] == [minute(n).close for n in range(4)]
    assert form == "csv" or rows["close"].type == pa.decimal128(38, 18)


@pytest.mark.parametrize("form", ["parquet", "feather", "csv"])
def test_k2_has_every_field_of_a_trade(tmp_path, form):
    outcome, file = made(tmp_path, "k2", form, TRADE)
    assert (outcome.rows, file.name) == (3, f"kraken-BTC-USD-trades.{form}")
    rows = READ[form](file)
    assert rows.column_names == SILVER.names
    assert [Decimal(value) for value in rows["price"].to_pylist()] == [traded(n)["price"] for n in range(3)]
    vendor = rows["vendor_data"].to_pylist()
    assert vendor == [[("side", "s")]] * 3 if form != "csv" else [json.loads(text) for text in vendor]


@pytest.mark.parametrize("form", ["feather", "parquet"])
def test_freqtrade_has_the_nearest_floats(tmp_path, form):
    """docs: "date" in ms UTC and five floats; trades with id, type, side, price, amount, cost."""
    _, file = made(tmp_path, "freqtrade", form, CANDLE)
    assert file.name == f"BTC_USD-1m.{form}"
    rows = READ[form](file)
    assert rows.schema == pa.schema({"date": pa.timestamp("ms", "UTC"), **dict.fromkeys(MONEY, pa.float64())})
    assert rows["date"].cast(pa.int64()).to_pylist() == [n * MINUTE for n in range(4)]
    assert rows["low"].to_pylist() == [float(minute(n).low) for n in range(4)]


def test_freqtrade_has_every_digit_in_json(tmp_path):
    _, file = made(tmp_path, "freqtrade", "json", CANDLE)
    assert json.loads(file.read_text(), parse_float=Decimal) == [
        [n * MINUTE, *[minute(n).open] * 5] for n in range(4)
    ]


def test_freqtrade_trades(tmp_path):
    _, file = made(tmp_path, "freqtrade", "json", TRADE)
    assert file.name == "BTC_USD-trades.json"
    start = 1_793_491_200_000
    assert json.loads(file.read_text(), parse_float=Decimal) == [
        [start + 3 * n // 2, f"KRAKEN-{n}", None, "sell", traded(n)["price"], Decimal("0.123456789"),
         cost(n)]
        for n in range(3)
    ]  # fmt: skip
    file.unlink()
    _, file = made(tmp_path, "freqtrade", "feather", TRADE)
    rows = READ["feather"](file)
    assert rows.column_names == ["timestamp", "id", "type", "side", "price", "amount", "cost"]
    assert rows["cost"].to_pylist() == [float(cost(n)) for n in range(3)]


def test_the_names_of_months_differ_from_those_of_minutes(tmp_path):
    month = Subject(BTC, timeframe("1M"))
    assert target(LAYOUTS["freqtrade"], "json", month, tmp_path).name == "BTC_USD-1Mo.json"
    assert (
        target(LAYOUTS["nautilus"], "csv", month, tmp_path).name == "BTCUSD.KRAKEN-1-MONTH-LAST-EXTERNAL.csv"
    )


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_nautilus_has_the_end_of_each_window(tmp_path, form):
    """docs: an index "timestamp", which is the close of a bar, and five columns."""
    _, file = made(tmp_path, "nautilus", form, CANDLE)
    assert file.name == f"BTCUSD.KRAKEN-1-MINUTE-LAST-EXTERNAL.{form}"
    rows = READ[form](file)
    assert rows.column_names == ["timestamp", *MONEY]
    times = rows["timestamp"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
    assert times == [(n + 1) * MINUTE * 1_000_000 for n in range(4)]
    as_money = float if form == "parquet" else Decimal
    assert [as_money(value) for value in rows["high"].to_pylist()] == [
        as_money(minute(n).high) for n in range(4)
    ]


def test_nautilus_trades(tmp_path):
    _, file = made(tmp_path, "nautilus", "csv", TRADE)
    rows = READ["csv"](file)
    assert rows.column_names == ["timestamp", "trade_id", "price", "quantity", "side"]
    assert rows["timestamp"].to_pylist()[1] == "2026-11-01 00:00:00.001501000Z"
    assert set(rows["side"].to_pylist()) == {"SELL"}


def test_a_file_appears_complete_or_not_at_all(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("before")
    rows = pa.table({"a": ["1"]})
    with pytest.raises(ZeroDivisionError), written(file, "csv", rows.schema) as write:
        write(rows)
        1 / 0  # noqa: B018
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    gone = written(tmp_path / "none" / "a.csv", "csv", rows.schema)
    with (
        pytest.raises(ConfigError, match="cannot be written: No such file or directory; choose another"),
        gone,
    ):
        pass


def test_what_an_export_that_was_killed_left_is_in_nobodys_way(tmp_path):
    file = tmp_path / "a.csv"
    left = tmp_path / f".a.csv.{os.getpid()}.tmp"  # in a container each process has the same number
    left.write_text("a part")
    rows = pa.table({"a": ["1"]})
    with written(file, "csv", rows.schema) as write:
        write(rows)
    assert file.read_text() == "a\n1\n"
    assert left.read_text() == "a part"  # it may be of a container beside this one


def test_open_candles_in_the_middle_stay_and_are_counted(tmp_path):
    class Late(Source):
        held = {n * MINUTE: minute(n, final=n in (0, 3)) for n in range(7)}  # noqa: RUF012

    file = tmp_path / "a.json"
    outcome = export(Late(), CANDLE, (0, None), LAYOUTS["freqtrade"], "json", file)
    assert (outcome.rows, outcome.not_final, outcome.open) == (4, 2, 3)


def test_a_wrong_name_or_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"freqtrade looks for BTC_USD-1m\.feather: name the file so"):
        target(LAYOUTS["freqtrade"], "feather", CANDLE, tmp_path / "mine.feather")
    with pytest.raises(ConfigError, match="layout nautilus has no format json: use one of parquet, csv"):
        target(LAYOUTS["nautilus"], "json", CANDLE, tmp_path)
