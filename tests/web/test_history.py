"""Scrolling back: from the tables into ClickHouse, and from there into Iceberg, without a seam."""

import asyncio
import os
import re
import sys

import httpx
import pytest
from playwright.async_api import expect

import k2stream
from k2stream.clickhouse.destination import connect
from k2stream.model import clock
from k2stream.settings import environment

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 1000
EXCHANGE, SYMBOL, NAME = "binance", "ETH/USDT", "ETH-USDT"
HOUR = 3_600_000  # ms
PAST, WARM = 10 * HOUR, 5 * HOUR  # what is fetched, and what ClickHouse keeps of it


async def test_scrolling_back_reaches_iceberg_without_a_seam(page, platform):
    now = clock.now_us() // 1000
    await backfilled(platform, now - PAST)
    await moved(platform, now - WARM)
    await page.goto(f"{platform.service_url}/#chart?exchange={EXCHANGE}&symbol={SYMBOL}")
    summary = page.locator("#chart-summary")
    await expect(summary).to_have_text(re.compile(rf"^{EXCHANGE} {SYMBOL} 1m: "), timeout=30 * SECONDS)
    async with asyncio.timeout(60):
        while await count(summary) <= PAST / 60_000 - 5:
            await page.keyboard.press("ArrowLeft")
            await asyncio.sleep(0.05)  # the time of a person's key
    await expect(summary).to_have_text(re.compile("; 0 breaks between them;"))


async def count(summary):
    """How many candles the chart has."""
    found = re.search(r": (\d+) candles", await summary.text_content() or "")
    return int(found[1]) if found else 0


async def backfilled(platform, start):
    """The exchange traded before the feed was there."""
    command = [sys.executable, "-m", "k2stream", "backfill", "--exchange", EXCHANGE, "--symbol", SYMBOL]
    process = await asyncio.create_subprocess_exec(
        *command, "--from", str(start), env={**os.environ, **environment(platform.settings)}
    )
    assert await process.wait() == 0


async def moved(platform, until):
    """Wait until Iceberg has all final candles; what opened before `until` is in ClickHouse no longer."""
    asked = (EXCHANGE, SYMBOL, "1m", None, until)
    async with httpx.AsyncClient(timeout=60) as client, asyncio.timeout(180):
        while True:
            (await client.post(f"{platform.urls['cold']}/cold/flush")).raise_for_status()
            found = await asyncio.to_thread(
                k2stream.read_candles, *asked, quality=True, source="iceberg", settings=platform.settings
            )
            if len(found) >= (PAST - WARM) / 60_000 - 1 and all(found["final"].to_pylist()):
                break
            await asyncio.sleep(1)
    stores = platform.settings.clickhouse
    await asyncio.to_thread(
        connect(stores).execute,
        f"""ALTER TABLE {stores.database}.ohlcv_1m DELETE
        WHERE open_time < fromUnixTimestamp64Milli({until}, 'UTC') SETTINGS mutations_sync = 1""",
    )
    warm = await asyncio.to_thread(
        connect(stores).execute, f"SELECT min(open_time) FROM {stores.database}.ohlcv_1m"
    )
    assert warm[0][0].timestamp() * 1000 >= until
