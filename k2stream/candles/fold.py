"""Folds trades to window states by column: minutes from trades, longer timeframes from minutes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from k2stream.candles.state import State, merge, to_candle
from k2stream.candles.watermark import Rows, by_key
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.decimals import sum_products, sums
from k2stream.model.trade import SCALE, CandleInput, Decimals

Partial = tuple[int, int, State]
"""One batch's contribution to a window: key (an index into CandleInput.keys), open time in ms, state."""

MINUTE_MS = TIMEFRAMES["1m"]


def fold(trades: CandleInput, rows: Rows) -> Iterator[tuple[str, list[Partial]]]:
    """Yield per timeframe, shortest first, the contributions of a batch's rows to their windows.

    `rows` must be grouped by key. The windows are grouped by key and ascend in time.
    """
    partials = minutes(trades, rows)
    for timeframe, length in TIMEFRAMES.items():
        if length > MINUTE_MS:
            partials = coarser(partials, length)
        yield timeframe, partials


def minutes(trades: CandleInput, rows: Rows) -> list[Partial]:
    """Return the one-minute partials of rows grouped by key; rows of a key may be in any order."""
    if not len(rows):
        return []
    rows = _in_order(trades, rows)
    key, time = trades.key[rows], trades.timestamp[rows]
    window = time // (MINUTE_MS * 1000)
    new = (key[1:] != key[:-1]) | (window[1:] != window[:-1])
    starts = np.flatnonzero(np.concatenate(([True], new)))
    ends = np.append(starts[1:], len(rows)) - 1

    price, quantity = _take(trades.price, rows), _take(trades.quantity, rows)
    taken = Decimals(quantity.mantissa * trades.taker_buy[rows], quantity.scale)
    offset = trades.raw_offset[rows]
    sequence = trades.sequence[rows]
    scale_up = 10 ** (SCALE - price.scale)
    first, last = starts.tolist(), ends.tolist()
    newest = np.maximum.reduceat(offset, starts).tolist()
    columns = zip(
        key[starts].tolist(),
        (window[starts] * MINUTE_MS).tolist(),
        price.mantissa[starts].tolist(),
        np.maximum.reduceat(price.mantissa, starts).tolist(),
        np.minimum.reduceat(price.mantissa, starts).tolist(),
        price.mantissa[ends].tolist(),
        zip(time[starts].tolist(), sequence[starts].tolist(), offset[starts].tolist(), strict=True),
        zip(time[ends].tolist(), sequence[ends].tolist(), offset[ends].tolist(), strict=True),
        sums(quantity, starts),
        sum_products(price, quantity, starts),
        sums(taken, starts),
        sum_products(price, taken, starts),
        np.add.reduceat(trades.trade_count[rows], starts).tolist(),
        first,
        last,
        np.maximum.reduceat(trades.receive_time[rows], starts).tolist(),
        trades.raw_partition[rows][starts].tolist(),
        newest,
        strict=True,
    )
    # By position, in the order of its fields: see state.merge.
    return [
        (
            code,
            open_time,
            State(
                opened * scale_up,
                high * scale_up,
                low * scale_up,
                close * scale_up,
                open_at,
                close_at,
                volume,
                quote,
                taker_volume,
                taker_quote,
                count,
                end - start + 1,
                received,
                partition,
                raw_offset,
            ),
        )
        for code, open_time, opened, high, low, close, open_at, close_at, volume, quote, taker_volume,
        taker_quote, count, start, end, received, partition, raw_offset in columns
    ]  # fmt: skip


def coarser(partials: list[Partial], length: int) -> list[Partial]:
    """Merge partials into windows of `length` ms, a multiple of their own window length."""
    out: list[Partial] = []
    for code, open_time, state in partials:
        open_time -= open_time % length
        if out and out[-1][0] == code and out[-1][1] == open_time:
            out[-1] = (code, open_time, merge(out[-1][2], state))
        else:
            out.append((code, open_time, state))
    return out


def unapplied(
    trades: CandleInput, rows: Rows, code: int, open_time: int, length: int, after: int
) -> State | None:
    """Return what rows with raw offsets above `after` add to one window (times in ms); None for nothing."""
    time = trades.timestamp[rows] // 1000
    inside = (trades.key[rows] == code) & (time >= open_time) & (time < open_time + length)
    partials = coarser(minutes(trades, rows[inside & (trades.raw_offset[rows] > after)]), length)
    return partials[0][2] if partials else None


def candles_of(trades: CandleInput, timeframe: str, native: dict[str, str]) -> list[Candle]:
    """Return the candles of all trades, sorted by key and open time; no trade is late, no candle final.

    `native` maps each key to its native symbol.
    """
    partials = dict(fold(trades, by_key(trades)))[timeframe]
    candles = [
        to_candle(state, trades.keys[code], native[trades.keys[code]], timeframe, open_time)
        for code, open_time, state in partials
    ]
    return sorted(candles, key=lambda c: (c.exchange, c.canonical_symbol, c.open_time))


def _in_order(trades: CandleInput, rows: Rows) -> Rows:
    """Sort rows by key and `place`, if needed: trades of a feed mostly arrive in this order."""
    key, time, sequence = trades.key[rows], trades.timestamp[rows], trades.sequence[rows]
    offset = trades.raw_offset[rows]
    rough = np.where(sequence > 0, time - time % 1000, time)
    tie = (key[1:] == key[:-1]) & (rough[1:] <= rough[:-1])
    behind = (rough[1:] < rough[:-1]) | (sequence[1:] < sequence[:-1])
    same = sequence[1:] == sequence[:-1]
    behind |= same & ((time[1:] < time[:-1]) | ((time[1:] == time[:-1]) & (offset[1:] < offset[:-1])))
    if not (tie & behind).any():
        return rows
    return rows[np.lexsort((offset, time, sequence, rough, key))]


def _take(values: Decimals, rows: NDArray[np.int64]) -> Decimals:
    return Decimals(values.mantissa[rows], values.scale)
