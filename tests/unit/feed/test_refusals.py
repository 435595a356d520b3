"""What exchanges answer besides yes: no, not all, not any more, too often, and goodbye."""

import json
import logging

import pytest

from k2stream import topics
from k2stream.backfill.down import down_since
from k2stream.feed import asking
from k2stream.model import clock
from tests.unit.feed.scripted import scripted


def status(pair, state="subscribed", **more):
    """Kraken's answer for a pair."""
    said = {"event": "subscriptionStatus", "pair": pair, "status": state, "subscription": {"name": "trade"}}
    return json.dumps({"channelID": 1, "channelName": "trade", **said, **more})


def listed(number, *products, **more):
    """Coinbase's list of what is subscribed."""
    channels = {"market_trades": list(products), **more}
    return json.dumps(
        {"channel": "subscriptions", "sequence_num": number, "events": [{"subscriptions": channels}]}
    )


def kraken_trade(pair):
    now = clock.now_us()
    return json.dumps([1, [["5.0", "0.1", f"{now // 10**6}.{now % 10**6:06d}", "b", "m", ""]], "trade", pair])


def pairs_of(asked):
    return [set(request.get("pair", request.get("product_ids", ()))) for request in asked]


async def test_a_refused_pair_is_told_asked_again_and_healthy_once_it_is_subscribed(caplog):
    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(status("XBT/USD"))
        for _ in range(3):
            await socket.send(status("ETH/USD", "error", errorMessage="Exceeded msg rate"))
            await socket.send(kraken_trade("XBT/USD"))
            await exchange.recv(socket)
        await socket.send(status("ETH/USD"))

    with caplog.at_level(logging.ERROR):
        async with scripted("kraken", ["XBT/USD", "ETH/USD"], play, reconnect_cap_seconds=0.3) as exchange:
            await exchange.until(lambda: exchange.publisher.topics.get(topics.raw("kraken")))
            assert not exchange.feed.status.connected
            assert exchange.healthy("XBT/USD") is True
            assert exchange.healthy("ETH/USD") is False
            refused = clock.now_us()
            await exchange.until(lambda: exchange.feed.status.connected)
            await exchange.until(lambda: ("ETH/USD", "") in exchange.told("subscribed"))
            assert exchange.connections == 1
            assert exchange.healthy("ETH/USD") is True
            assert exchange.healthy("ETH/USD", refused - 1, refused) is False
    assert pairs_of(exchange.asked) == [{"XBT/USD", "ETH/USD"}, {"ETH/USD"}, {"ETH/USD"}, {"ETH/USD"}]
    assert exchange.told("refused") == [("ETH/USD", "ETH/USD Exceeded msg rate")]
    assert "no subscription of ETH/USD: refused: ETH/USD Exceeded msg rate" in caplog.text


async def test_an_outage_that_began_before_a_refusal_is_told_by_symbol():
    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(status("XBT/USD"))
        if exchange.connections == 2:
            await socket.send(status("ETH/USD", "error", errorMessage="no"))
            await exchange.recv(socket)
        await socket.send(status("ETH/USD"))
        if exchange.connections == 1:
            await socket.send(kraken_trade("XBT/USD"))
            await socket.close()

    async with scripted("kraken", ["XBT/USD", "ETH/USD"], play) as exchange:
        await exchange.until(lambda: exchange.told("refused"))
        await exchange.until(lambda: len(exchange.told("subscribed")) == 2)
    (lost,) = (event for event in exchange.events if event.kind == "disconnected")
    first, second = (event for event in exchange.events if event.kind == "subscribed")
    assert (first.symbol, second.symbol) == ("XBT/USD", "ETH/USD")
    assert 0 < first.since == second.since == lost.since <= lost.time < first.time < second.time
    begun, whole = (event for event in exchange.events if event.kind == "connected")
    assert begun.since == 0 and whole.since == whole.time == second.time


async def test_an_outage_is_not_over_for_a_worker_that_is_killed_before_all_is_answered():
    """What trades came by then is no proof that the time before was told of."""

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(status("XBT/USD"))
        await socket.send(kraken_trade("XBT/USD"))

    symbols = ["XBT/USD", "ETH/USD"]
    async with scripted("kraken", symbols, play, up_until=17) as exchange:
        await exchange.until(lambda: exchange.publisher.topics.get(topics.raw("kraken")))
        assert down_since(exchange.events, symbols) == {"XBT/USD": 17, "ETH/USD": 17}
        assert exchange.healthy("XBT/USD") is False


