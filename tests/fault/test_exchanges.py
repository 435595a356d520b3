"""Exchanges that misbehave on the wire, against what they really traded: F10, F11."""

import asyncio
from collections import Counter, defaultdict
from functools import partial
from random import Random
from typing import Any

import httpx
import msgspec
import pytest

from k2stream import instruments, topics
from k2stream.model.events import EventKind, FeedEvent
from k2stream.reconcile.oracle import avro
from k2stream.reconcile.oracle.raw_log import read_to_end, retained
from k2stream.simulator.faults import FaultKind
from tests.fault import report
from tests.fault.platforms import exact, quiet, running, stats, until

pytestmark = pytest.mark.fault

# Kraken numbers nothing: what it leaves out within a connection nobody can know of.
CUTS: dict[FaultKind, dict[str, Any]] = {
    FaultKind.ABORT: {},
    FaultKind.CLOSE: {},
    FaultKind.REFUSE: {"seconds": 4.0},
    FaultKind.SILENCE: {"seconds": 45.0},  # longer than any exchange may be silent
    FaultKind.GARBAGE: {"count": 5},
    FaultKind.BINARY: {"count": 5},
    FaultKind.TRUNCATED: {"count": 5},
    FaultKind.HUGE: {"bytes": 10_000_000},
    FaultKind.ERROR: {},
    FaultKind.PONG: {"count": 5},
    FaultKind.DROP: {"count": 5},
    FaultKind.SHUTDOWN: {"seconds": 1.0},
    FaultKind.TAKE_AWAY: {},
    FaultKind.REFUSE_SYMBOL: {"count": 2},  # these three from the next subscription on
    FaultKind.LEAVE_OUT: {},
    FaultKind.RATE: {},
}
NEVER = {("kraken", FaultKind.DROP), ("binance", FaultKind.TAKE_AWAY)}
STORM = 20
BACKOFF_CAP = 4.0  # seconds


async def inject(platform, exchange, kind, **options):
    """Ask a simulated exchange for a fault."""
    async with httpx.AsyncClient(timeout=10) as client:
        body = {"exchange": exchange, "kind": kind.value, **options}
        (await client.post(f"{platform.control_url}/fault", json=body)).raise_for_status()


async def happened(platform):
    """The faults that really happened, with the ids they concern."""
    async with httpx.AsyncClient(timeout=10) as client:
        return (await client.get(f"{platform.control_url}/faults")).json()


async def feed_events(settings):
    """All feed events so far."""
    found = []
    async for _, records in read_to_end(settings.kafka, topics.FEED_EVENTS):
        found += [msgspec.json.decode(record.value, type=FeedEvent) for record in records]
    return found


def ids(entries):
    """The trade ids of log entries, by symbol."""
    found = defaultdict(set)
    for entry in entries:
        first, last = entry["ids"]
        found[entry["symbol"]] |= set(range(first, last + 1))
    return found


def missed(events, exchange, *kinds):
    """The ids that gaps told of, by symbol."""
    found = defaultdict(set)
    for event in events:
        if event.exchange == exchange and event.kind in kinds:
            found[event.symbol] |= set(range(event.first_missing, event.last_missing + 1))
    return found


async def subscribed(platform, *exchanges):
    """Whether exchanges have one connection each, with all their symbols."""
    listed = instruments.load(platform.settings.feeds.instruments_file)
    counts = await stats(platform)
    return all(
        counts[name]["open_connections"] == 1 and counts[name]["subscribed"] >= len(listed.for_exchange(name))
        for name in exchanges
    )


async def complete(platform):
    """Stop the exchanges, and wait until every trade since the first subscription is canonical; their number.

    The first snapshots of Coinbase bring some from before.
    """
    await platform.stop_feeds()
    counts = await stats(platform)
    made = {name: held["generated_trades"] - held["unheard_trades"] for name, held in counts.items()}

    canonical = Canonical(platform.settings.kafka)

    async def all_there():
        await platform.heal()
        return await canonical.counted() >= Counter(made)

    await until(all_there, 180, f"every trade of {made} to be canonical, gaps filled")
    found = await canonical.counted()
    assert (found["binance"], found["kraken"]) == (made["binance"], made["kraken"])
    assert found["coinbase"] <= counts["coinbase"]["generated_trades"]
    return found.total()


class Canonical:
    """The distinct trades of the normalized topic, of which each call reads what is new."""

    def __init__(self, settings):
        self._settings, self._records = settings, avro.Records(settings, "trade")
        self._ends, self._found = {}, set()

    async def counted(self):
        """How many, by exchange."""
        bounds = await retained(self._settings, topics.NORMALIZED)
        new = {n: at._replace(begin=self._ends.get(n, at.begin)) for n, at in bounds.items()}
        async for _, batch in read_to_end(self._settings, topics.NORMALIZED, new):
            trades = (self._records.read(record.value) or {} for record in batch)
            self._found |= {
                (trade["exchange"], trade["raw_partition"], trade["raw_offset"]) for trade in trades
            }
        self._ends = {number: at.end for number, at in bounds.items()}
        return Counter(exchange for exchange, _, _ in self._found)


