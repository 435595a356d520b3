"""A replay that takes longer than its claims allow says which dead letters went back."""

import asyncio
import threading
from typing import Any

import pytest

from k2stream import deadletter, topics
from k2stream.deadletter import DeadLetter
from k2stream.dlq import replay as module
from k2stream.dlq.claims import Id, Replay
from k2stream.dlq.plan import LetterPlan
from k2stream.settings import make

TABLE = "cold.silver_trades"


class Producer:
    """Everything is durable at once."""

    async def send(self, *_, **__):
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def flush(self):
        pass


@pytest.fixture
def release():
    made = threading.Event()
    yield made
    made.set()


def letter(offset):
    given = {"stage": "cold", "reader": TABLE, "topic": topics.NORMALIZED, "partition": 0, "offset": offset}
    return DeadLetter(cause="bad", exchange="kraken", time=1, original=deadletter.original(b"{}"), **given)


async def test_letters_that_are_not_finished_in_time_are_told(monkeypatch, release):
    producer: Any = Producer()
    run = module._Run(make(), None, producer)  # type: ignore[arg-type]
    items = [module.Item(Id(n, 1), LetterPlan(TABLE, (), letter=letter(n))) for n in range(3)]

    async def log(_):
        return {item.id: Replay(run._name, 0, TABLE, {}) for item in items}

    def put(settings, found):
        if found.offset == 1:
            release.wait(20)
        return 1

    monkeypatch.setattr(module, "replays", log)
    monkeypatch.setattr(module, "put", put)
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.5)
    found = await run.put_back(items)
    release.set()
    assert [(each.number, each.trades) for each in found] == [(0, 1), (1, 0), (2, 0)]
    assert found[0].text == f"replayed: into {TABLE}"
    assert {each.text for each in found[1:]} == {
        "refused: not finished within 0.5 s; try again in two minutes"
    }