async def test_a_refused_request_of_binance_is_asked_for_one_by_one():
    async def play(exchange, socket):
        while True:
            request = await exchange.recv(socket)
            if "badusdt@trade" in request["params"]:
                number = request["id"] if len(request["params"]) > 1 else None
                error = {"code": 2, "msg": "Invalid request: invalid stream"}
                await socket.send(json.dumps({"error": error, "id": number}))
            else:
                await socket.send(json.dumps({"result": None, "id": request["id"]}))

    async with scripted("binance", ["AUSDT", "BADUSDT", "BUSDT"], play) as exchange:
        await exchange.until(lambda: len(exchange.asked) > 5)
        assert not exchange.feed.status.connected
        assert [exchange.healthy(name) for name in exchange.symbols] == [True, False, True]
    assert [symbol for symbol, _ in exchange.told("refused")] == exchange.symbols
    assert {symbol for symbol, _ in exchange.told("subscribed")} == {"AUSDT", "BUSDT"}
    numbers = [request["id"] for request in exchange.asked]
    assert len(numbers) == len(set(numbers))
    assert all(len(request["params"]) == 1 for request in exchange.asked[1:])


@pytest.mark.parametrize("answer", [{"result": ["x@trade"], "id": 1}, {"result": None, "id": 9}])
async def test_not_every_result_of_binance_is_a_yes(answer, monkeypatch):
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.1)

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(json.dumps(answer))

    async with scripted("binance", ["AUSDT"], play) as exchange:
        await exchange.until(lambda: exchange.connections == 2)
        assert not exchange.feed.status.connected
    assert "subscriptions without an answer" in exchange.told("disconnected")[0][1]


async def test_a_coinbase_channel_that_is_refused_is_not_up_for_its_heartbeats():
    async def play(exchange, socket):
        while True:
            request = await exchange.recv(socket)
            if request["channel"] == "market_trades":
                await socket.send('{"type":"error","message":"authentication failure"}')
            else:
                heartbeats = {"subscriptions": {"heartbeats": ["heartbeats"]}}
                await socket.send(
                    json.dumps({"channel": "subscriptions", "sequence_num": 0, "events": [heartbeats]})
                )

    async with scripted("coinbase", ["BTC-USD"], play) as exchange:
        await exchange.until(lambda: len(exchange.asked) > 3)
        assert not exchange.feed.status.connected
        assert exchange.healthy("BTC-USD") is False
        assert exchange.connections == 1
    assert exchange.told("refused") == [("BTC-USD", "authentication failure")]


@pytest.mark.parametrize("exchange_name", ["kraken", "coinbase"])
async def test_what_an_exchange_takes_away_is_told_and_asked_for_again(exchange_name):
    symbols = {"kraken": ["XBT/USD", "ETH/USD"], "coinbase": ["BTC-USD", "ETH-USD"]}[exchange_name]
    gone = symbols[1]

    async def play(exchange, socket):
        await exchange.recv(socket)
        if exchange_name == "kraken":
            for symbol in symbols:
                await socket.send(status(symbol))
            await exchange.until(lambda: exchange.feed.status.connected)
            await socket.send(status(gone, "unsubscribed"))
        else:
            await socket.send(listed(0, *symbols))
            await exchange.recv(socket)
            await exchange.until(lambda: exchange.feed.status.connected)
            await socket.send(listed(1, symbols[0], heartbeats=["heartbeats"]))
        await exchange.until(lambda: not exchange.feed.status.connected)
        await exchange.recv(socket)
        await socket.send(status(gone) if exchange_name == "kraken" else listed(2, *symbols))

    async with scripted(exchange_name, symbols, play, reconnect_cap_seconds=0.3) as exchange:
        await exchange.until(lambda: exchange.told("withdrawn"))
        assert exchange.healthy(gone) is False
        assert exchange.healthy(symbols[0]) is True
        await exchange.until(lambda: exchange.feed.status.connected)
        await exchange.until(lambda: exchange.told("subscribed"))
        assert exchange.healthy(gone) is True
    (lost,) = (event for event in exchange.events if event.kind == "withdrawn")
    (again,) = (event for event in exchange.events if event.kind == "subscribed")
    assert lost.symbol == again.symbol == gone
    assert again.since == lost.since == lost.time < again.time
    assert pairs_of(exchange.asked)[-1] == {gone}


async def test_a_product_that_coinbase_leaves_out_is_named():
    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(listed(0, "BTC-USD"))
        for number in (1, 2, 3):
            await exchange.recv(socket)
            await socket.send(listed(number, "BTC-USD", heartbeats=["heartbeats"]))

    async with scripted("coinbase", ["BTC-USD", "GONE-USD"], play) as exchange:
        await exchange.until(lambda: len(exchange.asked) == 4)
        assert not exchange.feed.status.connected
        assert exchange.healthy("GONE-USD") is False
        assert exchange.healthy("BTC-USD") is True
    assert exchange.told("refused") == [
        ("GONE-USD", "not among the subscriptions that the exchange confirms")
    ]
    assert pairs_of(exchange.asked)[2:] == [{"GONE-USD"}, {"GONE-USD"}]


