"""Recomputes candles of windows that have left the tables, from all stored trades."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from k2stream import topics
from k2stream.avro import registry
from k2stream.avro.candles import encode
from k2stream.backfill.canonical import canonical
from k2stream.backfill.span import TradeSpan
from k2stream.candles.fold import fold
from k2stream.candles.state import State, closed, to_row
from k2stream.candles.watermark import admit
from k2stream.feed import Columns, Publisher
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.model.trade import CandleInput
from k2stream.settings import Settings

DAY_US = TIMEFRAMES["1d"] * 1000
"""The longest window, and the unit in which candles are recomputed."""

_AT_ONCE = 1000  # candles


async def recompute(settings: Settings, instrument: Instrument, span: TradeSpan, publisher: Publisher) -> int:
    """Publish, as final, the span's candles that have left the tables, and return their number.

    A candle is what the tables would have produced: equal if they had all its trades, with a higher revision
    if some were fetched since. Raises ConfigError when some of the trades are no longer stored anywhere.
    """
    partition = topics.partition_of(instrument.symbol, settings.kafka.raw_partitions(instrument.exchange))
    stored = await canonical(settings, instrument)
    first = span.start // DAY_US * DAY_US
    newest = await asyncio.to_thread(stored.newest, first)
    count = 0
    for start in range(first, span.end, DAY_US):
        trades = await asyncio.to_thread(stored.trades_in, TradeSpan(start, start + DAY_US))
        wanted = TradeSpan(max(start, span.start), min(start + DAY_US, span.end))
        limits = (newest, settings.candles.retention, settings.candles.grace_us)
        for timeframe, windows in forgotten(trades, wanted, *limits):
            if windows and stored.nowhere:
                raise ConfigError(_part(instrument, stored.nowhere))
            topic = topics.ohlcv(timeframe)
            schema_id = await registry.register(topic, "candle", settings.kafka.registry)
            for begin in range(0, len(windows), _AT_ONCE):
                column = _column(instrument, timeframe, windows[begin : begin + _AT_ONCE], schema_id)
                await publisher.publish({(topic, partition): column})
            count += len(windows)
    return count


def _part(instrument: Instrument, nowhere: range) -> str:
    return (
        f"candles of {instrument.key} that the tables no longer have are not recomputed from a part of their "
        f"trades: offsets {nowhere.start} to {nowhere.stop - 1} of {topics.NORMALIZED} have expired, and "
        "Iceberg ends before them; what was fetched is published, and `k2 replay --swap` rebuilds all "
        "candles from the raw records"
    )


def forgotten(
    trades: CandleInput, span: TradeSpan, newest: int, retention: int, grace: int
) -> Iterator[tuple[str, Sequence[tuple[int, State]]]]:
    """Yield per timeframe the windows of a one-day span that tables may have dropped: open time, state.

    `trades` are all trades of one symbol and day, and later ones that made any of them late. `newest` is the
    symbol's newest event time. A table drops a window once `retention` newer windows have closed, so at least
    that much time must have passed. Open times are in ms, all other times in µs.
    """
    if not len(trades):
        return
    admission = admit(trades, lambda key: None, grace)
    day = span.start // DAY_US
    rows = admission.rows[trades.timestamp[admission.rows] // DAY_US == day]
    for timeframe, partials in fold(trades, rows):
        length = TIMEFRAMES[timeframe] * 1000
        passed = newest - max(retention * length, length + grace)
        yield (
            timeframe,
            [
                (opened, closed(state))
                for _, opened, state in partials
                if span.start - length < opened * 1000 < span.end and opened * 1000 <= passed
            ],
        )


def _column(
    instrument: Instrument, timeframe: str, windows: Sequence[tuple[int, State]], schema_id: int
) -> Columns:
    column = Columns()
    for opened, state in windows:
        row = to_row(state, instrument.key, instrument.symbol, timeframe, opened)
        column.append(instrument.key.encode(), encode(row, schema_id), state.receive_time)
    return column
