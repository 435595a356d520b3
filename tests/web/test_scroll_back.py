"""Scrolling back on the page, from the tables into ClickHouse and from there into Iceberg."""

import asyncio
import re
from decimal import Decimal

import pytest
from playwright.async_api import expect

from k2stream.clickhouse.destination import connect
from k2stream.history.tiers import CandleSpan
from k2stream.iceberg.candles import ColdTier
from k2stream.model.instrument import Instrument
from tests.web.past import CANONICAL, EXCHANGE, MINUTE, MINUTES, SYMBOL
from tests.web.test_page import live, summary

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

EXPIRED = 900  # candles that only Iceberg has
DRAGS = 60


async def test_scrolling_back_crosses_the_stores_without_a_seam(page, platform, seeded):
    past = seeded
    await in_iceberg(platform, past)
    expire(platform, past.times[EXPIRED])
    read = []
    page.on("response", lambda answer: read.append(answer) if f"/ohlcv/{EXCHANGE}/" in answer.url else None)
    await page.goto(f"{platform.service_url}/#chart?exchange={EXCHANGE}&symbol={CANONICAL}")
    await expect(page.locator("#title-symbol")).to_have_text(f"{EXCHANGE} {CANONICAL}")
    await live(page)
    oldest = re.compile(f"from {re.escape(await said(page, past.times[0]))} to")
    for _ in range(DRAGS):
        if oldest.search(await summary(page)):
            break
        await drag(page)
    assert oldest.search(await summary(page)), await summary(page)
    await drag(page)  # beyond the beginning, where nothing is
    shown = [candle for answer in read for candle in (await answer.json())["candles"]]
    times = [candle["open_time"] for candle in shown]
    assert len(times) == len(set(times)), "a candle came in two pages"
    closes = {each["open_time"]: Decimal(each["close"]) for each in shown}
    assert {time: closes.get(time) for time in past.closes} == past.closes
    assert len(read) > MINUTES // 500
    said_counts = re.search(r": (\d+) candles .*; (\d+) breaks", await summary(page))
    assert said_counts
    count, breaks = map(int, said_counts.groups())
    assert count >= MINUTES
    assert breaks <= 1, "but where the feed began"
    await expect(page.locator("#notice")).to_be_hidden()


async def drag(page):
    """Pull the chart to the right, as a hand does, and wait for what this loads."""
    box = await page.locator("#chart").bounding_box()
    y = box["y"] + box["height"] / 3
    await page.mouse.move(box["x"] + 20, y)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] - 120, y, steps=4)
    await page.mouse.up()
    await page.wait_for_load_state("networkidle")


async def said(page, time):
    """A time, as the page writes it."""
    return await page.evaluate("async (time) => (await import('/page/format.js')).time(time, 'UTC')", time)


async def in_iceberg(platform, past):
    """Wait until Iceberg has every candle of the past."""
    tier, instrument = ColdTier(platform.settings.iceberg), Instrument(EXCHANGE, SYMBOL, CANONICAL)
    span = CandleSpan(MINUTES + 1, start=past.times[0], end=past.times[-1] + MINUTE)
    async with asyncio.timeout(120):
        while True:
            if len(await asyncio.to_thread(tier.candles, instrument, "1m", span)) == MINUTES:
                return
            await asyncio.sleep(1)


def expire(platform, before):
    """Delete old candles from ClickHouse, as its TTL does."""
    settings = platform.settings.clickhouse
    client = connect(settings)
    where = f"exchange = '{EXCHANGE}' AND open_time < fromUnixTimestamp64Milli({before})"
    client.execute(
        f"ALTER TABLE {settings.database}.ohlcv_1m DELETE WHERE {where} SETTINGS mutations_sync = 2"
    )
    client.disconnect()
