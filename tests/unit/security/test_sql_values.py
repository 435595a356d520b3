"""Values that clients or files send into queries: they are bound, and never part of a statement."""

import pytest

from k2stream.clickhouse import (
    agreement,
    candles,
    certificates,
    destination,
    quality,
    recent_trades,
)
from k2stream.clickhouse.trades import HotTrades
from k2stream.history.tiers import CandleSpan
from k2stream.history.trades import TradePage
from k2stream.model.instrument import Instrument
from k2stream.settings import make

EVIL = "x' OR 1 = 1 --"
ITEM = Instrument(EVIL, EVIL, EVIL)
STORES = make().clickhouse


class Answered(Exception):
    """Ends a query once it was seen."""


class Seen:
    """A client that remembers its queries, and answers none."""

    def __init__(self):
        self.asked = []

    def execute(self, sql, params=None, **_):
        self.asked.append((sql, params))
        raise Answered

    def disconnect(self):
        pass


@pytest.fixture
def seen(monkeypatch):
    made = Seen()
    monkeypatch.setattr(destination, "connect", lambda settings: made)
    for module in (candles, recent_trades, quality, agreement):
        monkeypatch.setattr(module, "connect", lambda settings: made, raising=False)
    monkeypatch.setattr("k2stream.clickhouse.trades.connect", lambda settings: made)
    return made


ASKING = {
    "candles": lambda seen: candles.HotTier(STORES).candles(ITEM, "1m", CandleSpan(5, 0, 1)),
    "candles, oldest": lambda seen: candles.HotTier(STORES).oldest(ITEM, "1m"),
    "candles, begun": lambda seen: candles.HotTier(STORES).begun(ITEM, "1m"),
    "candles, latest": lambda seen: candles.HotTier(STORES).latest(ITEM, "1m"),
    "candles, rows": lambda seen: candles.HotTier(STORES).rows(ITEM, "1m", CandleSpan(5, 0, 1)),
    "pages of trades": lambda seen: recent_trades.RecentTrades(STORES).page(ITEM, TradePage(5), 0),
    "newest trades": lambda seen: recent_trades.RecentTrades(STORES).beyond(ITEM, 0, 1),
    "held trades": lambda seen: recent_trades.RecentTrades(STORES).held(ITEM, 0),
    "days of trades": lambda seen: HotTrades(STORES).days(ITEM),
    "trades": lambda seen: HotTrades(STORES).rows(ITEM, 0, 1),
    "quality": lambda seen: quality.days(STORES, 0, 1, EVIL, EVIL),
    "certificate": lambda seen: certificates.stored(seen, "k2", ITEM, EVIL, 0),
    "comparison": lambda seen: certificates.kline_check(seen, "k2", ITEM, EVIL, 0),
}


@pytest.mark.parametrize("name", ASKING)
def test_a_value_is_bound(seen, name):
    with pytest.raises(Answered):
        ASKING[name](seen)
    ((sql, params),) = seen.asked
    assert EVIL not in sql and "OR 1" not in sql
    assert EVIL in params.values()


def test_the_client_escapes_what_is_bound():
    """It puts values into the text itself: quotes and backslashes of theirs do not end it."""
    from clickhouse_driver.util.escape import escape_param

    assert escape_param("x' OR \\", None) == r"'x\' OR \\'"
    assert destination._text(EVIL) == r"'x\' OR 1 = 1 --'"
