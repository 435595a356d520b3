"""Rows of REST answers that cannot be read: they are dead letters, and nothing else is lost or waits."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from k2stream import exchanges, topics
from k2stream.backfill import ids, outages, past
from k2stream.backfill.client import RestClient
from k2stream.backfill.filler import Filler
from k2stream.backfill.past import BackfillReport
from k2stream.backfill.resume import BackfillFile, BackfillProgress
from k2stream.backfill.span import TradeSpan
from k2stream.deadletter import DeadLetter
from k2stream.exchanges.rest.spec import Past
from k2stream.model.events import EventKind
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade

from .fake_rest import FakeRestClient, numbered
from .test_fill import SETTINGS, answers, connected, gap, kraken, published, raw_topic, task
from .test_filler import PARTITION, Group, record

__all__ = ["raw_topic"]

BINANCE: Any = exchanges.get("binance")
ROW = {"price": "1", "qty": "1", "time": 1_600_000_000_000, "isBuyerMaker": True}
UNREAD = "rows that the exchange returned cannot be read: see the dead letters"


def letters(publisher):
    records = publisher.topics.get(topics.DLQ, [])
    return [msgspec.json.decode(record.value, type=DeadLetter) for record in records]


def unreadable(name, trades, *numbers):
    """A task, of whose REST answers these rows cannot be read."""
    work, publisher = task(exchanges.get(name), trades)
    work.client.unreadable = set(numbers)
    return work, publisher


class Connection:
    """Binance's REST interface, with a row of an id in place of what it should be."""

    url = "http://exchange"

    def __init__(self, odd):
        self.odd = odd

    async def get(self, request, parse):
        first = int(request.query.get("fromId", 99))
        rows = [ROW | {"id": number} for number in range(first, first + int(request.query["limit"]))]
        return parse(json.dumps([self.odd.get(row["id"], row) for row in rows]).encode())


async def test_a_bad_row_costs_no_other_trade_and_no_other_gap():
    """One row without a side kept every gap of the exchange waiting for good."""
    odd = {name: value for name, value in ROW.items() if name != "isBuyerMaker"} | {"id": 3}
    work, publisher = task(BINANCE, {})
    client: Any = RestClient("binance", BINANCE.history, "http://exchange", base=0.01, cap=0.02)
    client._connection = Connection({3: odd})
    object.__setattr__(work, "client", client)
    group = Group(publisher)
    async with asyncio.timeout(30):
        await Filler(work)._answer(group, PARTITION, [record(5, gap(1, 5)), record(6, gap(8, 8))])
    assert [trade["t"] for trade in published(publisher)] == [1, 2, 4, 5, 8]
    (letter,) = letters(publisher)
    assert (letter.stage, letter.exchange, letter.connection) == ("ingest", "binance", work.output.connection)
    assert "BTCUSDT" in letter.cause and "isBuyerMaker" in letter.cause
    assert json.loads(base64.b64decode(letter.original)) == odd
    said = "1 are permanently missing: the exchange does not return them; 1 " + UNREAD
    assert [(event.count, event.detail) for event in answers(publisher)] == [(4, said), (1, "")]
    assert group.commits[-1][0] == 7


@pytest.mark.parametrize("name", ["binance", "coinbase"])
async def test_a_page_of_bad_rows_does_not_end_its_gap(name):
    work, publisher = unreadable(name, {"BTCUSDT": numbered(*range(5000))}, *range(1000, 2000))
    await ids.fill(work, gap(1000, 3499, exchange=name))
    assert [item["t"] for item in published(publisher, name)] == list(range(2000, 3500))
    assert len(letters(publisher)) == 1000


@pytest.mark.parametrize("name", ["binance", "coinbase"])
async def test_a_newest_row_that_is_bad_is_not_waited_for(name):
    work, publisher = unreadable(name, {"BTCUSDT": numbered(*range(10))}, 9)
    async with asyncio.timeout(30):
        await ids.fill(work, gap(8, 9, exchange=name))
    assert [item["t"] for item in published(publisher, name)] == [8]
    assert [base64.b64decode(letter.original) for letter in letters(publisher)] == [b"9"]


async def test_a_bad_row_of_other_ids_than_the_gaps_is_no_loss():
    """Coinbase answers with the thousand trades up to an id."""
    work, publisher = unreadable("coinbase", {"BTCUSDT": numbered(*range(2000))}, 1500)
    await ids.fill(work, gap(1600, 1610, exchange="coinbase"))
    assert len(published(publisher, "coinbase")) == 11 and not letters(publisher)


async def test_an_outage_is_filled_but_for_its_bad_rows(raw_topic):
    now = connected(0).time
    trades = kraken(*range(now - 3000, now))
    work, publisher = unreadable("kraken", {"XBT/USD": trades}, 700, 999, 2999)
    async with asyncio.timeout(30):
        await outages.fill(work, connected(now - 3000))
    assert len(published(publisher, "kraken")) == 2997 and len(letters(publisher)) == 3
    assert answers(publisher)[0].detail == "3 " + UNREAD


async def test_a_backfill_reports_what_it_could_not_read(tmp_path, monkeypatch):
    client = FakeRestClient(BINANCE, {"BTCUSDT": numbered(*range(2500))}, unreadable=[5, 1200])
    work, publisher = task(BINANCE, {})

    @asynccontextmanager
    async def client_of(*_):
        yield client

    monkeypatch.setattr(past, "client_of", client_of)
    span, instrument = TradeSpan(0, 2000), Instrument("binance", "BTCUSDT", "BTC/USDT")
    file, silent = BackfillFile(tmp_path, instrument, span), BackfillReport(print, print)
    done = await past._fetch(SETTINGS, instrument, span, work.output, file, BackfillProgress(), silent)
    assert (done.fetched, done.published, done.unreadable) == (1998, 1998, 2)
    assert file.read() == done and len(letters(publisher)) == 2
    event = past._event(SETTINGS.feeds, instrument, span, done)
    assert event.kind is EventKind.BACKFILLED and event.detail.endswith("; 2 " + UNREAD)


async def test_a_trade_that_fits_no_record_is_a_dead_letter():
    """As over the socket; the producer would refuse it, again and again."""
    work, publisher = task(BINANCE, {})
    large = Past(2, 2, RawTrade("BTCUSDT", b'{"x":"%b"}' % (b"y" * topics.MAX_RAW_BYTES)))
    await work.output.trades([*numbered(1), large, *numbered(3)])
    assert [item["t"] for item in published(publisher)] == [1, 3]
    assert "larger than" in letters(publisher)[0].cause
