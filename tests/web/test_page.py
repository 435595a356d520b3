"""The page in real Chromium on a running platform."""

import asyncio
import os
import re
import signal

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.fault.platforms import kept_alive

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 1000
VIEWS = ("chart", "symbols", "pipeline", "exchanges")


FILLED = {  # what a view shows once its data is there, after "live"
    "chart": "#chart-summary:text-matches(': [1-9][0-9]* candles?')",
    "symbols": "#symbols tbody tr:has(th)",
    "pipeline": "#stages tbody tr:has(th)",
    "exchanges": "#connections tbody tr:has(th)",
}


async def live(page, view="chart"):
    """Wait until a view is connected and shows data."""
    await expect(page.locator("#connection")).to_have_text("live", timeout=30 * SECONDS)
    await expect(page.locator(FILLED[view]).first).to_be_attached(timeout=90 * SECONDS)


async def summary(page):
    return await page.locator("#chart-summary").text_content()


async def changes(page, locator, seconds=20):
    """Wait until an element's text is another one."""
    before = await page.locator(locator).text_content()
    await expect(page.locator(locator)).not_to_have_text(before, timeout=seconds * SECONDS)


async def test_candles_move_and_the_feed_is_called_simulated(page):
    await live(page)
    await expect(page.locator("#simulated")).to_be_visible()
    await changes(page, "#title-price")
    await changes(page, "#chart-summary")


async def test_exchange_symbol_timeframe_and_zone_change(page):
    await live(page)
    await page.select_option("#exchange", "kraken")
    await expect(page.locator("#title-symbol")).to_have_text(re.compile("^kraken .*USD"))
    second = await page.locator("#symbol option").nth(1).get_attribute("value")
    await page.select_option("#symbol", second)
    await expect(page.locator("#title-symbol")).to_have_text(f"kraken {second}")
    await page.select_option("#timeframe", "3m")
    await expect(page.locator("#chart-summary")).to_have_text(re.compile(rf"^kraken {second} 3m: [1-9]"))
    await page.select_option("#zone", "Asia/Tokyo")
    await changes(page, "#title-price")
    await page.reload()
    await expect(page.locator("#title-symbol")).to_have_text(f"kraken {second}")


async def test_overlays_show_the_same_symbol_elsewhere(page):
    await live(page)
    names = [await each.get_attribute("value") for each in await page.locator("#overlays input").all()]
    assert names
    for name in names:  # one that has no candle yet is drawn with its first
        await page.check(f'#overlays input[value="{name}"]')
    await expect(page.locator("#chart-summary")).to_have_text(
        re.compile(f"overlays: .*{re.escape(names[0])}")
    )
    await page.uncheck(f'#overlays input[value="{names[0]}"]')
    await expect(page.locator("#chart-summary")).not_to_have_text(
        re.compile(f"overlays: .*{re.escape(names[0])}")
    )


async def test_a_candle_opens_its_certificate(page, platform):
    await live(page)
    await page.keyboard.press("Enter")
    await expect(page.locator("#certificate")).to_be_visible()
    await expect(page.locator("#certificate-body")).to_contain_text("open time")
    await page.keyboard.press("Escape")
    await expect(page.locator("#certificate")).not_to_be_visible()
    chosen = await until_certified(platform.service_url)
    await page.goto(f"{platform.service_url}/#chart?exchange={chosen['exchange']}&symbol={chosen['symbol']}")
    await page.reload()
    await live(page)
    await expect(page.locator("#title-symbol")).to_have_text(f"{chosen['exchange']} {chosen['symbol']}")
    await page.evaluate("at => window.k2.open(at)", chosen["open_time"])
    await expect(page.locator("#certificate-body")).to_contain_text(chosen["sha256"])


