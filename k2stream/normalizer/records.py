"""Normalizes any batch of raw records: decodes each record individually, then works by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream import deadletter, faults
from k2stream.avro import trades
from k2stream.avro.limits import longest, too_large
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Continuity, Exchange
from k2stream.model import decimals
from k2stream.model.trade import AHEAD_US, BACKFILLED, EARLIEST_US, Decimals, TradeColumns
from k2stream.normalizer import continuity
from k2stream.normalizer.continuity import content
from k2stream.normalizer.result import Normalized, SymbolPosition
from k2stream.topics import MAX_RAW_BYTES

AHEAD = "timestamp ahead of receive time"
"""Validation error of an accepted trade whose time is more than five minutes after its receipt."""

TOO_EARLY = "time before 2009"

MAX_KEY_BYTES = 256
"""Limit of an unreadable record's key, which replaces its symbol as key of the positions table."""

EPOCH = "epoch:"
"""Prefix of the trade condition that gives the numbering epoch, from epoch 1 on."""

Rows = NDArray[np.int64]


def normalize(
    exchange: Exchange,
    batch: RecordBatch,
    position_of: Callable[[str], SymbolPosition | None],
    canonical: Callable[[str], str],
    *,
    schema_id: int,
    process_time: int,
) -> Normalized:
    """Same as `k2stream.normalizer.normalize`, for any batch."""
    columns, unreadable = _read(exchange, batch)
    readable = np.ones(len(batch), np.bool_)
    readable[list(unreadable)] = False
    symbols = _symbols(columns, unreadable, batch)
    reached = dict(zip(symbols, batch.offsets.tolist(), strict=True))
    found = {symbol: position_of(symbol) for symbol in reached}
    known = {symbol: position for symbol, position in found.items() if position is not None}
    fresh = _fresh(symbols, batch.offsets, known)
    columns, rows = take(columns, np.flatnonzero(fresh[readable])), np.flatnonzero(fresh & readable)

    price, quantity, bad = numbers(columns)
    usable = np.ones(len(columns), np.bool_)
    usable[list(bad)] = False
    states = {symbol: position.state for symbol, position in known.items()}
    hashes = content.numbers(price, quantity, np.array(columns.taker_buy, np.bool_))
    checked = continuity.check(exchange.continuity, columns, states, usable, hashes)
    bad |= checked.doubtful
    kept = np.flatnonzero(checked.keep)
    accepted = take(replace(columns, trade_id=checked.trade_id), kept)
    names = {symbol: canonical(symbol) for symbol in dict.fromkeys(accepted.symbol)}
    canonicals = list(map(names.__getitem__, accepted.symbol))
    receive_time = np.array(accepted.receive_time, np.int64)

    causes = {row: cause for row, cause in unreadable.items() if fresh[row]}
    causes |= {int(rows[row]): cause for row, cause in bad.items()}
    live = [row for row in range(len(accepted)) if not (accepted.backfilled and accepted.backfilled[row])]
    last = {accepted.symbol[row]: row for row in live}
    return Normalized(
        keys=trades.keys(exchange.name, canonicals),
        values=trades.encode(
            accepted,
            decimals.take(price, kept),
            decimals.take(quantity, kept),
            canonical=canonicals,
            raw_partition=batch.tp.partition,
            raw_offset=batch.offsets[rows[kept]],
            process_time=process_time,
            schema_id=schema_id,
            trade_conditions=_conditions(exchange, accepted, checked.epoch[kept].tolist()),
            validation_errors=_validation_errors(accepted, receive_time),
        ),
        receive_time=receive_time,
        raw_offset=batch.offsets[rows[kept]],
        receive_lag=(receive_time - np.array(accepted.timestamp, np.int64))[live],
        dead_letters=[
            _dead_letter(exchange, batch, row, causes[row], process_time) for row in sorted(causes)
        ],
        events=checked.events,
        positions={
            symbol: SymbolPosition(
                offset, checked.states.get(symbol) or known.get(symbol, SymbolPosition()).state
            )
            for symbol, offset in reached.items()
            if symbol not in known or offset > known[symbol].raw_offset
        },
        newest={symbol: _said(accepted, row) for symbol, row in last.items()},
        replayed=len(batch) - int(fresh.sum()),
    )


def _said(columns: TradeColumns, row: int) -> tuple[int, int, str]:
    return columns.timestamp[row], columns.receive_time[row], columns.price[row]


