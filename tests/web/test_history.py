"""Scrolling back: from the tables into ClickHouse, and from there into Iceberg, without a seam."""

import asyncio
import re
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from playwright.async_api import expect

from k2stream.clickhouse.destination import connect
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import GOLD
from k2stream.model.candle import Candle

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 1000
EXCHANGE, NATIVE, SYMBOL = "binance", "ETHUSDT", "ETH/USDT"
MINUTE = 60_000  # ms
OLD, WARM = 600, 300  # minutes before the feed that Iceberg has, and ClickHouse


async def test_scrolling_back_reaches_iceberg_without_a_seam(page, platform):
    first = await oldest(platform.service_url)
    await asyncio.to_thread(stored, platform.settings, first)
    await page.goto(f"{platform.service_url}/#chart?exchange={EXCHANGE}&symbol={SYMBOL}")
    await page.reload()
    summary = page.locator("#chart-summary")
    await expect(summary).to_have_text(re.compile(rf"^{EXCHANGE} {SYMBOL} 1m: "), timeout=30 * SECONDS)
    assert OLD - WARM < await count(summary) <= OLD  # one page
    async with asyncio.timeout(60):
        while await count(summary) <= OLD:
            await page.keyboard.press("ArrowLeft")
            await asyncio.sleep(0.05)  # as fast as a person
    begin = datetime.fromtimestamp((first - OLD * MINUTE) / 1000, UTC)
    await expect(summary).to_have_text(re.compile(f"candles from {begin:%Y-%m-%d %H:%M}"))
    await expect(summary).to_have_text(re.compile("; 0 breaks between them;"))


async def count(summary):
    """How many candles the chart has."""
    found = re.search(r": (\d+) candles", await summary.text_content() or "")
    return int(found[1]) if found else 0


async def oldest(url):
    """The open time (ms) of the first candle, once there is one."""
    path = f"/v1/ohlcv/{EXCHANGE}/{SYMBOL.replace('/', '-')}/1m"
    async with httpx.AsyncClient(base_url=url, timeout=30) as client, asyncio.timeout(60):
        while True:
            answer = (await client.get(path, params={"start": 0, "limit": 1})).json()
            if answer.get("candles"):
                return answer["candles"][0]["open_time"]
            await asyncio.sleep(0.5)


def stored(settings, first):
    """Final candles of the time before the feed: all in Iceberg, the later ones in ClickHouse, too."""
    candles = [made(first - back * MINUTE) for back in range(OLD, 0, -1)]
    table = open_catalog(settings.iceberg).load_table("cold.gold_ohlcv_1m")
    committed(lambda: table.refresh().append(candle_rows(candles).cast(GOLD)))
    rows = candle_rows(candles[-WARM:]).to_pylist()
    names = ", ".join(rows[0])
    sql = f"INSERT INTO {settings.clickhouse.database}.ohlcv_1m ({names}) VALUES"
    connect(settings.clickhouse).execute(sql, rows)


def made(opened):
    price, volume = Decimal(1500 + opened // MINUTE % 50), Decimal("2.5")
    return Candle._make(
        (
            *(EXCHANGE, NATIVE, SYMBOL, "1m", opened, opened + MINUTE - 1),
            *(price, price + 2, price - 1, price + 1, volume, price * volume, volume / 2, price, price),
            *(3, opened * 1000, opened * 1000 + 1_000_000, 4, True, 0, 0),
        )
    )
