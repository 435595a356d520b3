"""What the chart draws and says; the service is in memory."""

import asyncio

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.unit.security.served import serving

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

DRAWN = """
window.drawn = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.drawn.push(text);
  return fill.call(this, text, ...rest);
};
"""
"""Keeps the texts that are drawn on any canvas in `drawn`."""


@pytest_asyncio.fixture(loop_scope="session")
async def chart(browser):
    """Opens the page at a part of its address; candles are of 00:01 to 00:29 UTC on 1970-01-01."""
    with serving() as service:
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.add_init_script(DRAWN)

        async def opened(where="chart"):
            await page.goto(f"http://127.0.0.1:{service.port}/#{where}")
            await expect(page.locator("#connection")).to_have_text("live")
            return page

        yield opened
        await context.close()
        assert not errors


async def drawn(page, text):
    """Wait until a text is drawn."""
    await page.wait_for_function("(text) => window.drawn.includes(text)", arg=text)


async def test_the_axis_is_in_the_time_zone_that_is_selected(chart):
    page = await chart()
    await drawn(page, "00:20")
    await page.select_option("#zone", "Asia/Tokyo")
    await drawn(page, "09:20")
    await page.select_option("#zone", "UTC")
    await page.evaluate("window.drawn = []")
    await page.set_viewport_size({"width": 1270, "height": 800})
    await drawn(page, "00:20")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("symbol=FOO%2FUSDT", "There is no symbol FOO/USDT on binance: BTC/USDT is shown."),
        ("exchange=nowhere&symbol=BTC%2FUSDT", "There is no exchange nowhere: binance is shown."),
        ("timeframe=1x", "There is no timeframe 1x: 1m is shown."),
        ("zone=Nowhere%2FCity", "There is no time zone Nowhere/City: UTC is shown."),
    ],
)
async def test_what_the_address_asks_for_and_is_not_there_is_said(chart, asked, said):
    page = await chart(f"chart?{asked}")
    await expect(page.locator("#chart-summary")).to_contain_text("binance BTC/USDT 1m: 29 candles")
    await expect(page.locator("#notice")).to_contain_text(said)
    assert await page.evaluate("location.hash") == "#chart?exchange=binance&symbol=BTC%2FUSDT"
    await page.select_option("#symbol", "ETH/USDT")
    await expect(page.locator("#chart-summary")).to_contain_text("binance ETH/USDT 1m: 29 candles")
    await expect(page.locator("#notice")).not_to_contain_text("There is no")


async def test_a_symbol_is_named_in_the_address_as_in_a_path_too(chart):
    page = await chart("chart?exchange=binance&symbol=ETH-USDT")
    await expect(page.locator("#chart-summary")).to_contain_text("binance ETH/USDT 1m: 29 candles")
    await expect(page.locator("#notice")).not_to_contain_text("There is no")


@pytest.mark.parametrize(("timeframe", "said"), [("99999m", "99999m"), ("7m", "")])
async def test_no_candle_of_the_selection_before_is_left(chart, timeframe, said):
    page = await chart()
    await expect(page.locator("#chart-summary")).to_contain_text("29 candles")
    await page.evaluate("(name) => { location.hash = `chart?timeframe=${name}`; }", timeframe)
    await expect(page.locator("#chart-summary")).to_have_text("")
    await expect(page.locator("#legend")).to_have_text("")
    await expect(page.locator("#notice")).to_contain_text(said)


async def test_what_fails_of_the_selection_before_is_not_said(chart):
    page, asked, let_go = await chart(), asyncio.Event(), asyncio.Event()

    async def fail_late(route):
        asked.set()
        await let_go.wait()
        await route.fulfill(status=503, json={"detail": "of the selection before"})

    await page.route("**/v1/gaps*", fail_late, times=1)
    await page.select_option("#symbol", "ETH/USDT")
    async with asyncio.timeout(30):
        await asked.wait()
    await page.evaluate("location.hash = 'chart?timeframe=99999m'")
    await expect(page.locator("#notice")).to_contain_text("99999m")
    async with page.expect_response("**/v1/gaps*"):
        let_go.set()
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(page.locator("#notice")).to_contain_text("99999m")


async def pointed(page, minute):
    """Wait until the legend is of a minute's candle."""
    await expect(page.locator("#legend")).to_contain_text(f"1970-01-01 00:{minute:02d}:00")


async def test_a_candle_is_pointed_at_and_opened_with_keys_alone(chart):
    page = await chart()
    await pointed(page, 29)
    for _ in range(3):
        await page.keyboard.press("ArrowLeft")
    await pointed(page, 26)
    await page.keyboard.press("ArrowRight")
    await pointed(page, 27)
    await page.evaluate("window.drawn = []")
    await page.set_viewport_size({"width": 900, "height": 700})
    await drawn(page, "00:20")  # drawn anew: the candle that is pointed at is another place
    await page.keyboard.press("Enter")
    await expect(page.locator("#certificate-title")).to_contain_text("00:27:00")
    await page.keyboard.press("Escape")
    await page.keyboard.press("End")
    await pointed(page, 29)
    for _ in range(40):
        await page.keyboard.press("ArrowLeft")
    await pointed(page, 1)
    await page.keyboard.press("j")
    await expect(page.locator("#chart-summary")).to_contain_text("ETH/USDT")
    await pointed(page, 29)


async def test_enter_follows_the_link_that_has_the_focus(chart):
    page = await chart()
    await pointed(page, 29)
    await page.locator("nav a[data-view=symbols]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#view-symbols")).to_be_visible()
    await expect(page.locator("#certificate")).to_be_hidden()
    await page.keyboard.press("Enter")  # no candle is shown here
    await expect(page.locator("#certificate")).to_be_hidden()


async def test_the_legend_wraps_and_the_keys_are_there_on_any_screen(chart):
    page = await chart()
    await pointed(page, 29)
    for width in (390, 700, 900, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        await expect(page.locator("#help")).to_be_visible()
        legend = "const { scrollWidth, clientWidth } = document.getElementById('legend')"
        assert await page.evaluate(f"() => {{ {legend}; return scrollWidth <= clientWidth; }}"), width