async def test_an_answer_that_does_not_come_costs_only_its_pair(monkeypatch):
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.1)

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(status("XBT/USD"))
        await exchange.recv(socket)
        await socket.send(status("ETH/USD", "error", errorMessage="Already subscribed"))

    async with scripted("kraken", ["XBT/USD", "ETH/USD"], play) as exchange:
        await exchange.until(lambda: exchange.feed.status.connected)
        assert exchange.connections == 1
        assert exchange.feed.status.errors == 0
    assert exchange.told("refused") == [("ETH/USD", "no answer")]


async def test_a_notice_of_shutdown_is_followed_by_a_new_connection_at_once(caplog):
    async def play(exchange, socket):
        request = await exchange.recv(socket)
        await socket.send(json.dumps({"result": None, "id": request["id"]}))
        if exchange.connections == 1:
            await exchange.until(lambda: exchange.feed.status.connected)
            await socket.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')

    with caplog.at_level(logging.INFO):
        async with scripted("binance", ["AUSDT"], play, reconnect_base_seconds=60.0) as exchange:
            await exchange.until(lambda: exchange.connections == 2 and exchange.feed.status.connected)
    assert "closed by the exchange as expected" in exchange.told("disconnected")[0][1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_exchange_that_always_shuts_down_is_not_asked_in_a_storm():
    async def play(exchange, socket):
        request = await exchange.recv(socket)
        await socket.send(json.dumps({"result": None, "id": request["id"]}))
        await socket.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')

    pause = {"reconnect_base_seconds": 60.0, "reconnect_cap_seconds": 60.0}
    async with scripted("binance", ["AUSDT"], play, **pause) as exchange:
        await exchange.until(lambda: len(exchange.told("disconnected")) == 2)
        assert exchange.connections == 2


async def test_an_error_of_kraken_without_an_event_is_an_error_with_its_text(caplog):
    symbols = ["XBT/USD", "ETH/USD", "SOL/USD"]

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send('{"Error":"Exceeded msg rate"}')
        await exchange.recv(socket)
        for symbol in symbols:
            await socket.send(status(symbol))

    with caplog.at_level(logging.ERROR):
        async with scripted("kraken", symbols, play) as exchange:
            await exchange.until(lambda: exchange.feed.status.connected)
            assert (exchange.feed.status.errors, exchange.feed.status.unknown) == (1, 0)
    assert exchange.told("exchange_error") == [("", "Exceeded msg rate")]
    assert exchange.told("refused") == [(symbol, "Exceeded msg rate") for symbol in symbols]
    assert pairs_of(exchange.asked) == [set(symbols)] * 2  # not one by one: there were too many messages
    assert "the exchange answered with an error: Exceeded msg rate" in caplog.text


def numbered(number, trade):
    told = {"trade_id": str(trade), "product_id": "A-USD", "price": "1", "size": "1", "side": "BUY"}
    events = [{"type": "update", "trades": [{**told, "time": "2026-01-01T00:00:01Z"}]}]
    return json.dumps({"channel": "market_trades", "sequence_num": number, "events": events})


@pytest.mark.parametrize("order", [(1, 2, 2, 3, 1, 4), (1, 3, 2, 4), (2, 1, 3, 5, 4)])
async def test_repeated_and_swapped_frames_are_no_loss(order):
    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(listed(0, "A-USD"))
        for number in order:
            await socket.send(numbered(number, number))
        await exchange.recv(socket)
        await socket.close()

    async with scripted("coinbase", ["A-USD"], play) as exchange:
        await exchange.until(lambda: exchange.told("disconnected"))
        raw = [json.loads(record.value) for record in exchange.publisher.topics[topics.raw("coinbase")]]
        assert [int(trade["trade_id"]) for trade in raw[: len(order)]] == list(order)
    assert exchange.told("lost_frames") == []


async def test_frames_that_never_come_are_lost_from_the_frame_before_to_the_one_behind():
    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(listed(0, "A-USD"))
        for number in (1, 4, 3):
            await socket.send(numbered(number, number))
            await exchange.until(
                lambda number=number: any(
                    json.loads(record.value)["trade_id"] == str(number)
                    for record in exchange.publisher.topics.get(topics.raw("coinbase"), [])
                )
            )
        await socket.close()

    async with scripted("coinbase", ["A-USD"], play) as exchange:
        await exchange.until(lambda: exchange.told("lost_frames"))
    raw = [json.loads(record.value) for record in exchange.publisher.topics[topics.raw("coinbase")]]
    (lost,) = (event for event in exchange.events if event.kind == "lost_frames")
    assert lost.count == 1
    assert (lost.since, lost.time) == (raw[0]["k2_recv"], raw[1]["k2_recv"])
