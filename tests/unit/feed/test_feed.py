"""The feed's loop: exactness, reconnecting, faults of the wire, and a Kafka that is away."""

import asyncio
import json
import logging
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from k2stream import exchanges, instruments, topics
from k2stream.feed import Columns, Feed, MemoryPublisher, asking
from k2stream.feed import feed as feed_module
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.settings import Settings, make
from k2stream.simulator.faults import Fault, FaultKind

INSTRUMENTS = instruments.load(Settings().feeds.instruments_file)
EXCHANGES = ("binance", "kraken", "coinbase")


def numbers_of(exchange, record):
    """What a raw record says of a trade: (symbol, id, price, quantity, taker buys)."""
    trade = json.loads(record.value)
    if exchange == "binance":
        return trade["s"], trade["t"], trade["p"], trade["q"], not trade["m"]
    if exchange == "kraken":
        return trade["pair"], None, trade["price"], trade["volume"], trade["side"] == "b"
    return trade["product_id"], int(trade["trade_id"]), trade["price"], trade["size"], trade["side"] == "SELL"


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_every_trade_sent_arrives_once_with_its_digits(bench, exchange):
    made = await bench(exchange, rate=3000)
    await made.until(lambda: len(made.raw) > 1500)
    await made.drained()
    counts = made.venue.counts
    assert len(made.raw) == counts.sent_trades + counts.snapshot_trades
    assert made.letters == []
    happened = defaultdict(list)
    for line in made.recorded.read_text().splitlines():
        trade = json.loads(line)
        number = None if exchange == "kraken" else trade["id"]
        row = trade["symbol"], number, trade["price"], trade["quantity"], trade["taker_buy"]
        happened[trade["symbol"]].append(row)
    arrived = defaultdict(list)
    for record in made.raw:
        row = numbers_of(exchange, record)
        arrived[row[0]].append(row)
        assert record.key == row[0].encode()
    assert set(arrived) == set(happened)
    for symbol, rows in arrived.items():
        assert rows == happened[symbol][-len(rows) :]
    sequences = [json.loads(record.value)["k2_seq"] for record in made.raw]
    assert sorted(sequences) == list(range(len(sequences)))


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_rejected_subscription_is_told_and_counted(bench, caplog, exchange):
    unknown = [Instrument(exchange, name, name) for name in ("NO-SUCH/X", "ALSO/NOT")]
    made = await bench(exchange, symbols=unknown)
    with caplog.at_level(logging.ERROR):
        await made.until(lambda: made.feed.status.errors)
    assert made.events["exchange_error"] == made.feed.status.errors
    assert f"{exchange} SIMULATED: the exchange answered with an error" in caplog.text
    assert not made.raw


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_abrupt_end_is_followed_by_all_subscriptions(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    for times in range(1, 4):
        made.inject(FaultKind.ABORT)
        await made.until(lambda times=times: made.feed.status.reconnects == times)
        before = len(made.raw)
        await made.until(lambda before=before: made.feed.status.connected and len(made.raw) > before + 50)
    (client,) = made.venue.clients
    listed = instruments.load(Settings().feeds.instruments_file).for_exchange(exchange)
    assert set().union(*client.subscribed.values()) == {item.symbol for item in listed}
    await made.until(lambda: made.events["connected"] == 4)
    assert made.events["disconnected"] == 3
    connections = {json.loads(record.value)["k2_conn"] for record in made.raw}
    assert len(connections) == 4


async def test_refused_connections_are_tried_again(bench):
    made = await bench("kraken")
    await made.connected()
    made.inject(FaultKind.REFUSE, seconds=0.3)
    made.inject(FaultKind.ABORT)
    await made.until(lambda: made.feed.status.reconnects == 1 and made.feed.status.connected)
    assert made.events["disconnected"] == 1


async def test_silence_ends_the_connection(bench):
    made = await bench("kraken", silence_seconds=0.2)
    await made.connected()
    made.inject(FaultKind.SILENCE, seconds=0.5)
    await made.until(lambda: made.events["silence"])
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before)
    assert made.events["disconnected"] == made.feed.status.reconnects >= made.events["silence"]


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_subscriptions_without_an_answer_end_the_connection(bench, exchange, monkeypatch):
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3)
    made = await bench(exchange, silence_seconds=60.0)
    await made.connected()
    before = made.records(topics.FEED_EVENTS)
    made.inject(FaultKind.SILENCE, seconds=0.2)  # the request falls into it, and heartbeats begin after it
    made.inject(FaultKind.ABORT)
    await made.until(lambda: made.feed.status.reconnects == 2 and made.feed.status.connected)
    lost, unanswered, connected = made.records(topics.FEED_EVENTS)[len(before) :]
    assert [event["kind"] for event in (lost, unanswered, connected)] == [
        "disconnected", "disconnected", "connected"
    ]  # fmt: skip
    assert "without an answer" in unanswered["detail"]
    assert connected["since"] <= lost["time"]  # what came between is asked for
    count = len(made.raw)
    await made.until(lambda: len(made.raw) > count)


