"""What the views of tables show while they load, and how; the service is in memory."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.web.test_chart import chart, drawn  # noqa: F401

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

STATUS = {
    "stages": [
        {"name": "normalize", "records": 12, "records_per_second": 7.25, "lag": 0, "latency_p50": 1.0}
        | {"latency_p99": 2.0, "errors": 0}
    ],
    "sinks": [],
    "workers": [],
}


@pytest.mark.parametrize(
    ("view", "tables"),
    [
        ("symbols", ("symbols",)),
        ("pipeline", ("stages", "sinks", "workers")),
        ("exchanges", ("connections", "gaps")),
    ],
)
async def test_tables_say_that_they_load(chart, view, tables):  # noqa: F811
    page = await chart()
    answered = asyncio.Event()

    async def late(route):
        await answered.wait()
        await route.abort()

    await page.route(re.compile(r"/v1/(status|symbols|exchanges|gaps)"), late)
    await page.evaluate("(view) => { location.hash = view; }", view)
    for table in tables:
        await expect(page.locator(f"#{table} tbody")).to_have_text("loading")
    answered.set()


async def test_the_pipeline_is_drawn_in_utc(chart):  # noqa: F811
    page = await chart()
    await page.route("**/v1/status", lambda route: route.fulfill(json=STATUS))
    await page.evaluate("location.hash = 'pipeline'")
    await expect(page.locator("#stages tbody")).to_contain_text("7.3")
    await expect(page.locator("#sinks tbody")).to_have_text("none")
    clock = await page.wait_for_function(
        "() => window.drawn.find((text) => /^\\d\\d:\\d\\d:\\d\\d$/.test(text))"
    )
    shown, now = await clock.json_value(), await page.evaluate("new Date().toISOString().slice(11, 13)")
    assert shown[:2] in {now, f"{(int(now) - 1) % 24:02d}"}
    assert not await page.evaluate("window.drawn.some((text) => /[ap]m$/.test(text))")
    await expect(page.locator("#view-pipeline")).to_contain_text("UTC")


FORMATTED = [
    ("rate(0)", "0.0"),
    ("rate(7.25)", "7.3"),
    ("rate(19.84)", "19.8"),
    ("rate(1234.56)", "1,234.6"),
    ("rate(null)", "–"),
    ("basisPoints('30.9422')", "30.94 bp"),
    ("basisPoints('1.3')", "1.30 bp"),
    ("basisPoints(null)", "–"),
]


@pytest.mark.parametrize(("expression", "shown"), FORMATTED)
async def test_numbers_of_a_column_have_as_many_decimals(chart, expression, shown):  # noqa: F811
    page = await chart()
    functions = "const { rate, basisPoints } = await import('/page/format.js')"
    assert await page.evaluate(f"async () => {{ {functions}; return {expression}; }}") == shown


async def test_times_say_their_zone(chart):  # noqa: F811
    page = await chart("exchanges")
    await expect(page.locator("#connections thead")).to_contain_text("Since (UTC)")
    await expect(page.locator("#gaps thead")).to_contain_text("Seen (UTC)")
