"""Nothing is made of a part of the trades: what is nowhere any more is said."""

import asyncio
from decimal import Decimal

import pytest

from k2stream.avro import registry
from k2stream.backfill import known
from k2stream.backfill import recompute as module
from k2stream.backfill.canonical import Canonical
from k2stream.backfill.span import TradeSpan
from k2stream.feed import MemoryPublisher
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.settings import Settings, make
from tests.property.test_recompute import DAY, INSTRUMENT, KEY, MINUTE, Trade, table

THEN = 1_760_000_000_000_000 // DAY * DAY


def recompute(monkeypatch, nowhere):
    """The candles of one old minute, of which two fetched trades are stored, and one of now."""
    times = [THEN, THEN + 1, THEN + 3 * DAY]
    trades = [
        Trade(KEY, time, number, number, Decimal(1), Decimal(1), True, 1, time, number < 2)
        for number, time in enumerate(times)
    ]
    expected = Canonical(INSTRUMENT, None, table(trades), nowhere)

    async def canonical(*_):
        return expected

    async def register(*_):
        return 2

    monkeypatch.setattr(module, "canonical", canonical)
    monkeypatch.setattr(registry, "register", register)
    publisher = MemoryPublisher()
    span = TradeSpan(THEN, THEN + MINUTE)
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


KRAKEN = Instrument("kraken", "XBT/USD", "BTC/USD")


@pytest.mark.parametrize(
    ("begin", "since", "expected"),
    [
        (20, 20, None),  # the span reaches into what has expired, and no cold tier has it
        (20, 25, []),  # all since its beginning is in the topic
        (0, 0, []),
    ],
)
async def test_what_is_stored_is_not_compared_in_part(monkeypatch, tmp_path, begin, since, expected):
    """At 1ee9d02 trades that had expired were published again: Kraken numbers none."""

    class Topic:
        def __init__(self, *_, **__):
            pass

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

        async def retained(self, *_):
            return {0: (begin, 30)}

        async def since(self, *_):
            return {0: (since, 30)}

        async def read(self, *_):
            return
            yield

    monkeypatch.setattr(known, "Reader", Topic)
    asked = known.Known(make(data_dir=str(tmp_path)), KRAKEN, TradeSpan(THEN, THEN + MINUTE))
    if expected is None:
        with pytest.raises(ConfigError, match=r"offsets 0 to 19 of market\S+:0 have expired"):
            await asked.times()
    else:
        assert list(await asked.times()) == expected
