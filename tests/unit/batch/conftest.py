"""Builders of batches and apps without a broker."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from k2stream.batch import BatchApp, batch_app_options


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
