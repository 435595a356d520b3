"""Clients and workers are killed at random: each client ends with the tables, nothing twice, in order."""

import asyncio
import random
from collections import Counter

import pytest

from k2stream.history.timeframes import timeframe
from k2stream.service.stream import history
from tests.unit.service.memory import candle
from tests.unit.service.stream.asking import MINUTE, T0, subscribe


class Market:
    """Revisions of windows of some symbols: in the tables first, published after, again after a crash."""

    def __init__(self, rng, broker, tables, symbols):
        self.rng, self.broker, self.tables, self.symbols = rng, broker, tables, symbols
        self.revisions, self.published, self.pending, self.count = {}, [], [], 0

    def step(self):
        chance, rng = self.rng.random(), self.rng
        if chance < 0.12 or not self.count:
            self.count += 1
            self.change(rng.choice(self.symbols), self.count - 1)
        elif chance < 0.75:
            late = rng.random() < 0.2
            self.change(rng.choice(self.symbols), rng.randrange(self.count) if late else self.count - 1)
        elif chance < 0.95:
            self.publish()
        else:
            self.crash()

    def change(self, item, at):
        """Fold some records into a window; its revision is published some time later."""
        window = T0 + at * MINUTE
        self.revisions[item.key, window] = self.revisions.get((item.key, window), 0) + self.rng.randint(1, 3)
        self.pending.append((item, window))
        self.tables.put(self.made(item, window, self.revisions[item.key, window]))

    def made(self, item, window, revision):
        self.raw = len(self.published) + len(self.pending)
        return candle(item, "1m", window, revision=revision)._replace(raw_offset=self.raw)

    def publish(self):
        for item, window in self.pending:
            self.send(self.made(item, window, self.revisions[item.key, window]))
        self.pending.clear()

    def send(self, made):
        self.published.append(made)
        self.broker.publish(made, self.symbols.index(self.symbols[0]))

    def crash(self):
        """What was published since the last commit is published again, in other steps; nothing is lost."""
        again = self.published[-self.rng.randint(1, 20) :]
        for made in again:
            self.send(made)
        for item, window in self.pending:
            before = self.revisions[item.key, window] - 1
            if before > 0:
                self.send(self.made(item, window, before))


class Kept:
    """What one client has, over all of its connections: it checks that nothing comes twice or backwards."""

    def __init__(self, since):
        self.candles, self.since = {}, since

    def take(self, messages):
        for message in messages:
            if "candle" in message:
                key = f"{message['exchange']}:{message['symbol']}"
                window, revision = message["candle"]["open_time"], message["candle"]["revision"]
                assert revision > self.candles.get((key, window), 0), (key, window, revision)
                self.candles[key, window] = revision
                self.since = message["resume"]
            elif message.get("op") == "caught_up":
                self.since = message["resume"]


@pytest.mark.parametrize("symbol", ["one", "*"])
@pytest.mark.parametrize("name", ["1m", "3m"])
@pytest.mark.parametrize("seed", range(5))
async def test_a_client_killed_at_random_ends_with_the_tables(
    joined, broker, tables, hub, listed, seed, name, symbol, monkeypatch
):
    monkeypatch.setattr(history, "PAGE", 5)
    rng = random.Random(seed)
    symbols = listed.for_exchange(listed[0].exchange)[:3]
    market, kept = Market(rng, broker, tables, symbols), Kept(timeframe(name).opening(T0))
    asked = {"timeframe": name} if symbol == "one" else {"timeframe": name, "symbol": "*"}
    for _ in range(20):
        market.step()

    def connect():
        client, inbox = joined(room=rng.choice([2, 5, 20, 10**9]))
        client.take(subscribe(symbols[0], since=kept.since, **asked))
        return client, inbox

    client, inbox = connect()
    kills = 0
    for _ in range(400):
        market.step()
        for _ in range(rng.choice([0, 1, 5])):
            await asyncio.sleep(0)
        if rng.random() < 0.2 and not inbox.gone:
            inbox.read(rng.choice([1, 10, 10**9]))
        if rng.random() < 0.1:
            # The client may have died before it read what was sent.
            kept.take(inbox.messages[: rng.randint(0, len(inbox.messages))])
            client.leave()
            inbox.lost()
            if rng.random() < 0.2:
                hub.stop()
            client, inbox = connect()
            kills += 1
    market.publish()
    wanted = Counter()
    for (key, window), revision in market.revisions.items():
        if symbol == "*" or key == symbols[0].key:
            wanted[key, timeframe(name).opening(window)] += revision
    inbox.read(10**9)
    read = 0

    def complete(messages):
        nonlocal read
        kept.take(messages[read:])
        read = len(messages)
        return kept.candles == wanted

    await inbox.until(complete)
    assert kills > 20
