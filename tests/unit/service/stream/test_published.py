"""The newest trades of the topic that streams follow, as rows."""

import asyncio
from decimal import Decimal

import pytest

from k2stream import topics
from k2stream.model.errors import Unavailable
from k2stream.service.mirror.live import Waiting
from k2stream.service.stream import published, ring
from k2stream.service.stream.published import PublishedTrades
from tests.unit.service.stream.asking import T0


async def offsets(hub, first, offset):
    found = await PublishedTrades(hub).after(first, offset)
    return found.rows["raw_offset"].to_pylist(), found.whole


async def test_what_is_after_an_offset_of_the_topic(hub, trade, first, listed):
    for raw_offset in (5, 7):
        trade(raw_offset, T0 + raw_offset)
    trade(6, T0, of=listed[1])
    assert await offsets(hub, first, -1) == ([5, 7], True)
    assert await offsets(hub, first, 0) == ([7], True)
    assert await offsets(hub, first, 9) == ([], True)
    waiting = Waiting()
    hub.trades().listen([first.key], waiting)
    trade(7, T0 + 7)  # a worker that was killed publishes again
    trade(8, T0 + 8)
    async with asyncio.timeout(60):
        await waiting.more()
    assert await offsets(hub, first, 1) == ([8], True)


async def test_a_row_has_every_field(hub, trade, first):
    trade(5, T0)
    (row,) = (await PublishedTrades(hub).after(first, -1)).rows.to_pylist()
    assert (row["exchange"], row["canonical_symbol"]) == (first.exchange, first.canonical)
    assert (row["price"], row["quantity"], row["side"]) == (Decimal("2.5"), Decimal("0.1"), "BUY")


async def test_what_is_not_held_any_more_is_told(hub, trade, first, monkeypatch):
    monkeypatch.setattr(ring, "PER_KEY", 2)
    for raw_offset in range(4):
        trade(raw_offset, T0)
    assert await offsets(hub, first, 0) == ([2, 3], False)
    assert await offsets(hub, first, 1) == ([2, 3], True)


async def test_what_expired_before_it_was_followed_is_told(hub, broker, trade, first):
    for raw_offset in range(4):
        trade(raw_offset, T0)
    broker.begin[topics.NORMALIZED, 0] = 2
    assert await offsets(hub, first, 0) == ([2, 3], False)


async def test_a_topic_that_cannot_be_followed_is_not_waited_for(hub, broker, first, monkeypatch):
    async def away(*_):
        raise OSError("refused")

    monkeypatch.setattr(broker, "retained", away)
    monkeypatch.setattr(published, "READY_SECONDS", 0.05)
    with pytest.raises(Unavailable, match="ask again"):
        await PublishedTrades(hub).after(first, -1)