async def until_certified(url):
    """A candle whose certificate is stored, once there is one."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client, asyncio.timeout(150):
        while True:
            for symbol in (await client.get("/v1/symbols")).json()["symbols"]:
                answer = (await client.get(symbol["path"], params={"limit": 5})).json()
                for candle in answer.get("candles", ()):
                    found = await client.get(f"{symbol['path']}/{candle['open_time']}/certificate")
                    if found.status_code == 200 and found.json()["certificate"]["sha256"]:
                        return found.json()["certificate"] | {"symbol": symbol["symbol"]}
            await asyncio.sleep(1)


async def test_keys_before_any_instrument_is_known_do_nothing(page, platform):
    page.allowed += ["Failed to load resource"]
    await page.route("**/v1/symbols*", lambda route: route.abort())
    await page.goto(f"{platform.service_url}/?again")
    await expect(page.locator("#symbol option")).to_have_count(0)
    for key in ("j", "k", "Enter", "3", "End", "+", "ArrowLeft"):
        await page.keyboard.press(key)
    await page.unroute("**/v1/symbols*")
    await live(page)


async def test_prices_of_a_symbol_have_as_many_digits_everywhere(page, platform):
    await live(page)
    async with httpx.AsyncClient(base_url=platform.service_url) as client:
        symbols = (await client.get("/v1/symbols", params={"exchange": "binance"})).json()["symbols"]
    digits = symbols[0]["price_digits"]
    price = re.compile(rf"^[\d,]+\.\d{{{digits}}}$")
    await page.goto(f"{platform.service_url}/#chart?exchange=binance&symbol={symbols[0]['symbol']}")
    await expect(page.locator("#title-symbol")).to_have_text(f"binance {symbols[0]['symbol']}")
    for _ in range(3):
        await changes(page, "#title-price")
        assert price.match(await page.locator("#title-price").text_content())
    legend = await page.locator("#legend").text_content()
    assert re.search(rf"VWAP [\d,]+\.\d{{{digits + 2}}} ", legend), legend
    await page.goto(f"{platform.service_url}/#symbols")
    cell = page.locator("#symbols tbody tr:has(th)").first.locator("td").nth(1)
    await expect(cell).to_have_text(price)


async def formatted(page, expression, cases):
    """The value of an expression with the functions of format.js."""
    functions = "const { rounded, stateOf } = await import('/page/format.js')"
    return await page.evaluate(f"async (cases) => {{ {functions}; return {expression}; }}", cases)


ROUNDED = [
    ("83285.123456789012345678", 4, "83285.1235"),
    ("2.675", 2, "2.68"),
    ("2.665", 2, "2.66"),
    ("0.9999", 2, "1.00"),
    ("0.00012345", 6, "0.000123"),
    ("-0.05", 1, "-0.0"),
    ("12.5", 0, "12"),
    ("12.5", 3, "12.5"),
    ("7", 2, "7"),
    ("123456789012345678901.55", 1, "123456789012345678901.6"),
]


async def test_a_shown_mean_is_rounded_from_its_own_digits(page):
    of_each = "cases.map(([text, digits]) => rounded(text, digits))"
    assert await formatted(page, of_each, ROUNDED) == [shown for *_, shown in ROUNDED]


async def test_a_candle_says_what_it_is(page):
    cases = [
        ({"final": False, "close_time": 100, "feed_reason": None}, "open"),
        ({"final": False, "close_time": 99, "feed_reason": None}, "in grace"),
        ({"final": True, "close_time": 99, "feed_reason": None}, "final"),
        (
            {"final": True, "close_time": 99, "feed_reason": "began"},
            "final, partial: the feed began within it",
        ),
        ({"final": True, "close_time": 99, "feed_reason": "before"}, "final, from before the feed began"),
        ({"final": True, "close_time": 99, "feed_reason": "lost"}, "final, the feed was down or lost trades"),
    ]
    found = await formatted(page, "cases.map((each) => stateOf(each, 100))", [each for each, _ in cases])
    assert found == [said for _, said in cases]


async def test_a_gap_is_marked(page, platform):
    await live(page)
    async with httpx.AsyncClient(base_url=platform.control_url) as control:
        drop = {"exchange": "binance", "kind": "drop", "count": 50}
        (await control.post("/fault", json=drop)).raise_for_status()
    await page.goto(f"{platform.service_url}/#exchanges")
    await expect(page.locator("#gaps tbody tr:has(th)").first).to_be_visible(timeout=60 * SECONDS)
    await page.goto(f"{platform.service_url}/#chart?exchange=binance")
    await expect(page.locator("#chart-summary")).to_have_text(
        re.compile("[1-9][0-9]* marks"), timeout=60 * SECONDS
    )


async def test_late_trades_are_marked(page, platform):
    await live(page)
    await page.goto(f"{platform.service_url}/#chart?exchange=kraken")
    # Late trades are marked where there is a candle: the feed must have been up by then.
    await expect(page.locator("#chart-summary")).to_have_text(
        re.compile(r"^kraken .*: ([3-9]|\d\d+) candles"), timeout=200 * SECONDS
    )
    async with httpx.AsyncClient(base_url=platform.control_url) as control:
        late = {"exchange": "kraken", "kind": "late", "count": 20, "seconds": 70}
        (await control.post("/fault", json=late)).raise_for_status()
    symbol = await until_late(platform.service_url, "kraken")
    await page.goto(f"{platform.service_url}/#chart?exchange=kraken&symbol={symbol}")
    await expect(page.locator("#title-symbol")).to_have_text(f"kraken {symbol}")
    await expect(page.locator("#chart-summary")).to_have_text(
        re.compile("[1-9][0-9]* marks"), timeout=60 * SECONDS
    )


async def until_late(url, exchange):
    """A symbol of an exchange that has trades which came too late, once there is one."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client, asyncio.timeout(90):
        while True:
            for symbol in (await client.get("/v1/symbols", params={"exchange": exchange})).json()["symbols"]:
                name = symbol["symbol"].replace("/", "-")
                if (await client.get(f"/v1/late/{exchange}/{name}")).json()["minutes"]:
                    return symbol["symbol"]
            await asyncio.sleep(1)


