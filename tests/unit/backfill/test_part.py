"""No candle is folded from a part of its trades: what is nowhere any more is said."""

import asyncio
from decimal import Decimal

import pytest

from k2stream.backfill import recompute as module
from k2stream.backfill.canonical import Canonical
from k2stream.backfill.span import Span
from k2stream.errors import ConfigError
from k2stream.feed import MemoryPublisher
from k2stream.settings import Settings
from tests.property.test_recompute import DAY, INSTRUMENT, KEY, MINUTE, Trade, table

THEN = 1_760_000_000_000_000 // DAY * DAY


def recompute(monkeypatch, nowhere):
    """The candles of one old minute, of which two fetched trades are held, and one of now."""
    times = [THEN, THEN + 1, THEN + 3 * DAY]
    trades = [
        Trade(KEY, time, number, number, Decimal(1), Decimal(1), True, 1, time, number < 2)
        for number, time in enumerate(times)
    ]
    held = Canonical(INSTRUMENT, None, table(trades), nowhere)

    async def canonical(*_):
        return held

    async def register(*_):
        return 2

    monkeypatch.setattr(module, "canonical", canonical)
    monkeypatch.setattr(module.registry, "register", register)
    publisher = MemoryPublisher()
    span = Span(THEN, THEN + MINUTE)
    return asyncio.run(module.recompute(Settings(), INSTRUMENT, span, publisher)), publisher


def test_a_candle_is_not_recomputed_from_a_part(monkeypatch):
    """At 1ee9d02 a candle of 25 of 45 trades got the higher revision, and won."""
    with pytest.raises(
        ConfigError, match=r"offsets 10 to 19 of market\S+ have expired, and Iceberg ends before them"
    ):
        recompute(monkeypatch, range(10, 20))


def test_with_all_trades_it_is(monkeypatch):
    count, publisher = recompute(monkeypatch, None)
    assert count >= 1
    assert publisher.topics
