"""The whole chain, raw to canonical to candles and stores, under crashes, replays, rebalances and zombies.

The workers are the product's own functions (tests/property/chain/); Hypothesis draws what happens to them.
In the end each trade is in each store once and in each of its candles, whatever came between.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from k2stream import topics
from k2stream.candles.state import to_candle
from k2stream.delivery import sink as base
from tests.property.chain.broker import Broker
from tests.property.chain.feed import RAW, SYMBOLS, Feed
from tests.property.chain.sink import SinkWorker
from tests.property.chain.store import Cold, Hot
from tests.property.chain.workers import CANDLES, GRACE, IDLE, Candles, Normaliser
from tests.property.test_sink_machine import FATES, ROUNDS
from tests.unit.candles import reference

NATIVE = {f"binance:{canonical}": symbol for symbol, canonical in SYMBOLS.items()}
COUNT = st.integers(0, 7) | st.just(1000)
STEPS = st.integers(0, 15) | st.just(1000)
WHO = st.sampled_from(["normaliser", "candles"])
STORE = st.sampled_from(["hot", "cold"])
KIND = {"normaliser": Normaliser, "candles": Candles}


class Chain(RuleBasedStateMachine):
    """One worker of each kind at a time, and perhaps the zombies of earlier ones."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.broker = Broker()
        self.feed = Feed(self.broker)
        self.stores = {"hot": Hot(), "cold": Cold()}
        self.workers = {name: kind(self.broker) for name, kind in KIND.items()}
        self.sinks = {name: self.sink(name) for name in self.stores}
        self.zombies = []
        self.copies = {name: [store.copy()] for name, store in self.stores.items()}

    def sink(self, name):
        return SinkWorker(self.broker, self.stores[name], self.loop)

    @rule(
        symbol=st.sampled_from(sorted(SYMBOLS)),
        seconds=st.lists(st.integers(-90, 90) | st.just(7200), min_size=1, max_size=5),
        price=st.integers(1, 9),
    )
    def publish(self, symbol, seconds, price):
        for number, step in enumerate(seconds):
            self.feed.publish(symbol, step, price + number)

    @rule(what=st.sampled_from(["repeat", "raw marker", "canonical marker", "publish", "close"]))
    def happen(self, what):
        """A trade comes twice; a transaction of somebody else's takes an offset; what clocks do."""
        candles: Any = self.workers["candles"]
        if what == "repeat":
            self.feed.repeat()
        elif what == "publish":
            candles.publish()
        elif what == "close":
            candles.close_silent(self.feed.time + IDLE)
        else:
            log = self.broker.log(RAW if what == "raw marker" else topics.NORMALIZED)
            if any(log.records):  # a source of nothing but markers shows no record to know it by
                log.append(None)

    @rule(who=WHO, count=COUNT, steps=STEPS, fate=st.sampled_from(["lives", "lives", "dies", "freezes"]))
    def work(self, who, count, steps, fate):
        """A delivery, some steps of a commit, and then perhaps the end."""
        worker = self.workers[who]
        worker.deliver(count)
        worker.go_on(steps)
        if fate != "lives":
            self.workers[who] = KIND[who](self.broker)
        if fate == "freezes":
            self.zombies.append(worker)

    @rule()
    def flow(self):
        """Nothing happens for a while: all that is there gets to its end."""
        for worker in self.workers.values():
            worker.deliver(1000)
            worker.finish()
        for name, sink in self.sinks.items():
            sink.deliver(1000)
            if not sink.flush([]):
                self.sinks[name] = self.sink(name)

    @rule(which=st.integers(0, 9), count=COUNT, steps=STEPS)
    def zombie_wakes(self, which, count, steps):
        """It has what it held, and does not know of its successor."""
        if self.zombies:
            zombie = self.zombies[which % len(self.zombies)]
            zombie.deliver(count)
            zombie.go_on(steps)
            zombie.arrive(count)

    @rule(
        store=STORE,
        count=COUNT,
        fates=st.none() | FATES,
        fate=st.sampled_from(["lives", "lives", "dies", "rebalances", "freezes"]),
    )
    def work_of_a_sink(self, store, count, fates, fate):
        """A delivery and perhaps a flush; a zombie flushes once another has begun."""
        sink = self.sinks[store]
        sink.deliver(count)
        if fate == "freezes":
            self.sinks[store] = self.sink(store)
        died = fates is not None and not sink.flush(fates)
        if fate == "rebalances":
            sink.rebalance()
        elif fate == "dies" or (died and fate != "freezes"):
            self.sinks[store] = self.sink(store)

    @rule(store=STORE, which=st.none() | st.integers(0, 9))
    def restore(self, store, which):
        """A backup is made; or the store comes back as one of them has it, the oldest of which is empty."""
        copies = self.copies[store]
        if which is None:
            copies.append(self.stores[store].copy())
        else:
            self.stores[store].restore(copies[which % len(copies)])

    # What must be so

    def teardown(self):
        try:
            self.finish()
            self.check()
        finally:
            self.loop.close()

    def finish(self):
        """The feed goes on: a worker that has read nothing since its start looks at its store then."""
        self.publish(min(SYMBOLS), [1], 1)
        self.flow()
        end = self.broker.log(topics.NORMALIZED).end
        for sink in self.sinks.values():
            for _ in range(ROUNDS):
                sink.deliver(1000)
                assert sink.flush([])
                sink.check()
                if (sink.committed or 0) == end:
                    break

    def check(self):
        told = Counter(
            (trade.key.partition(":")[2], str(number), trade.raw_offset)
            for (_, number), trade in self.feed.told.items()
        )
        for name, store in self.stores.items():
            assert store.view() == told, name
        windows, final, _ = reference.run(self.feed.told.values(), GRACE)
        found = self.candles()
        assert found.keys() == windows.keys()
        for window, trades in windows.items():
            candle = found[window]
            assert candle.final >= (window in final)
            wanted = reference.candle(window, trades, candle.final, NATIVE[window[1]], 0)
            assert candle == wanted

    def candles(self):
        """The highest revision of each, as a reader takes it."""
        found, candles = {}, cast(Iterable[Any], self.broker.log(CANDLES).records)
        for candle in candles:
            state = found.get(candle.window)
            if state is None or candle.state.revision >= state.revision:
                found[candle.window] = candle.state
        return {
            window: to_candle(state, window[1], NATIVE[window[1]], window[0], window[2])
            for window, state in found.items()
        }


def test_each_trade_is_everywhere_once_whatever_happens(monkeypatch):
    monkeypatch.setattr(base.backoff, "__defaults__", (0.0, 0.0))
    examples = 4 * settings().max_examples
    run_state_machine_as_test(Chain, settings=settings(max_examples=examples, stateful_step_count=30))
