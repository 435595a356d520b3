"""The backtesters themselves, as they are on PyPI, read what `k2 export` wrote for them."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from k2stream import settings
from k2stream.export.layout import Subject
from k2stream.export.run import LAYOUTS, export, target
from k2stream.history.timeframes import timeframe
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import SILVER
from k2stream.model.instrument import Instrument
from k2stream.read.columns import HEALTH
from k2stream.read.source import RowPage
from tests.integration.sink_samples import trade
from tests.unit.history.test_tiers import candle
from tests.unit.read.test_merge import plain

pytestmark = [pytest.mark.integration, pytest.mark.fault]  # hundreds of megabytes to download

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "backtesters"
BTC = Instrument("binance", "BTCUSDT", "BTC/USDT")
MINUTE = 60_000
START = 1_793_491_200_000
MONEY = ("open", "high", "low", "close", "volume")


def price(number):
    return Decimal("83285.01") + number


def minute(number):
    opened = START + number * MINUTE
    money = {name: price(number) for name in MONEY[:-1]} | {"volume": Decimal("0.123456")}
    return candle(opened)._replace(close_time=opened + MINUTE - 1, **money)


def traded(number):
    moment = pa.scalar((START + number) * 1000 + 123, pa.timestamp("us", "UTC")).as_py()
    return trade(number, timestamp=moment, price=price(number), quantity=Decimal("0.000001"), side="BUY")


class Samples:
    """Three candles and three trades."""

    where = "memory"
    simulated: bool | None = None

    def instruments(self):
        raise NotImplementedError

    def page_size(self, timeframe):
        return 100

    def candles(self, instrument, timeframe, span, health):
        rows = candle_rows([minute(n) for n in range(3)])
        return RowPage(rows.append_column(HEALTH, pa.nulls(3, pa.bool_())))

    def trades(self, instrument, start, end):
        yield RowPage(pa.Table.from_pylist([traded(n) for n in range(3)], plain(SILVER)).cast(SILVER))


@pytest.fixture(scope="module")
def environment():
    """Returns the Python of an environment of its own with a group of pyproject.toml, kept in the cache."""

    def made(group):
        folder = Path(settings.load().local.cache_dir).expanduser() / "tests" / group
        uv = Path(sys.executable).with_name("uv")
        for command in (
            ["venv", "--quiet", "--allow-existing", "--python", sys.executable, folder],
            [
                "pip",
                "install",
                "--quiet",
                "--python",
                folder,
                "--group",
                f"{ROOT / 'pyproject.toml'}:{group}",
            ],
        ):
            subprocess.run([uv, *command], check=True)
        return folder / "bin" / "python"

    return made


def read(python, script, *arguments):
    command = [python, SCRIPTS / script, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def exported(layout, form, folder):
    files = []
    for subject in (Subject(BTC, timeframe("1m")), Subject(BTC, None)):
        files.append(target(LAYOUTS[layout], form, subject, folder))
        export(Samples(), subject, (0, None), LAYOUTS[layout], form, files[-1])
    return files


def test_freqtrade_loads_candles_and_trades(environment, tmp_path):
    python = environment("freqtrade")
    for form in LAYOUTS["freqtrade"].formats:
        folder = tmp_path / form
        folder.mkdir()
        exported("freqtrade", form, folder)
        found = read(python, "freqtrade_reads.py", folder, form, "BTC/USDT", "1m")
        assert found["columns"] == ["date", *MONEY]
        assert found["candles"] == [
            [START + n * MINUTE, *[float(price(n))] * 4, 0.123456] for n in range(3)
        ], form
        assert found["trades"] == [
            [START + n, f"KRAKEN-{n}", "buy", float(price(n)), 1e-6, float(price(n) * Decimal("0.000001"))]
            for n in range(3)
        ], form
        assert found["timeframes"] == [["BTC/USDT", "1m"]]


def test_nautilus_makes_bars_and_ticks(environment, tmp_path):
    python = environment("nautilus")
    for form in LAYOUTS["nautilus"].formats:
        found = read(python, "nautilus_reads.py", *exported("nautilus", form, tmp_path), form)
        assert found["bars"] == [
            [(START + (n + 1) * MINUTE) * 10**6, *[str(price(n))] * 4, "0.123456"] for n in range(3)
        ], form
        assert found["ticks"] == [
            [(START + n) * 10**6 + 123_000, str(price(n)), "0.000001", "BUYER", f"KRAKEN-{n}"]
            for n in range(3)
        ], form
