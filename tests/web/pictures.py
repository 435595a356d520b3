"""The pictures of docs/, of a platform on SIMULATED feeds: `python -m tests.web.pictures` takes them anew."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, async_playwright

from k2stream import topics
from k2stream.exchanges import raw
from k2stream.kafka.creation import ensure_topics
from k2stream.model.trade import RawTrade
from k2stream.platform.platform import WORKERS, Platform, Simulation
from k2stream.settings import Settings, make
from tests.web.conftest import chromium

DOCS = Path(__file__).parents[2] / "docs"
SYMBOL, MINUTES, PER_MINUTE = "XBT/USD", 90, 12
TICKS = 83_285_12  # where the simulated market begins
RUN_SECONDS = 150
CHART = "chart?exchange=kraken&symbol=BTC/USD&overlays=binance:BTC/USDT"
PICTURES = {
    "page": (CHART, "dark", (1280, 760)),
    "page-symbols": ("symbols", "light", (1280, 760)),
    "page-pipeline": ("pipeline", "dark", (1600, 900)),
    "page-phone": (CHART, "light", (390, 760)),
}
"""By file: the view, the theme and the size of the screen."""


async def past(settings: Settings) -> None:
    """An hour and a half of trades before the platform runs, up to where the simulated market begins."""
    walk, now = random.Random(5), time.time()
    await ensure_topics(settings.kafka, topics.declared(settings.kafka), leave=True)
    partition = topics.partition_of(SYMBOL, settings.kafka.raw_partitions("kraken"))
    ticks, records = TICKS, []
    for number in range(MINUTES * PER_MINUTE):
        at = int((now - number * 60 / PER_MINUTE - walk.random()) * 1_000_000)
        side = walk.choice("bs")
        trade = {"pair": SYMBOL, "price": f"{ticks // 100}.{ticks % 100:02d}", "side": side}
        trade |= {"volume": f"{walk.expovariate(8):.8f}", "time": f"{at / 1e6:.6f}", "orderType": "l"}
        body = json.dumps(trade | {"misc": ""}).encode()
        records.append(raw.record(RawTrade(SYMBOL, body), at + 700, "past", MINUTES * PER_MINUTE - number))
        ticks += walk.randint(-1500, 1500) + (900 if side == "s" else -900)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        for record in reversed(records):
            await producer.send(topics.raw("kraken"), record, SYMBOL.encode(), partition=partition)


async def picture(browser: Browser, url: str, name: str) -> None:
    view, theme, (width, height) = PICTURES[name]
    scheme: Any = theme
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(f"{url}/#{view}")
    await page.locator("#connection:text-is('live')").wait_for()
    await page.wait_for_timeout(20_000 if view == "pipeline" else 5_000)  # what the view shows moves
    await page.screenshot(path=DOCS / f"{name}.png")
    await context.close()


async def main() -> None:
    folder = tempfile.mkdtemp(prefix="k2-pictures-")
    given = make(data_dir=folder, candle_retention=400)
    async with Platform(given, Simulation(200, 11), print, workers=()) as platform:
        await past(platform.settings)
        await platform.start_workers(WORKERS)
        await asyncio.sleep(RUN_SECONDS / 2)
        async with httpx.AsyncClient(base_url=platform.control_url) as control:
            await control.post("/fault", json={"exchange": "kraken", "kind": "drop", "count": 60})
        await asyncio.sleep(RUN_SECONDS / 2)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            for name in PICTURES:
                await picture(browser, platform.service_url, name)
            await browser.close()
        command = [sys.executable, "-m", "k2stream", "status", "--svg", str(DOCS / "status.svg")]
        environment = {"K2_DATA_DIR": folder, "COLUMNS": "100", "PATH": "/usr/bin:/bin"}
        await asyncio.to_thread(subprocess.run, command, env=environment, check=True)


if __name__ == "__main__":
    asyncio.run(main())