def _read(exchange: Exchange, batch: RecordBatch) -> tuple[TradeColumns, dict[int, str]]:
    """The columns of the records that can be read, and the cause of each other one by its row."""
    values, large = _without_large(batch.values)
    records, unreadable = raw.decode(exchange, values)
    faults.check(batch, {row: cause for row, cause in unreadable.items() if row not in large})
    columns = exchange.normalize(records)
    if any(record.k2_backfilled for record in records):
        columns = replace(columns, backfilled=list(map(_fetch, records)))
    if exchange.continuity is Continuity.NONE:
        columns = replace(columns, link=[record.k2_conn for record in records])
    return columns, unreadable | large


def _fetch(record: Any) -> str:
    return f"{record.k2_conn}:{record.k2_seq}" if record.k2_backfilled else ""


def _without_large(values: list[bytes | None]) -> tuple[list[bytes | None], dict[int, str]]:
    """The values, with None in place of those too large, and the cause for each of these rows."""
    if longest(values) <= MAX_RAW_BYTES:
        return values, {}
    cause = f"record larger than {MAX_RAW_BYTES} bytes"
    large = {row: cause for row, value in enumerate(values) if value and len(value) > MAX_RAW_BYTES}
    return [None if row in large else value for row, value in enumerate(values)], large


def _symbols(columns: TradeColumns, unreadable: Mapping[int, str], batch: RecordBatch) -> list[str]:
    """The native symbol of each record; for an unreadable record, its key."""
    if not unreadable:
        return columns.symbol
    symbols = list(columns.symbol)
    for row in sorted(unreadable):
        symbols.insert(row, (batch.keys[row] or b"")[:MAX_KEY_BYTES].decode(errors="replace"))
    return symbols


def _fresh(symbols: list[str], offsets: Rows, known: Mapping[str, SymbolPosition]) -> NDArray[np.bool_]:
    """Which records are above their symbol's position."""
    reached = {symbol: position.raw_offset for symbol, position in known.items()}
    if not reached or offsets[0] > max(reached.values()):
        return np.ones(len(symbols), np.bool_)
    return offsets > np.array([reached.get(symbol, -1) for symbol in symbols])


def take(columns: TradeColumns, rows: Rows) -> TradeColumns:
    """The trades at `rows`, which must be ascending."""
    if len(rows) == len(columns):
        return columns
    index = rows.tolist()

    def pick(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: pick(column) for name, column in values.items()}
        return [values[row] for row in index] if values else values

    lists = {
        field.name: getattr(columns, field.name)
        for field in fields(columns)
        if field.name not in ("exchange", "likeness")
    }
    return replace(columns, **{name: pick(values) for name, values in lists.items()})


def numbers(columns: TradeColumns) -> tuple[Decimals, Decimals, dict[int, str]]:
    """Parse prices and quantities; also returns the cause for each row with an invalid number or time.

    Price and quantity must be positive decimals, and small enough that sums over many trades fit
    decimal(38, 18). The trade time must not be before EARLIEST_US.
    """
    price, bad_price = _positive("price", columns.price)
    quantity, bad_quantity = _positive("quantity", columns.quantity)
    early = np.flatnonzero(np.array(columns.timestamp, np.int64) < EARLIEST_US)
    bad_time = {row: f"{TOO_EARLY}: {columns.timestamp[row]} µs" for row in early.tolist()}
    return price, quantity, too_large(price, quantity) | bad_quantity | bad_price | bad_time


def _positive(name: str, strings: list[str]) -> tuple[Decimals, dict[int, str]]:
    values, causes = decimals.parse(strings)
    causes = dict.fromkeys(np.flatnonzero(values.mantissa <= 0).tolist(), "not positive") | causes
    return values, {row: f"{name} {strings[row][:60]!r}: {cause}" for row, cause in causes.items()}


def _conditions(exchange: Exchange, columns: TradeColumns, epochs: list[int]) -> list[list[str]] | None:
    if not columns.numbering and not any(columns.backfilled) and not any(epochs):
        return None
    nothing = [""] * len(columns)
    rows = zip(columns.numbering or nothing, columns.backfilled or nothing, epochs, strict=True)
    named = {name: [text] for name, text in exchange.conditions.items()}
    return [
        named.get(name, []) + [BACKFILLED] * (fetch != "") + [f"{EPOCH}{epoch}"] * (epoch > 0)
        for name, fetch, epoch in rows
    ]


def _validation_errors(columns: TradeColumns, receive_time: Rows) -> list[list[str]] | None:
    ahead = np.array(columns.timestamp, np.int64) > receive_time + AHEAD_US
    return [[AHEAD] if late else [] for late in ahead.tolist()] if ahead.any() else None


def _dead_letter(
    exchange: Exchange, batch: RecordBatch, row: int, cause: str, process_time: int
) -> DeadLetter:
    return deadletter.of_record(batch, row, cause, exchange.name, stage="normalize", time=process_time)
