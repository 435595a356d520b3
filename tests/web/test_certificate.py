"""What the dialog of a candle says; the service is in memory."""

import pytest
from playwright.async_api import expect

from tests.web.test_chart import chart  # noqa: F401

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

CASES = [
    ("open_time", 1_700_000_040_000, "2023-11-14 22:14:00"),
    ("close_time", 1_700_000_099_999, "2023-11-14 22:14:59.999"),
    ("first_trade_time", 1_700_000_040_123_456, "2023-11-14 22:14:00.123456"),
    ("last_trade_time", 1_700_000_041_000_000, "2023-11-14 22:14:01.000000"),
    ("raw_offset", None, "–"),
    ("missing", [], "none"),
    ("fetched", None, "none"),
    ("live", None, "none"),
    ("kline_check", None, "not compared yet"),
    ("feed", None, "unknown"),
    ("missing_before", None, "unknown: the exchange's ids do not tell"),
    ("feed_healthy", None, "unknown"),
    ("feed_healthy", True, "true"),
]


@pytest.mark.parametrize(("name", "value", "said"), CASES)
async def test_a_field_is_said_as_what_it_means(chart, name, value, said):  # noqa: F811
    page = await chart()
    found = await page.evaluate(
        "async ([name, value]) => (await import('/page/fields.js')).textOf(name, value, 'UTC')", [name, value]
    )
    assert found == said


async def test_fields_that_do_not_apply_are_left_out(chart):  # noqa: F811
    page = await chart()
    await expect(page.locator("#chart-summary")).to_contain_text("29 candles")
    await page.keyboard.press("Enter")
    body = page.locator("#certificate-body")
    await expect(body).to_contain_text("close time")
    await expect(body).not_to_contain_text("feed reason")


async def test_nothing_is_wider_than_a_phone(chart):  # noqa: F811
    page = await chart()
    await page.set_viewport_size({"width": 390, "height": 760})
    await expect(page.locator("#chart-summary")).to_contain_text("29 candles")
    await page.keyboard.press("Enter")
    inside = """async () => {
      const { fields } = await import('/page/fields.js');
      const revisions = [{ revision: 1, cause: "trade", sha256: "f".repeat(64) }];
      document.getElementById("certificate-body").replaceChildren(fields({ revisions }, "UTC"));
      const dialog = document.getElementById("certificate");
      return [dialog.scrollWidth, dialog.clientWidth];
    }"""
    wide, seen = await page.evaluate(inside)
    assert wide <= seen
