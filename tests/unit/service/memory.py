"""Candles in memory, in place of tables and colder tiers."""

from dataclasses import dataclass, field
from decimal import Decimal

from k2stream.history.reader import CandleAnswer
from k2stream.model.candle import TIMEFRAMES, Candle


def candle(instrument, timeframe, open_time, close="2.50", revision=1):
    """A candle of two trades."""
    prices = (Decimal("2"), Decimal("3"), Decimal("1.5"), Decimal(close))
    sums = (Decimal("2"), Decimal("5"), Decimal("1"), Decimal("2.5"), Decimal("2.5"))
    until = open_time + TIMEFRAMES[timeframe] - 1
    of = (instrument.exchange, instrument.symbol, instrument.canonical, timeframe, open_time, until)
    return Candle(*of, *prices, *sums, 2, open_time * 1000, until * 1000, revision, False, 0, 7)


@dataclass
class TradesInMemory:
    """Numbered trades by symbol, ascending."""

    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    async def read(self, instrument, query):
        """The stored trades that the query covers."""
        self.asked.append((instrument, query))
        found = [
            each
            for each in self.answers.get(instrument.key, [])
            if each.id >= (query.first or 0)
            and each.time >= (query.start or 0) * 1000
            and (query.end is None or each.time < query.end * 1000)
        ]
        return found[-query.limit :] if query.newest else found[: query.limit]


@dataclass
class InMemory:
    """Candles by symbol and timeframe, ascending."""

    answers: dict = field(default_factory=dict)
    error: Exception | None = None
    asked: list = field(default_factory=list)

    async def read(self, instrument, of, query):
        """The stored candles that the query covers."""
        self.asked.append((instrument, of, query))
        if self.error:
            raise self.error
        found = self.answers.get((instrument.key, of.name), [])
        return CandleAnswer(query.span.cut({each.open_time: each for each in found}))