async def test_pings_of_a_quiet_exchange_are_no_silence(bench):
    made = await bench("binance", silence_seconds=0.3, options={"ages": {"binance_ping_seconds": 0.05}})
    await made.connected()
    made.simulator.stop_trading()
    await made.until(lambda: made.venue.counts.pongs >= 15)
    assert made.feed.status.reconnects == 0


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (FaultKind.GARBAGE, {}, ""),
        (FaultKind.BINARY, {}, ""),
        (FaultKind.TRUNCATED, {}, "truncated"),
        (FaultKind.HUGE, {"bytes": 1_000_000}, "of 1000000 bytes kept"),
        (FaultKind.HUGE, {"bytes": 10_000_000}, "of 10000000 bytes kept"),
    ],
    ids=["garbage", "binary", "truncated", "1 MB", "10 MB"],
)
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_unreadable_frame_is_dead_lettered_and_nothing_else_is_lost(
    bench, exchange, kind, options, said
):
    made = await bench(exchange)
    await made.connected()
    made.inject(kind, count=2, **options)
    await made.until(lambda: len(made.letters) == 2)
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before)
    await made.drained()
    counts = made.venue.counts
    assert len(made.raw) == counts.sent_trades + counts.snapshot_trades
    assert made.feed.status.rejected == made.venue.faults.done[kind] == 2
    assert all(cause and said in cause and original for cause, original in made.letters)
    assert made.feed.status.reconnects == 0


async def test_a_frame_over_the_limit_is_dead_lettered_and_the_feed_goes_on(bench):
    made = await bench("binance", max_frame_bytes=500_000)
    await made.connected()
    made.inject(FaultKind.HUGE, bytes=600_000)
    await made.until(lambda: made.letters and made.feed.status.connected and made.feed.status.reconnects == 1)
    ((cause, original),) = made.letters
    assert "larger than K2_MAX_FRAME_BYTES=500000" in cause
    assert original == b""
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_error_frame_leaves_the_feed_running(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.ERROR)
    await made.until(lambda: made.feed.status.errors == 1)
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before)
    assert made.feed.status.reconnects == 0


async def test_copies_and_reordered_messages_all_arrive(bench):
    made = await bench("binance", rate=2000)
    await made.connected()
    made.inject(FaultKind.DUPLICATE, count=20)
    made.inject(FaultKind.REORDER, count=20, seconds=0.2)
    made.inject(FaultKind.DROP, count=5)
    faults = made.venue.faults
    await made.until(lambda: sum(faults.done.values()) == 45)
    made.simulator.stop_trading()
    await made.until(lambda: not faults.delayed)
    expected = made.venue.counts
    await made.until(lambda: len(made.raw) == expected.sent_trades + 20)
    ids = defaultdict(list)
    for record in made.raw:
        symbol, number, *_ = numbers_of("binance", record)
        ids[symbol].append(number)
    missing = {
        (symbol, number)
        for symbol, seen in ids.items()
        for number in set(range(min(seen), max(seen))) - set(seen)
    }
    dropped = {(entry["symbol"], entry["ids"][0]) for entry in faults.log if entry["fault"] == "drop"}
    assert missing <= dropped
    assert sum(len(seen) - len(set(seen)) for seen in ids.values()) == 20


