"""What the page says of a candle whose feed was not up throughout; the service is in memory."""

import pytest
from playwright.async_api import expect

from k2stream.model.events import EventKind, FeedEvent
from tests.unit.security.served import MINUTE, serving

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

NEWEST = 29 * MINUTE
"""Open time of the newest candle in ms."""


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"time": (NEWEST + 9) * 1000}, "in grace, partial: the feed began within it"),
        ({"time": (NEWEST + MINUTE) * 1000}, "in grace, from before the feed began"),
        ({"time": (NEWEST + 9) * 1000, "since": NEWEST * 1000}, "in grace, the feed was down or lost trades"),
    ],
)
async def test_a_candle_says_what_its_feed_lacked(browser, event, said):
    with serving() as service:
        for name in ("binance", "kraken", "coinbase"):
            service.health.add(FeedEvent(kind=EventKind.CONNECTED, exchange=name, **event))
        page = await (await browser.new_context()).new_page()
        await page.goto(f"http://127.0.0.1:{service.port}/")
        await expect(page.locator("#legend")).to_contain_text(said)
        await page.context.close()
