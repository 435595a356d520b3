"""The application over candles in memory, and a client of it without a socket."""

from typing import Any

import httpx
import pytest

from k2stream import instruments
from k2stream.service.application import create
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests.unit.service.memory import InMemory, TradesInMemory


@pytest.fixture
def stored():
    return InMemory()


@pytest.fixture
def listed():
    return instruments.load(make().feeds.instruments_file)


@pytest.fixture
def health():
    made = FeedHealth()
    made.ready = True
    return made


@pytest.fixture
def traded():
    return TradesInMemory()


@pytest.fixture
async def client(stored, listed, health, traded):
    app: Any = create(Sources(make(simulated=True), listed, stored, health, lambda: True, trades=traded))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as made:
        yield made