async def test_symbols_pipeline_and_exchanges_show_what_runs(page, platform):
    await live(page)
    await page.keyboard.press("s")
    rows = page.locator("#symbols tbody tr:has(th)")
    await expect(rows.first).to_be_visible()
    assert await rows.count() >= 10
    await page.fill("#filter", "kraken")
    await expect(rows.first).to_contain_text("kraken")
    await page.locator("#filter").blur()
    await page.keyboard.press("p")
    await expect(page.locator("#stages tbody tr:has(th)").nth(2)).to_be_visible()
    await expect(page.locator("#rates canvas")).to_be_visible()
    await expect(page.locator("#sinks")).to_contain_text(re.compile("next commit within|commits every|no"))
    await page.keyboard.press("e")
    await expect(page.locator("#connections tbody tr:has(th)")).to_have_count(3)
    await expect(page.locator("#connections")).to_contain_text("yes")


async def test_only_the_keyboard_is_needed(page):
    await live(page)
    before = await page.locator("#title-symbol").text_content()
    await page.keyboard.press("j")
    await expect(page.locator("#title-symbol")).not_to_have_text(before)
    await page.keyboard.press("3")
    await expect(page.locator("#chart-summary")).to_have_text(re.compile(" 15m: "))
    for key in ("ArrowLeft", "<", ">", "+", "-", "End"):
        await page.keyboard.press(key)
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
async def test_assistive_technology_finds_no_fault(page, platform, view, theme):
    await page.emulate_media(color_scheme=theme)
    await page.goto(f"{platform.service_url}/#{view}")
    await live(page, view)
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [360, 768, 1600])
async def test_nothing_is_wider_than_the_screen(page, platform, width):
    await page.set_viewport_size({"width": width, "height": 800})
    for view in VIEWS:
        await page.goto(f"{platform.service_url}/#{view}")
        await live(page, view)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, view


async def test_a_worker_that_restarts_is_said_and_the_candles_go_on(page, platform):
    page.allowed += ["WebSocket connection", "Failed to load resource"]
    await live(page)
    os.kill(platform.workers["candles"].pid, signal.SIGKILL)
    await expect(page.locator("#connection")).not_to_have_text("live", timeout=20 * SECONDS)
    async with kept_alive(
        platform
    ):  # its sockets close before it can be waited for: one look may come too early
        await expect(page.locator("#connection")).to_have_text("live", timeout=90 * SECONDS)
        await changes(page, "#title-price", seconds=60)
