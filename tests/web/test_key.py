"""The page of a service that needs a key, in real Chromium; the service is in memory."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import unquote_plus

import pytest
from playwright.async_api import expect

from tests.unit.security.served import serving

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

KEY = "clé ~ of a client"
ENCODED = urlsafe_b64encode(KEY.encode()).decode().rstrip("=")


async def given(page, key):
    await page.fill("#access-key", key)
    await page.keyboard.press("Enter")


async def works(page):
    """Data over REST, and a stream that is open."""
    await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.locator("#symbols tbody tr:has(th)").first).to_be_attached()
    await expect(page.locator("#access")).not_to_be_visible()


async def test_the_page_asks_for_the_key_once_and_shows_it_to_nobody(browser):
    with serving(service_keys=sha256(KEY.encode()).hexdigest()) as service:
        context = await browser.new_context()
        page = await context.new_page()
        errors, urls = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda asked: urls.append(asked.url))
        page.on("websocket", lambda opened: urls.append(opened.url))
        await page.goto(f"http://127.0.0.1:{service.port}/#symbols")
        await expect(page.locator("#access")).to_be_visible()
        await expect(page.locator("#access-refused")).not_to_be_visible()
        await given(page, "another")
        await expect(page.locator("#access-refused")).to_be_visible()
        await given(page, KEY)
        await works(page)
        await page.reload()
        await works(page)
        assert await page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
        assert any(url.startswith("ws:") for url in urls)
        assert not [url for url in urls if KEY in unquote_plus(url) or ENCODED in url]
        other = await (await browser.new_context()).new_page()
        await other.goto(f"http://127.0.0.1:{service.port}/#symbols")
        await expect(other.locator("#access")).to_be_visible()
        await other.context.close()
        await context.close()
        assert errors == []
