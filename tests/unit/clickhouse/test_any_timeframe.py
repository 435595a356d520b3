"""`ohlcv_in_view` gives what the fold in Python gives, for every timeframe, zone and change of clocks."""

import random
from decimal import Decimal

import msgspec
import pytest
from chdb.session import Session

from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.history.fold import fold, weighted
from k2stream.history.timeframes import timeframe
from k2stream.model.candle import TIMEFRAMES, Candle

MINUTE, DAY = 60_000, 86_400_000
STARTS = (1_735_516_800_000, 1_741_392_000_000, 1_761_350_400_000)
"""2024-12-30, 2025-03-08 and 2025-10-25 UTC: a year ends, clocks change in New York and London."""

LONG_AGO_MS = 4_000_000_000_000
"""As `now`: every window is over."""

ASKED = [
    *[(name, "UTC") for name in ("1m", "3m", "7m", "15m", "4h", "5h", "1d", "3d", "1w", "2w", "1M", "5M")],
    *[(name, "Asia/Tokyo") for name in ("1d", "6h", "1w", "1M")],
    *[(name, "America/New_York") for name in ("1d", "4h", "12h", "20m", "1w", "1M", "2d")],
    *[(name, "Europe/London") for name in ("1d", "3h", "1w")],
    *[(name, "Asia/Kathmandu") for name in ("1d", "1h")],  # 5:45 before UTC
]


def minutes():
    """Candles of some of the minutes."""
    rng = random.Random(14)
    for start in STARTS:
        for opened in range(start, start + 4 * DAY, MINUTE):
            if rng.random() < 0.04:
                yield candle(rng, opened)


def candle(rng, opened):
    price = Decimal(rng.randrange(1, 10**24)).scaleb(-18)
    volume = Decimal(rng.randrange(1, 10**20)).scaleb(-18)
    first = opened * 1000 + rng.randrange(30_000_000)
    offset = opened // MINUTE
    quote, bought, paid = (Decimal(rng.randrange(10**22)).scaleb(-18) for _ in range(3))
    return Candle(
        *("binance", "BTCUSDT", "BTC/USDT", "1m", opened, opened + MINUTE - 1),
        *(price, price + 2, price - Decimal("1e-18"), price + 1, volume, quote, bought, paid),
        *(weighted(quote, volume, price), rng.randrange(1, 9), first, first + 1_000_000),
        *(offset % 1000 + 2, rng.random() < 0.9, 0, offset),
    )


@pytest.fixture(scope="module")
def stored():
    """Candles of one minute; those of all stored timeframes, folded from them, are in ClickHouse."""
    made = list(minutes())
    session = Session()
    session.query("CREATE DATABASE folded")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), "folded"):
            session.query(statement)
    for name in TIMEFRAMES:
        rows = made if name == "1m" else fold(made, timeframe(name), LONG_AGO_MS, 0)
        values = ",".join(
            "({})".format(",".join(f"'{value}'" for value in row._asdict().values()))
            for row in map(_row, rows)
        )
        session.query(f"INSERT INTO folded.ohlcv_{name} ({','.join(Candle._fields)}) VALUES {values}")

    def ask(sql):
        answer = session.query(sql, "JSONCompactEachRow").bytes()
        return [msgspec.json.decode(line) for line in answer.splitlines() if line]

    yield made, ask
    session.query("DROP DATABASE folded")
    session.close()


def _row(candle):
    """With times as ClickHouse reads them, and a boolean as a number."""
    return candle._replace(
        open_time=Decimal(candle.open_time).scaleb(-3),
        close_time=Decimal(candle.close_time).scaleb(-3),
        first_trade_time=Decimal(candle.first_trade_time).scaleb(-6),
        last_trade_time=Decimal(candle.last_trade_time).scaleb(-6),
        final=int(candle.final),
    )


def select(name, zone):
    fields = ", ".join(
        {
            "open_time": "toUnixTimestamp64Milli(open_time)",
            "close_time": "toUnixTimestamp64Milli(close_time)",
            "first_trade_time": "toUnixTimestamp64Micro(first_trade_time)",
            "last_trade_time": "toUnixTimestamp64Micro(last_trade_time)",
        }.get(field, f"toString({field})")
        for field in Candle._fields
    )
    return (
        f"SELECT {fields} FROM folded.ohlcv_in_view(timeframe = '{name}', tz = '{zone}') ORDER BY open_time"
    )


@pytest.mark.parametrize(("name", "zone"), ASKED)
def test_the_view_folds_as_the_fold_does(stored, name, zone):
    made, ask = stored
    expected = made if (name, zone) == ("1m", "UTC") else fold(made, timeframe(name, zone), LONG_AGO_MS, 0)
    found = [
        Candle._make(
            Decimal(value) if isinstance(wanted, Decimal) else type(wanted)(_number(value))
            for value, wanted in zip(row, expected[0], strict=True)
        )
        for row in ask(select(name, zone))
    ]
    assert found == expected
    assert expected


def _number(value):
    return {"true": 1, "false": 0}.get(value, value)


@pytest.mark.parametrize(
    ("name", "zone", "reason"),
    [
        ("4x", "UTC", "a number of m, h, d, w or M"),
        ("4xh", "UTC", "a number of m, h, d, w or M"),
        ("0m", "UTC", "a number of m, h, d, w or M"),
        ("7m", "Asia/Tokyo", "exists in UTC only"),
    ],
)
def test_what_python_refuses_the_view_refuses(stored, name, zone, reason):
    _, ask = stored
    with pytest.raises(Exception, match=reason):
        ask(select(name, zone))
