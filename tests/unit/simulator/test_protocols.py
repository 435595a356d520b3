"""The protocols of the simulated exchanges, as a client sees them."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from itertools import pairwise

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from k2stream import instruments
from k2stream.settings import Settings
from k2stream.simulator import Options, Simulator

INSTRUMENTS = instruments.load(Settings().feeds.instruments_file)


@pytest.fixture
async def simulate():
    """A factory of running simulators."""
    async with AsyncExitStack() as stack:

        async def start(**options):
            simulator = Simulator(INSTRUMENTS, Options(**{"rate": 1000, **options}))
            return await stack.enter_async_context(simulator)

        yield start


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def asked(socket, request):
    """The next message that is no trade, after a request."""
    await socket.send(request if isinstance(request, str) else json.dumps(request))
    return await answer(socket)


async def answer(socket):
    async with asyncio.timeout(60):
        async for text in socket:
            message = json.loads(text)
            if isinstance(message, dict) and "stream" not in message:
                return message
    raise AssertionError("connection closed")


def subscribe(*params, number=1):
    return {"method": "SUBSCRIBE", "params": list(params), "id": number}


async def test_binance_answers_and_streams(simulate):
    simulator = await simulate()
    async with connect(simulator.urls["binance"]) as socket:
        assert await asked(socket, subscribe("btcusdt@trade", number=17)) == {"result": None, "id": 17}
        now = time.time() * 1000
        frames = [json.loads(await socket.recv()) for _ in range(20)]
        listed = await asked(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert listed == {"result": ["btcusdt@trade"], "id": 3}
    trades = [frame["data"] for frame in frames]
    assert {frame["stream"] for frame in frames} == {"btcusdt@trade"}
    assert list(trades[0]) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert [trade["t"] for trade in trades] == list(range(trades[0]["t"], trades[0]["t"] + 20))
    assert all(0 <= trade["E"] - trade["T"] < 5000 and abs(trade["T"] - now) < 10_000 for trade in trades)


async def test_binance_aggregates(simulate):
    simulator = await simulate(rate=3000)
    async with connect(simulator.urls["binance"]) as socket:
        await asked(socket, subscribe("btcusdt@aggTrade"))
        trades: list[dict[str, int]] = []
        async with asyncio.timeout(60):  # until one stands for several plain trades
            while len(trades) < 60 or all(trade["l"] == trade["f"] for trade in trades):
                trades.append(json.loads(await socket.recv())["data"])
    assert [trade["a"] for trade in trades] == list(range(trades[0]["a"], trades[0]["a"] + len(trades)))
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(trades))


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        ("{not json", 3, "Invalid JSON"),
        ("[]", 2, "expected an object"),
        (subscribe("nosuch@trade"), 2, "invalid stream"),
        (subscribe("btcusdt@nosuch"), 2, "invalid stream"),
        (subscribe("BTCUSDT@trade"), 2, "invalid stream"),
        (subscribe(1), 2, "params"),
        ({"method": "SUBSCRIBE", "params": [], "id": "x"}, 2, "unsigned integer"),
        ({"method": "NOPE", "params": [], "id": 1}, 2, "unknown variant"),
    ],
)
async def test_binance_refuses(simulate, request_, code, said):
    simulator = await simulate()
    async with connect(simulator.urls["binance"]) as socket:
        error = (await asked(socket, request_))["error"]
    assert error["code"] == code
    assert said in error["msg"]


async def test_binance_cuts_off_a_client_that_asks_too_often(simulate):
    simulator = await simulate()
    async with connect(simulator.urls["binance"]) as socket:
        with pytest.raises(ConnectionClosed, match="Too many requests"):
            for number in range(10):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
                await socket.recv()


async def test_binance_pings_and_closes_at_an_age(simulate):
    simulator = await simulate(ages={"binance_close_seconds": 0.3, "binance_ping_seconds": 0.05})
    async with connect(simulator.urls["binance"]) as socket:
        with pytest.raises(ConnectionClosed, match="connection age"):
            async with asyncio.timeout(60):
                await socket.recv()
    assert simulator.venues["binance"].counts.pongs >= 2


def kraken(*pairs, name="trade", event="subscribe", **more):
    return {"event": event, "pair": list(pairs), "subscription": {"name": name}, **more}


async def test_kraken_tells_its_status_and_each_pair(simulate):
    simulator = await simulate()
    async with connect(simulator.urls["kraken"]) as socket:
        status = await answer(socket)
        assert status["event"] == "systemStatus"
        assert status["connectionID"] > 2**63
        ok = await asked(socket, kraken("XBT/USD", "NO/PAIR", reqid=4))
        assert (ok["status"], ok["pair"], ok["channelName"], ok["reqid"]) == (
            "subscribed",
            "XBT/USD",
            "trade",
            4,
        )
        refused = await answer(socket)
        assert (refused["status"], refused["errorMessage"]) == (
            "error",
            "Currency pair not supported NO/PAIR",
        )
        assert "channelID" not in refused
        trades = [json.loads(await socket.recv()) for _ in range(5)]
        assert {trade[0] for trade in trades} == {ok["channelID"]}
        for _, rows, channel, pair in trades:
            assert (channel, pair) == ("trade", "XBT/USD")
            for price, volume, at, side, kind, misc in rows:
                assert all(isinstance(value, str) for value in (price, volume, at))
                assert len(at.partition(".")[2]) == 6
                assert (side in "bs", kind in "lm", misc) == (True, True, "")


async def test_kraken_answers_pings_and_beats_when_quiet(simulate):
    simulator = await simulate()
    async with connect(simulator.urls["kraken"]) as socket:
        await answer(socket)
        assert await asked(socket, {"event": "ping", "reqid": 42}) == {"event": "pong", "reqid": 42}
        assert (await asked(socket, "nonsense"))["event"] == "error"
        assert (await asked(socket, kraken("XBT/USD", name="nope")))["status"] == "error"
        assert (await asked(socket, kraken("XBT/USD")))["status"] == "subscribed"
        simulator.stop_trading()
        assert await answer(socket) == {"event": "heartbeat"}


def coinbase(channel="market_trades", *products):
    return {"type": "subscribe", "product_ids": list(products or ("BTC-USD", "ETH-USD")), "channel": channel}


async def test_coinbase_snapshots_updates_heartbeats_and_one_counter(simulate):
    simulator = await simulate(rate=20_000)
    venue = simulator.venues["coinbase"]
    await until(lambda: venue.counts.generated_trades > 3000)
    async with connect(simulator.urls["coinbase"]) as socket:
        for channel in ("market_trades", "heartbeats"):
            await socket.send(json.dumps(coinbase(channel)))
        frames = []
        async with asyncio.timeout(60):
            while not any(frame["channel"] == "heartbeats" for frame in frames):
                frames.append(json.loads(await socket.recv()))
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    channels = [frame["channel"] for frame in frames]
    assert channels[:3] == ["market_trades", "market_trades", "subscriptions"]
    assert frames[2]["events"] == [{"subscriptions": {"market_trades": ["BTC-USD", "ETH-USD"]}}]
    assert isinstance(frames[-1]["events"][0]["heartbeat_counter"], int)
    newest = {}
    for frame in frames[:2]:
        (event,) = frame["events"]
        ids = [int(trade["trade_id"]) for trade in event["trades"]]
        assert event["type"] == "snapshot"
        assert ids == list(range(ids[0], ids[0] - 100, -1))
        newest[event["trades"][0]["product_id"]] = ids[0]
    for frame in frames[2:]:
        for event in frame["events"] if frame["channel"] == "market_trades" else ():
            assert event["type"] == "update"
            for trade in event["trades"]:
                newest[trade["product_id"]] += 1
                assert int(trade["trade_id"]) == newest[trade["product_id"]]


async def test_coinbase_says_the_makers_side(simulate, tmp_path):
    record = tmp_path / "trades.jsonl"
    simulator = await simulate(record=record)
    async with connect(simulator.urls["coinbase"]) as socket:
        await socket.send(json.dumps(coinbase()))
        trades = {}
        while len(trades) < 30:
            for event in json.loads(await socket.recv())["events"]:
                trades |= {(t["product_id"], int(t["trade_id"])): t["side"] for t in event.get("trades", ())}
    taker = {
        (trade["symbol"], trade["id"]): trade["taker_buy"]
        for trade in map(json.loads, record.read_text().splitlines())
        if trade["exchange"] == "coinbase"
    }
    assert all(side == ("SELL" if taker[key] else "BUY") for key, side in trades.items())
    assert set(trades.values()) == {"BUY", "SELL"}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ("{", "failed to parse message"),
        ({"type": "hello"}, "unknown message type"),
        (coinbase("nope"), "not a valid channel"),
        (coinbase("market_trades", "NO-SUCH"), "NO-SUCH is not a valid product"),
        ({"type": "subscribe", "channel": "market_trades"}, "product_ids is required"),
    ],
)
async def test_coinbase_refuses(simulate, request_, reason):
    simulator = await simulate()
    async with connect(simulator.urls["coinbase"]) as socket:
        error = await asked(socket, request_)
    assert error["type"] == "error"
    assert "channel" not in error
    assert reason in error["reason"]


async def test_coinbase_ends_a_connection_that_does_not_subscribe(simulate, monkeypatch):
    monkeypatch.setattr("k2stream.simulator.protocols.coinbase.SUBSCRIBE_WITHIN_US", 100_000)
    simulator = await simulate()
    async with connect(simulator.urls["coinbase"]) as socket:
        with pytest.raises(ConnectionClosed, match="no subscription"):
            async with asyncio.timeout(60):
                await socket.recv()


async def test_a_connection_that_is_slow_to_close_does_not_stop_the_trading(simulate):
    simulator = await simulate()
    counts = simulator.venues["kraken"].counts
    async with connect(simulator.urls["kraken"]) as socket:
        assert (await asked(socket, kraken("XBT/USD")))["event"] == "systemStatus"
        await until(lambda: counts.sent_trades > 10)
        socket.transport.pause_reading()
        socket.protocol.send_close(1000)
        for data in socket.protocol.data_to_send():
            socket.transport.write(data)
        before = counts.generated_trades
        await until(lambda: counts.generated_trades > before + 50)
        assert counts.closed_connections == 0
        socket.transport.resume_reading()


async def test_the_control_endpoint(simulate):
    simulator = await simulate()
    async with httpx.AsyncClient(base_url=simulator.control.url) as client:
        bad = await client.post("/fault", json={"exchange": "binance", "kind": "nope"})
        assert bad.status_code == 400
        assert "nope" in bad.json()["error"]
        unknown = await client.post("/fault", json={"exchange": "ftx", "kind": "abort"})
        assert "unknown exchange 'ftx'" in unknown.json()["error"]
        good = await client.post("/fault", json={"exchange": "binance", "kind": "refuse", "seconds": 60})
        assert good.json() == {"ok": True}
        with pytest.raises(InvalidStatus, match="503"):
            await connect(simulator.urls["binance"])
        stopped = (await client.post("/stop-feeds")).json()
        stats = (await client.get("/stats")).json()
        assert stats["simulated"] is True
        for name, counts in stats["exchanges"].items():
            assert counts["generated_trades"] == stopped["exchanges"][name]["generated_trades"]
        await client.post("/start-feeds")
        for name, counts in stopped["exchanges"].items():
            made = simulator.venues[name].counts
            await until(lambda made=made, before=counts: made.generated_trades > before["generated_trades"])
        assert (await client.get("/faults")).json() == [{"exchange": "binance", "fault": "refuse"}]


async def test_a_given_start_time_and_seed_are_reproduced_on_the_wire(simulate, tmp_path):
    start = 1_700_000_000_000_000
    recorded = []
    for name in ("first", "second"):
        record = tmp_path / name
        simulator = await simulate(start_us=start, seed=3, record=record, rate=2000)
        for venue in simulator.venues.values():
            await until(lambda counts=venue.counts: counts.generated_trades > 100)
        trades = list(map(json.loads, record.read_text().splitlines()))
        recorded.append({n: [t for t in trades if t["exchange"] == n][:100] for n in simulator.venues})
    assert recorded[0] == recorded[1]
    assert all(start <= trade["time_us"] < start + 60_000_000 for trade in recorded[0]["kraken"])
