"""Candles one record at a time, straight from the rules: what the columnar path is held to."""

from collections import namedtuple
from decimal import Decimal, localcontext

from k2stream.model.candle import TIMEFRAMES, Candle

Trade = namedtuple(
    "Trade",
    "key timestamp sequence raw_offset price quantity taker_buy trade_count receive_time backfilled",
    defaults=(False,),
)

SCALE = Decimal("1e-18")


def run(trades, grace_us):
    """(windows, final ones, late): windows maps (timeframe, key, open_time ms) to trades, in raw order."""
    windows, late, applied, newest = {}, [], {}, {}
    for t in trades:
        if t.raw_offset <= applied.get(t.key, -1):
            continue
        applied[t.key] = t.raw_offset
        watermark = newest.get(t.key, 0) - grace_us
        newest[t.key] = max(newest.get(t.key, 0), min(t.timestamp, t.receive_time + 1_000_000))
        minute_end = (t.timestamp // 60_000_000 + 1) * 60_000_000
        if minute_end <= watermark and not t.backfilled:
            late.append((t.key, t.raw_offset))
            continue
        for timeframe, length in TIMEFRAMES.items():
            open_time = t.timestamp // 1000 // length * length
            windows.setdefault((timeframe, t.key, open_time), []).append(t)
    final = {
        window
        for window in windows
        if window[2] + TIMEFRAMES[window[0]] <= (newest[window[1]] - grace_us) // 1000
    }
    return windows, final, late


def place(trade):
    """An exchange with ids may tell a time in µs or in ms: there the id decides within a ms."""
    time = trade.timestamp if trade.sequence <= 0 else trade.timestamp // 1000 * 1000
    return time, trade.sequence, trade.timestamp, trade.raw_offset


def candle(window, trades, final, native, partition):
    timeframe, key, open_time = window
    ordered = sorted(trades, key=place)
    exchange, canonical = key.split(":")
    with localcontext() as context:
        context.prec = 120
        volume = sum((t.quantity for t in trades), Decimal(0))
        quote = sum((t.price * t.quantity for t in trades), Decimal(0))
        taker = [t for t in trades if t.taker_buy]
        taker_quote = sum((t.price * t.quantity for t in taker), Decimal(0))
        return Candle(
            exchange,
            native,
            canonical,
            timeframe,
            open_time,
            open_time + TIMEFRAMES[timeframe] - 1,
            ordered[0].price,
            max(t.price for t in trades),
            min(t.price for t in trades),
            ordered[-1].price,
            volume,
            quote.quantize(SCALE),
            sum((t.quantity for t in taker), Decimal(0)),
            taker_quote.quantize(SCALE),
            (quote / volume).quantize(SCALE),
            sum(t.trade_count for t in trades),
            ordered[0].timestamp,
            ordered[-1].timestamp,
            len(trades) + final,
            final,
            partition,
            max(t.raw_offset for t in trades),
        )
