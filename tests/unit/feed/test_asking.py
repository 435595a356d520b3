"""When what is not subscribed is asked for again."""

import asyncio
from itertools import pairwise

import pytest

from k2stream import exchanges
from k2stream.backoff import Backoff
from k2stream.exchanges.spec import Answer, Subscription
from k2stream.feed import asking
from k2stream.feed.subscriptions import Subscriptions
from k2stream.model.instrument import Instrument


class Asked:
    """An Asker whose requests are kept; waits are the longest that its backoff may draw."""

    def __init__(self, *symbols, base=0.01, cap=0.04):
        self.sent, self.given_up = [], []
        self.subscriptions = Subscriptions(symbols)
        self.asker = asking.Asker(
            exchanges.get("kraken"),
            {name: Instrument("kraken", name, name) for name in symbols},
            self.subscriptions,
            self.send,
            self.give_up,
            lambda: Backoff(base, cap, uniform=lambda low, high: high),
        )

    async def send(self, text):
        self.sent.append((asyncio.get_running_loop().time(), text))

    async def give_up(self, symbols):
        self.given_up.append(symbols)
        self.subscriptions.unanswered(symbols, 1)

    def refuse(self, *symbols):
        self.subscriptions.answer(Answer(Subscription.REFUSED, symbols), "no", 1)
        self.asker.changed.set()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(asking, "SPACING_SECONDS", 0.0)
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.05)


async def sent(asked, count):
    async with asyncio.timeout(60):
        while len(asked.sent) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_waits_double_up_to_the_cap():
    asked = Asked("A")
    running = asyncio.create_task(asked.asker.run())
    for count in range(1, 6):
        await sent(asked, count)
        asked.refuse("A")
    await sent(asked, 6)
    times = [time for time, _ in asked.sent]
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, [0.02, 0.04, 0.04, 0.04, 0.04], strict=True))
    running.cancel()


def test_a_subscription_that_held_starts_its_backoff_over():
    asker = Asked("A", base=1, cap=60).asker
    asker._asked = {"A": 0.0}
    assert [asker._wait("A", 1.0) for _ in range(3)] == [2, 4, 8]
    assert asker._wait("A", asking.STABLE_SECONDS - 1) == 16
    assert asker._wait("A", asking.STABLE_SECONDS) == 2


async def test_what_is_not_answered_in_time_is_given_up_and_asked_again():
    asked = Asked("A", "B")
    running = asyncio.create_task(asked.asker.run())
    await sent(asked, 1)
    asked.subscriptions.answer(Answer(Subscription.CONFIRMED, ("A",)), "", 1)
    asked.asker.changed.set()
    await sent(asked, 2)
    assert asked.given_up == [["A", "B"]]
    assert '"pair":["B"]' in asked.sent[1][1]
    running.cancel()
