"""Candles in memory, in place of tables and colder tiers."""

from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa

from k2stream.history.reader import CandleAnswer
from k2stream.layers.schema import SILVER
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.service.trade_rows import joined
from k2stream.service.trades import TradeAnswer


def candle(instrument, timeframe, open_time, close="2.50", revision=1):
    """A candle of two trades."""
    prices = (Decimal("2"), Decimal("3"), Decimal("1.5"), Decimal(close))
    sums = (Decimal("2"), Decimal("5"), Decimal("1"), Decimal("2.5"), Decimal("2.5"))
    until = open_time + TIMEFRAMES[timeframe] - 1
    of = (instrument.exchange, instrument.symbol, instrument.canonical, timeframe, open_time, until)
    return Candle(*of, *prices, *sums, 2, open_time * 1000, until * 1000, revision, False, 0, 7)


def silver_rows(trades):
    """Silver's rows of trades as dicts: what a trade does not name is as of any other."""
    plain = {"price": Decimal("1.5"), "quantity": Decimal(2), "side": "BUY", "trade_count": 1}
    plain |= {"exchange": "x", "symbol": "s", "canonical_symbol": "c", "raw_partition": 0, "vendor_data": []}
    plain |= {"sequence": 0, "raw_offset": 0, "trade_id": "", "trade_conditions": [], "validation_errors": []}
    plain |= dict.fromkeys(("timestamp", "receive_time", "process_time"), 0)
    made = [plain | trade for trade in trades]
    arrays = []
    for name, kind in zip(SILVER.names, SILVER.types, strict=True):
        values = [row[name] for row in made]
        if pa.types.is_dictionary(kind):
            arrays.append(pa.array(values, kind.value_type).dictionary_encode())
        elif pa.types.is_timestamp(kind):
            arrays.append(pa.array(values, pa.int64()).cast(kind))
        else:
            arrays.append(pa.array(values, kind))
    return pa.table(arrays, SILVER)


def numbered_rows(trades):
    """Silver's rows of numbered trades."""
    return silver_rows(
        {
            "timestamp": each.time,
            "sequence": each.id,
            "raw_offset": each.id,
            "price": each.price,
            "quantity": each.quantity,
            "side": "BUY" if each.taker_buy else "SELL",
            "vendor_data": [] if each.first == each.last else [("f", str(each.first)), ("l", str(each.last))],
        }
        for each in trades
    )


@dataclass
class TradesInMemory:
    """Numbered trades by symbol, ascending."""

    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    missing: tuple = ()

    async def read(self, instrument, page):
        """The stored trades that the page covers."""
        self.asked.append((instrument, page))
        return TradeAnswer(joined(page, numbered_rows(self.answers.get(instrument.key, []))), self.missing)


@dataclass
class InMemory:
    """Candles by symbol and timeframe, ascending."""

    answers: dict = field(default_factory=dict)
    error: Exception | None = None
    missing: tuple = ()
    asked: list = field(default_factory=list)

    def newest(self, instrument, timeframe):
        """Nothing: here are no states."""

    async def read(self, instrument, of, query):
        """The stored candles that the query covers."""
        self.asked.append((instrument, of, query))
        if self.error:
            raise self.error
        found = self.answers.get((instrument.key, of.name), [])
        return CandleAnswer(query.span.cut({each.open_time: each for each in found}), self.missing)