async def test_f10_a_hostile_exchange_costs_no_trade(tmp_path):
    """F10: cuts, silence, storms, refusals, garbage: reconnected, resubscribed, gaps told and filled.

    Short form: tests/unit/feed/test_feed.py::test_an_abrupt_end_is_followed_by_all_subscriptions and
    test_silence_ends_the_connection.
    """
    random = Random("F10")
    wanted = [(name, kind) for name in topics.EXCHANGES for kind in CUTS if (name, kind) not in NEVER]
    random.shuffle(wanted)
    limits: dict[str, Any] = {"reconnect_base_seconds": 0.5, "reconnect_cap_seconds": BACKOFF_CAP}
    async with running(tmp_path, rate=300, **limits) as platform:
        injected = Counter()
        for name, kind in wanted:
            await quiet(platform, random.uniform(0.5, 4))
            if kind is FaultKind.TAKE_AWAY:  # of an earlier fault the exchange may have no subscription left
                await until(partial(subscribed, platform, name), 120, f"{name} is subscribed", platform)
            await inject(platform, name, kind, **CUTS[kind])
            injected[kind.value] += 1
        for _ in range(STORM):
            await quiet(platform, random.uniform(0.2, 1))
            await asyncio.gather(*(inject(platform, name, FaultKind.ABORT) for name in topics.EXCHANGES))
            injected["abort in the storm"] += len(topics.EXCHANGES)
        await until(
            partial(subscribed, platform, *topics.EXCHANGES),
            60,
            "one connection an exchange, with all its symbols",
        )
        await quiet(platform, 15)  # the next trade of each symbol shows the last gap
        trades = await complete(platform)
        log, events = await happened(platform), await feed_events(platform.settings)
        gap_ids = 0
        for name, event in (("binance", EventKind.GAP), ("coinbase", EventKind.JUMP)):
            dropped = ids(entry for entry in log if entry["exchange"] == name and entry["fault"] == "drop")
            told = missed(events, name, event)
            assert dropped
            assert all(dropped[symbol] <= told[symbol] for symbol in dropped), "a dropped id was not told of"
            gap_ids += sum(map(len, told.values()))
        held = await exact(platform)
        kinds = Counter(event.kind for event in events)
        fetched = sum(event.count for event in events if event.kind is EventKind.BACKFILLED)
        assert kinds[EventKind.REFUSED] > 3 and kinds[EventKind.WITHDRAWN] >= 2
        assert kinds[EventKind.SILENCE] >= 3 and kinds[EventKind.DISCONNECTED] > STORM
        assert fetched > 0
        assert not platform.restarts, "a worker ended for what an exchange did"
    report.record(
        "F10",
        injected,
        {
            "trades made": trades,
            "reconnects": kinds[EventKind.CONNECTED] - len(topics.EXCHANGES),
            "silences": kinds[EventKind.SILENCE],
            "ids told missing": gap_ids,
            "trades fetched": fetched,
            **held,
        },
    )


async def test_f11_copies_disorder_and_snapshots_are_counted_and_change_nothing(tmp_path):
    """F11: duplicates, reorder within 2 s, snapshots on subscribing: counters equal what was injected.

    Short form: tests/unit/feed/test_feed.py::test_copies_and_reordered_messages_all_arrive and
    test_a_snapshot_after_a_reconnect_overlaps_and_fills_the_gap.
    """
    limits: dict[str, Any] = {"grace_seconds": 10.0, "reconnect_base_seconds": 0.2}
    # What is held back looks like a gap: filling it would bring copies of its own.
    async with running(tmp_path, rate=300, gap_fill=False, **limits) as platform:
        for round_ in range(6):
            for name in topics.EXCHANGES:
                if name != "kraken":  # without ids a copy is a trade
                    await inject(platform, name, FaultKind.DUPLICATE, count=25)
                await inject(platform, name, FaultKind.REORDER, count=25, seconds=2.0)
            await quiet(platform, 5)
            if round_ % 2:
                await inject(platform, "coinbase", FaultKind.ABORT)
                await quiet(platform, 2)
        await quiet(platform, 5)
        trades = await complete(platform)
        log, counts = await happened(platform), await stats(platform)
        copies = {
            name: sum(
                entry["ids"][1] - entry["ids"][0] + 1
                for entry in log
                if (entry["exchange"], entry["fault"]) == (name, "duplicate")
            )
            for name in topics.EXCHANGES
        }
        await until(lambda: _duplicates_told(platform, "binance", copies["binance"]), 30, "duplicates told")
        held = await exact(platform)
        events = await feed_events(platform.settings)
        told = Counter()
        for event in events:
            if event.kind is EventKind.DUPLICATE:
                told[event.exchange] += event.count
        # A snapshot repeats what was seen, but for what was made while no connection was up.
        snapshots = counts["coinbase"]["snapshot_trades"]
        assert told["binance"] == copies["binance"] > 0
        assert copies["coinbase"] < told["coinbase"] <= copies["coinbase"] + snapshots
        assert sum(told.values()) == held["raw trades"] - held["canonical trades"]
    injected = Counter(entry["fault"] for entry in log)
    report.record("F11", injected, {"trades made": trades, "copies dropped": sum(told.values()), **held})


async def _duplicates_told(platform, exchange, count):
    events = await feed_events(platform.settings)
    told = sum(
        event.count for event in events if (event.kind, event.exchange) == (EventKind.DUPLICATE, exchange)
    )
    return told >= count