async def test_a_snapshot_after_a_reconnect_overlaps_and_fills_the_gap(bench):
    made = await bench("coinbase", rate=300)
    await made.until(lambda: len(made.raw) > 100)
    made.inject(FaultKind.ABORT)
    await made.until(lambda: made.feed.status.reconnects == 1 and made.feed.status.connected)
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before + 50)
    made.simulator.stop_trading()
    newest = {}  # what was on its way to the first connection went down with it
    for line in made.recorded.read_text().splitlines():
        trade = json.loads(line)
        newest[trade["symbol"]] = trade["id"]
    await made.until(lambda: newest.items() <= {numbers_of("coinbase", r)[:2] for r in made.raw})
    links = defaultdict(lambda: defaultdict(set))
    for record in made.raw:
        symbol, number, *_ = numbers_of("coinbase", record)
        links[json.loads(record.value)["k2_conn"]][symbol].add(number)
    first, second = links.values()
    assert any(first[symbol] & second[symbol] for symbol in first)
    for symbol in first:
        ids = first[symbol] | second[symbol]
        assert ids == set(range(min(ids), max(ids) + 1))
    assert made.events["lost_frames"] == 0


async def test_a_dropped_coinbase_frame_is_a_lost_frame(bench):
    made = await bench("coinbase")
    await made.connected()
    made.inject(FaultKind.DROP)
    await made.until(lambda: made.events["lost_frames"])
    assert made.events["lost_frames"] == 1


async def test_an_expected_close_is_no_warning(bench, caplog, monkeypatch):
    made = await bench("binance")
    made.feed._exchange = replace(made.feed._exchange, expected_close=lambda age: True)
    await made.connected()
    with caplog.at_level(logging.INFO):
        made.inject(FaultKind.CLOSE)
        await made.until(lambda: made.feed.status.reconnects == 1 and made.feed.status.connected)
    closed = [record for record in caplog.records if "as expected" in record.message]
    assert [record.levelno for record in closed] == [logging.INFO]


