"""Where ClickHouse begins to have the trades of `/v1/trades`."""

from dataclasses import replace

import pytest

from k2stream.history.trades import TradePage
from k2stream.service.trade_pages import cursor_of, place_of
from k2stream.service.trades import DAY_US, TradeHistory
from tests.unit.service.test_service_trades import ANY, NOW, Cold, Newest, Warm


@pytest.mark.parametrize("page", [TradePage(4), TradePage(4, 0), TradePage(4, 0, descending=True)])
@pytest.mark.parametrize("cold", [True, False])
async def test_a_trade_that_was_fetched_since_does_not_tell_where_clickhouse_begins(page, cold):
    """It was made anew on day 30, and got a trade of day 10 since."""
    days = [(day * DAY_US, 0, offset) for offset, day in enumerate(range(5, 32))]
    fetched = (10 * DAY_US + 5, 0, len(days))
    held = [*(trade for trade in days if trade[0] >= 30 * DAY_US), fetched]
    everything, got, after = ([*days, fetched] if cold else held), [], None
    source = TradeHistory(
        Newest([]), Warm(held, begun=30 * DAY_US), lambda: Cold(everything if cold else []), lambda: NOW
    )
    while len(rows := (await source.read(ANY, replace(page, after=after))).rows) == page.limit:
        got += rows["raw_offset"].to_pylist()
        after = place_of(cursor_of(rows))
    got += rows["raw_offset"].to_pylist()
    wanted = [offset for *_, offset in sorted(everything)]
    assert got == (wanted[::-1] if page.leads_back else wanted)
