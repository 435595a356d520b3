"""Normalizes a typical batch by column: new trades of known symbols, all of one layout, ids consecutive.

The result equals that of normalizer/records.py; a batch that is not of this kind raises NotColumnar.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from k2stream.avro import uniform_trades
from k2stream.batch import RecordBatch
from k2stream.columnar.layout import NotColumnar
from k2stream.columnar.scan import Scan
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange, Layout
from k2stream.model import decimals
from k2stream.model.trade import AHEAD_US, EARLIEST_US, TRADE_DIGITS, Decimals
from k2stream.normalizer.continuity import ContinuityState, Ids, content, recent
from k2stream.normalizer.result import Normalized, SymbolPosition

Ints = NDArray[np.int64]


def normalize(
    exchange: Exchange,
    layout: Layout,
    batch: RecordBatch,
    position_of: Callable[[str], SymbolPosition | None],
    canonical: Callable[[str], str],
    *,
    schema_id: int,
    process_time: int,
) -> Normalized:
    """Same as `k2stream.normalizer.normalize`; raises NotColumnar for a batch that is not typical."""
    scan = Scan(batch.values)
    _check_shape(exchange, layout, scan, batch)
    symbols, code = scan.codes(layout.symbol)
    known = [position_of(symbol) for symbol in symbols]
    found = [position for position in known if position is not None and "" in position.state.ids]
    if len(found) < len(symbols) or batch.first_offset <= max(p.raw_offset for p in found):
        raise NotColumnar("a new symbol, or a replay")
    if any(position.state.ids[""].epoch for position in found):
        raise NotColumnar("ids that have started again")
    ids = scan.integers(layout.id)
    highs = np.array([position.state.ids[""].high for position in found])
    order, starts, last = _by_symbol(code, ids, highs)

    price, quantity = scan.decimals(layout.price), scan.decimals(layout.quantity)
    _check_numbers(price, quantity)
    timestamp, receive_time = layout.micros(scan.integers(layout.time)), scan.integers("k2_recv")
    _check_times(timestamp, receive_time)
    taker_buy = scan.boolean(layout.buyer_is_maker) ^ True
    canonicals = list(map(canonical, symbols))
    trades = uniform_trades.UniformTrades(
        exchange=exchange.name,
        symbols=symbols,
        canonical=canonicals,
        code=code,
        trade_id=scan.cut(layout.id),
        timestamp=timestamp,
        receive_time=receive_time,
        price=price,
        quantity=quantity,
        taker_buy=taker_buy,
        sequence=ids,
        raw_offset=batch.offsets,
        vendor_data={name: scan.cut(name) for name in layout.vendor_data},
    )
    keys = np.array([f"{exchange.name}:{name}".encode() for name in canonicals], object)
    rows = last.tolist()
    newest = np.maximum.reduceat(timestamp[order], starts).tolist()
    said = _last_said(ids, timestamp, price, quantity, taker_buy, order, starts)
    return Normalized(
        keys=keys[code].tolist(),
        values=uniform_trades.encode(
            trades, raw_partition=batch.tp.partition, process_time=process_time, schema_id=schema_id
        ),
        receive_time=receive_time,
        raw_offset=batch.offsets,
        receive_lag=receive_time - timestamp,
        dead_letters=[],
        events=[],
        positions={
            symbol: _moved(position, int(batch.offsets[row]), int(ids[row]), time, pairs)
            for symbol, position, row, time, pairs in zip(symbols, found, rows, newest, said, strict=True)
        },
        newest={
            symbol: (int(timestamp[row]), int(receive_time[row]), scan.row(layout.price, row))
            for symbol, row in zip(symbols, rows, strict=True)
        },
        replayed=0,
    )


def _check_times(timestamp: Ints, receive_time: Ints) -> None:
    """Raise NotColumnar for a trade time (µs) that is too far from its receipt, or before there were any."""
    if (timestamp > receive_time + AHEAD_US).any():
        raise NotColumnar("a trade ahead of its time")
    if timestamp.min() < EARLIEST_US:
        raise NotColumnar("a trade before its time")


def _check_shape(exchange: Exchange, layout: Layout, scan: Scan, batch: RecordBatch) -> None:
    """Raise NotColumnar unless the first record fits the layout; the others have fields of the same types."""
    _, unreadable = raw.decode(exchange, batch.values[:1])
    if unreadable or any(name in scan for name in (*layout.absent, "k2_backfilled")):
        raise NotColumnar("not a plain trade")
    for name, text in layout.constant.items():
        if scan.codes(name)[0] != [text]:
            raise NotColumnar(f"{name} is not {text} throughout")


def _by_symbol(code: Ints, ids: Ints, highs: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows grouped by symbol, each group's start and its last row; NotColumnar if ids are not consecutive."""
    order = np.argsort(code.astype(np.uint16) if len(highs) <= 1 << 16 else code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(highs)))
    starts = np.concatenate(([0], ends[:-1]))
    ordered = ids[order]
    before = np.empty_like(ordered)
    before[1:] = ordered[:-1]
    before[starts] = highs
    if (ordered != before + 1).any():
        raise NotColumnar("a gap or a repeat")
    return order, starts, order[ends - 1]


def _check_numbers(price: Decimals, quantity: Decimals) -> None:
    if price.mantissa.min() <= 0 or quantity.mantissa.min() <= 0:
        raise NotColumnar("a number that is not positive")
    whole_price, whole_quantity = (value.mantissa // 10**value.scale + 1 for value in (price, quantity))
    if (whole_price > 10**TRADE_DIGITS // whole_quantity).any():
        raise NotColumnar("a quantity or a product that may be too large")


def _last_said(
    ids: Ints,
    timestamp: Ints,
    price: Decimals,
    quantity: Decimals,
    taker_buy: NDArray[np.bool_],
    order: Ints,
    starts: Ints,
) -> list[recent.Pairs]:
    """The (identity, content) pairs of each symbol's last trades."""
    ends = np.append(starts[1:], len(order))
    parts = [slice(max(start, end - recent.LIMIT), end) for start, end in zip(starts, ends, strict=True)]
    rows = np.concatenate([order[part] for part in parts])
    hashes = content.numbers(decimals.take(price, rows), decimals.take(quantity, rows), taker_buy[rows])
    pairs = recent.pairs(ids[rows].astype(np.uint64), content.timed(hashes, timestamp[rows]))
    return np.split(pairs, np.cumsum([part.stop - part.start for part in parts])[:-1])


def _moved(
    position: SymbolPosition, offset: int, high: int, newest: int, said: recent.Pairs
) -> SymbolPosition:
    state = position.state
    before = state.ids[""]
    moved = Ids(
        high,
        before.holes,
        max(before.time if before.time >= 0 else state.newest, newest),
        recent=recent.appended(before.recent, said),
    )
    return SymbolPosition(
        offset, ContinuityState(state.ids | {"": moved}, max(state.newest, moved.time), state.recent)
    )
