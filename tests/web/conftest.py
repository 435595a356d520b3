"""A running platform with simulated feeds, and its page in the system's Chromium."""

import shutil

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from k2stream.platform.platform import WORKERS, Platform, Simulation
from k2stream.settings import make
from tests.web import past

RATE = 200
PAST: list[past.Past] = []


def chromium():
    """The system's Chromium; these tests fail without it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium: `apt-get install chromium`, or your system's package"
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    given = make(data_dir=str(folder), candle_retention=5, sink_flush_seconds=0.5, cold_commit_seconds=20.0)
    async with Platform(given, Simulation(RATE, 11), workers=()) as running:
        PAST.append(await past.publish(running.settings))
        await running.start_workers(WORKERS)
        yield running


@pytest.fixture
def seeded(platform):
    """The past of one symbol, from before the platform ran."""
    return PAST[-1]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield made
        await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(platform, browser):
    """An open page; the test fails if the page logged an error or asked another host."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened = await context.new_page()
    errors, foreign = [], []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "request",
        lambda asked: None if platform.service_url.split("//")[1] in asked.url else foreign.append(asked.url),
    )
    opened.allowed = []  # errors that a test expects, by a part of their text
    await opened.goto(platform.service_url)
    yield opened
    await context.close()
    left = [text for text in errors if not any(part in text for part in opened.allowed)]
    assert not left, left
    assert not [url for url in foreign if not url.startswith(("data:", "blob:"))], foreign
