"""`k2 up` keeps the platform running, whatever becomes of the status that it shows."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from rich.console import Console

from k2stream.commands import up
from k2stream.commands.output import Printer
from k2stream.embedded.errors import StackError
from k2stream.model.errors import ConfigError
from k2stream.settings import make

SECONDS = 10


class Healed:
    """A platform that is told to stop once it was looked after three times."""

    service_url = "http://127.0.0.1:1"

    def __init__(self, folder, stop):
        self.urls, self.refused = {}, {}
        self.settings, self.heals, self._stop = make(data_dir=str(folder)), 0, stop

    def memory(self):
        return {}

    async def heal(self):
        self.heals += 1
        if self.heals == 3:
            self._stop.set()


def failing(error):
    async def status(*_: Any):
        for each in (error,):
            raise each
        yield

    return status


async def hanging(*_: Any):
    await asyncio.Event().wait()
    yield


UNREAD = [
    failing(ConfigError("the broker does not report what group k2-hot has read: try again")),
    failing(KafkaTimeoutError("Failed to get offsets")),
    hanging,
]


@pytest.mark.parametrize("status", UNREAD)
async def test_a_status_that_cannot_be_read_neither_ends_nor_delays_anything(status, tmp_path, monkeypatch):
    """A broker that answered late ended all feeds, and a worker that died meanwhile was not started."""
    monkeypatch.setattr(up, "watch_status", status)
    monkeypatch.setattr(up, "PERIOD_SECONDS", 0.01, raising=False)
    stop = asyncio.Event()
    platform: Any = Healed(tmp_path, stop)
    async with asyncio.timeout(SECONDS):
        await up._watch(platform, Console(quiet=True), stop, Printer(as_json=True), plain=True)
    assert platform.heals == 3


async def test_a_part_that_has_died_still_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(up, "watch_status", hanging)
    dead: Any = Healed(tmp_path, asyncio.Event())

    async def heal():
        raise StackError("kafka was killed")

    dead.heal = heal
    with pytest.raises(StackError, match="kafka was killed"):
        async with asyncio.timeout(SECONDS):
            await up._watch(dead, Console(quiet=True), asyncio.Event(), Printer(as_json=True), plain=True)


async def test_a_fault_of_the_view_is_no_status_that_cannot_be_read(tmp_path, monkeypatch):
    async def faulty(*_: Any):
        yield SimpleNamespace()

    monkeypatch.setattr(up, "watch_status", faulty)
    platform: Any = Healed(tmp_path, asyncio.Event())
    with pytest.raises(AttributeError):
        async with asyncio.timeout(SECONDS):
            await up._watch(platform, Console(quiet=True), asyncio.Event(), Printer(as_json=True), plain=True)
