"""A store that fails while trades are read says so, whatever its client raises."""

from datetime import date

import pytest

from k2stream.layers.schema import SILVER
from k2stream.model.errors import Unavailable
from k2stream.model.instrument import Instrument
from k2stream.read import lake
from k2stream.read.merge import checksum
from k2stream.settings import make

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
DAY = date(2026, 11, 29)


class Store:
    """One day without trades; `fails` is what its client raises when it is read."""

    def __init__(self, name, fails=None):
        self.name, self.fails = name, fails

    def days(self, instrument):
        return [DAY]

    def rows(self, instrument, start, end):
        if self.fails:
            raise self.fails
        return SILVER.empty_table()

    def checksum(self, instrument, start, end):
        return checksum(self.rows(instrument, start, end))


@pytest.mark.parametrize("failing", ["ClickHouse", "Iceberg"])
@pytest.mark.parametrize("error", [FileNotFoundError(2, "no such\nfile"), EOFError("no such file")])
def test_a_store_that_fails_on_the_way_is_named(monkeypatch, tmp_path, failing, error):
    for kind, name in (("HotTrades", "ClickHouse"), ("ColdTrades", "Iceberg")):
        store = Store(name, error if name == failing else None)
        monkeypatch.setattr(
            lake, kind, type(kind, (), {"name": name, "__new__": lambda *_, made=store: made})
        )
    pages = lake.Lake(make(data_dir=str(tmp_path)), clickhouse=True).trades(BTC, 0, None)
    with pytest.raises(Unavailable, match=f"^{failing} failed while it was read: .*no such file$"):
        list(pages)
