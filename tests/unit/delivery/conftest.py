import pytest

from k2stream.delivery import sink
from tests.unit.delivery.memory import Acks


@pytest.fixture
def acks():
    return Acks()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sink.backoff, "__defaults__", (0.001, 0.002))
