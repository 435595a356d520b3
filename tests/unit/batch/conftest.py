"""Builders of batches and apps without a broker."""

import aiohttp
import pytest
import pytest_asyncio
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from k2stream.batch import BatchApp, batch_app_options
from k2stream.batch import _routing as routing
from tests.unit.batch.workers import Cluster


@pytest.fixture
def app():
    return BatchApp("unit", **batch_app_options("127.0.0.1:9"), web_enabled=False)


@pytest.fixture
def new_builder():
    """new_builder(limit) -> a function that makes aiokafka batch builders of that limit."""
    return lambda limit: lambda: BatchBuilder(limit, 0)


@pytest.fixture
def decode():
    """Records of one finished builder."""

    def records(builder):
        source = MemoryRecords(bytes(builder._build()))
        return list(source.next_batch())

    return records


@pytest_asyncio.fixture
async def cluster(monkeypatch):
    async with aiohttp.ClientSession() as client:
        made = Cluster(client)
        monkeypatch.setattr(routing, "is_ready", lambda app: app not in made.recovering)
        async with made.worker(), made.worker():
            yield made