class HeldPublisher(MemoryPublisher):
    """A Kafka that answers only while `open` is set."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()
        self.waits = False
        self.largest = 0

    async def publish(self, columns):
        self.largest = max(self.largest, *(len(column.values) for column in columns.values()))
        self.waits = not self.open.is_set()
        await self.open.wait()
        await super().publish(columns)


async def test_kafka_away_bounds_memory_and_loses_nothing(bench):
    publisher = HeldPublisher()
    publisher.open.set()
    # Once trading has stopped, pings are all there is to hear.
    limits = {
        "pending_bytes": 100_000,
        "silence_seconds": 0.8,
        "options": {"ages": {"binance_ping_seconds": 0.05}},
    }
    made = await bench("binance", rate=6000, publisher=publisher, **limits)
    await made.until(lambda: len(made.raw) > 100)
    publisher.open.clear()
    await made.until(lambda: publisher.waits and made.feed._pending_size > 100_000)
    sent = made.venue.counts.sent_trades
    await made.until(lambda: made.venue.counts.sent_trades > sent + 6000)
    assert made.feed._pending_size < 101_000  # its limit and a frame
    assert made.feed.status.reconnects == 0
    publisher.open.set()
    await made.drained()
    assert len(made.raw) == made.venue.counts.sent_trades
    assert made.events["silence"] == 0
    assert publisher.largest > 1


async def test_frames_that_wait_go_out_together_and_a_single_one_at_once(bench):
    publisher = HeldPublisher()
    made = await bench("binance", rate=3000, publisher=publisher)
    await made.until(lambda: made.venue.counts.sent_trades > 1000)
    publisher.open.set()
    await made.drained()
    assert publisher.largest > 50


async def test_publishes_keep_their_distance(bench):
    published = []

    class Timed(MemoryPublisher):
        async def publish(self, columns):
            raw = columns.get((topics.raw("binance"), 0), Columns())
            published.append((asyncio.get_running_loop().time(), len(raw.values)))
            await super().publish(columns)

    made = await bench("binance", rate=3000, publisher=Timed(), binance_partitions=1)
    await made.until(lambda: len(made.raw) > 500)
    for (sooner, trades), (later, _) in pairwise(published):
        busy = trades >= feed_module.BUSY_TRADES
        wanted = feed_module.BUSY_PUBLISH_SECONDS if busy else feed_module.PUBLISH_SECONDS
        assert later - sooner > 0.8 * wanted
    assert any(trades >= feed_module.BUSY_TRADES for _, trades in published)


async def test_a_failed_publish_ends_the_feed(bench):
    class Broken(MemoryPublisher):
        async def publish(self, columns):
            raise RuntimeError("broker gone")

    made = await bench("kraken", publisher=Broken())
    with pytest.raises(RuntimeError, match="broker gone"):
        async with asyncio.timeout(60):
            await made.running
    assert not made.feed.status.connected


async def test_stop_publishes_what_was_received(bench):
    publisher = HeldPublisher()
    made = await bench("binance", publisher=publisher)
    await made.until(lambda: len(made.feed._pending) > 20)
    stopping = asyncio.create_task(made.feed.stop())
    await asyncio.sleep(0)
    publisher.open.set()
    await stopping
    await made.running
    assert not made.feed._pending
    assert len(made.raw) >= 20


async def test_one_exchange_down_leaves_the_others_alone(bench):
    kraken = await bench("kraken")
    binance = await bench("binance")
    await kraken.connected()
    await binance.connected()
    kraken.inject(FaultKind.REFUSE, seconds=5)
    kraken.inject(FaultKind.ABORT)
    await kraken.until(lambda: kraken.feed.status.reconnects == 1)
    before = len(binance.raw)
    await binance.until(lambda: len(binance.raw) > before + 200)
    assert binance.feed.status.reconnects == 0
    assert not kraken.feed.status.connected


async def test_the_log_has_a_line_that_says_simulated(bench, caplog):
    with caplog.at_level(logging.INFO):
        made = await bench("coinbase")
        await made.connected()
        await made.until(lambda: "coinbase SIMULATED: raw=" in caplog.text)
    assert "rejected=0 errors=0" in caplog.text


@pytest.mark.parametrize("url", ["http://host/", "localhost:9443", ""])
def test_a_url_that_is_none_is_named(url):
    with pytest.raises(ConfigError, match="K2_KRAKEN_WS_URL="):
        Feed(
            exchanges.get("kraken"),
            [Instrument("kraken", "XBT/USD", "BTC/USD")],
            MemoryPublisher(),
            make(kraken_ws_url=url).feeds,
            1,
        )


def test_an_exchange_without_symbols_is_named():
    with pytest.raises(ConfigError, match="no kraken symbols"):
        Feed(exchanges.get("kraken"), [], MemoryPublisher(), Settings().feeds, 1)


def test_a_fault_of_an_exchange_that_is_not_there():
    from k2stream.simulator import Options, Simulator

    simulator = Simulator([Instrument("kraken", "XBT/USD", "BTC/USD")], Options())
    with pytest.raises(ValueError, match="unknown exchange 'binance'"):
        simulator.inject(Fault(exchange="binance", kind=FaultKind.ABORT))


async def test_a_connection_says_since_when_the_feed_was_not_known_to_be_up(bench):
    made = await bench("kraken")
    made.feed.up_until |= {item.symbol: 17 for item in INSTRUMENTS.for_exchange("kraken")}
    await made.connected()
    before = len(made.raw)
    await made.until(lambda: len(made.raw) > before + 5)
    made.inject(FaultKind.REFUSE, seconds=0.2)
    made.inject(FaultKind.ABORT)
    await made.until(lambda: made.events["connected"] == 2)
    first, second = (event for event in made.records(topics.FEED_EVENTS) if event["kind"] in ("connected",))
    begun, lost = (event for event in made.records(topics.FEED_EVENTS) if event["kind"] == "disconnected")
    assert (begun["since"], begun["detail"]) == (17, "a worker starts")
    received = [json.loads(record.value)["k2_recv"] for record in made.raw]
    assert first["since"] == 17
    assert first["time"] < second["since"] <= lost["time"] < second["time"]
    assert second["since"] >= max(time for time in received if time <= lost["time"])


async def test_settled_is_when_all_that_was_received_is_durable(bench):
    gate = asyncio.Event()

    class Slow(MemoryPublisher):
        async def publish(self, columns):
            await gate.wait()
            await super().publish(columns)

    made = await bench("binance", publisher=Slow())
    await made.until(lambda: made.venue.counts.sent_trades > 50)
    settled = asyncio.create_task(made.feed.settled())
    done, _ = await asyncio.wait({settled}, timeout=0.1)
    assert not done and not made.raw
    gate.set()
    await asyncio.wait_for(settled, 60)
    assert made.raw
