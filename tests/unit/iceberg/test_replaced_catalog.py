"""A catalog file that is replaced under a process that reads candles from it."""

import shutil
from datetime import UTC, datetime

import pyarrow as pa

from k2stream.iceberg import tables
from k2stream.iceberg.candles import ColdTier
from k2stream.iceberg.catalog import open_catalog
from k2stream.model.instrument import Instrument
from k2stream.settings import IcebergSettings

DAILY = tables.TABLES["cold.gold_ohlcv_1d"]
BITCOIN = Instrument("kraken", "XBT/USD", "BTC/USD")


def write(settings, month):
    """A candle of the first day of a month of 2026."""
    table = tables.ensure(open_catalog(settings), DAILY)
    row = {"open_time": datetime(2026, month, 1, tzinfo=UTC), "exchange": "kraken", "revision": 1}
    table.append(pa.Table.from_pylist([row | {"canonical_symbol": "BTC/USD"}], table.schema().as_arrow()))


def newest(tier):
    found = tier.latest(BITCOIN, "1d")
    return found and datetime.fromtimestamp(found / 1000, UTC).month


def test_candles_are_those_of_the_catalog_that_is_there(tmp_path):
    """Until it was started again, a worker answered from the file that was gone, or failed."""
    settings, folder = IcebergSettings(data_dir=str(tmp_path)), tmp_path / "iceberg"
    write(settings, 1)
    shutil.copy(folder / "catalog.db", tmp_path / "backup.db")
    write(settings, 2)
    tier = ColdTier(settings)
    assert newest(tier) == 2
    (tmp_path / "backup.db").replace(folder / "catalog.db")
    assert newest(tier) == 1
    write(settings, 3)
    assert newest(tier) == 3
    shutil.rmtree(folder)
    assert newest(tier) is None
    write(settings, 4)
    assert newest(tier) == 4
