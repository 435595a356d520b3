"""Reads captured frames of an exchange as batches of trades, processed as by ingest and normalizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange, Frame, Kind
from k2stream.model.events import EventKind
from k2stream.model.frames import FrameCounter, MissingFrames
from k2stream.model.trade import Decimals, TradeColumns
from k2stream.normalizer import continuity
from k2stream.normalizer.continuity import content
from k2stream.normalizer.records import numbers

BATCH = 2_000
"""Frames per batch: it bounds the memory used, whatever the length of the capture."""

FIRST_FRAMES = 10
"""A frame 0 after a number above this one starts another connection; otherwise it only arrived late."""

Note = dict[str, Any]
"""An item that is not an accepted trade: its `line` in the capture, its `kind`, and fields of that kind."""


@dataclass(frozen=True, slots=True)
class CapturedBatch:
    """The result of one batch of frames: `rows` are the accepted rows of `columns`, `notes` everything else.

    `first` is the number of trades in earlier batches, and so the position of row 0.
    """

    frames: int
    first: int
    columns: TradeColumns
    price: Decimals
    quantity: Decimals
    rows: list[int]
    notes: list[Note]


def read(exchange: Exchange, lines: Iterable[bytes]) -> Iterator[CapturedBatch]:
    """Read a capture with one frame per line, skipping blank lines; no content of a line raises an error."""
    frames = ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())
    states: dict[str, continuity.ContinuityState] = {}
    counter = FrameCounter()
    subscribed: dict[str, str] = {}
    first = 0
    following = list(islice(frames, BATCH))
    while part := following:
        following = list(islice(frames, BATCH))
        notes: list[Note] = []
        lost: list[MissingFrames] = []
        values: list[bytes | None] = []
        at: list[int] = []
        links: list[str] = []
        for number, line in part:
            frame = exchange.parse(line)
            if frame.sequence is not None:
                if frame.sequence == 0 and counter.high > FIRST_FRAMES:
                    lost += counter.take(number)
                    counter = FrameCounter()
                counter.add(frame.sequence, number)
            if frame.answer:  # a subscription may begin with past trades, like a new connection
                subscribed |= dict.fromkeys(frame.answer.symbols or subscribed, str(number))
            links.extend(subscribed.get(trade.symbol, "") for trade in frame.trades)
            notes.extend({"line": number} | note for note in _frame_notes(frame))
            values.extend(raw.record(trade, 0, "", 0) for trade in frame.trades)
            at.extend([number] * len(frame.trades))
        # Frames may arrive out of order: one that is missing for a whole batch is lost.
        lost += counter.take(part[0][0] if following else part[-1][0])
        notes[:0] = ({"line": gap.at, "kind": EventKind.LOST_FRAMES, "count": gap.lost} for gap in lost)
        records, _ = raw.decode(exchange, values)  # none is unreadable: parse has read each
        columns = exchange.normalise(records)
        columns.receive_time, columns.link = columns.timestamp, links  # a capture has no receive times
        price, quantity, bad = numbers(columns)
        usable = np.ones(len(columns), np.bool_)
        usable[list(bad)] = False
        hashes = content.numbers(price, quantity, np.array(columns.taker_buy, np.bool_))
        checked = continuity.check(exchange.continuity, columns, states, usable, hashes)
        bad |= checked.doubtful
        columns.trade_id = checked.trade_id
        states |= checked.states
        notes.extend(_trade_notes(columns, at, checked, bad))
        notes.sort(key=lambda note: note["line"])
        yield CapturedBatch(
            len(part), first, columns, price, quantity, np.flatnonzero(checked.keep).tolist(), notes
        )
        first += len(columns)


def _frame_notes(frame: Frame) -> Iterator[Note]:
    if frame.kind not in (Kind.TRADES, Kind.REJECTED):
        yield {"kind": frame.kind, "detail": frame.detail}
    for reject in frame.rejects:
        original = reject.original.decode(errors="replace")
        yield {"kind": Kind.REJECTED, "cause": reject.cause, "original": original}


def _trade_notes(
    columns: TradeColumns, at: list[int], checked: continuity.Checked, bad: dict[int, str]
) -> Iterator[Note]:
    for row in np.flatnonzero(~checked.keep).tolist():
        trade = {"symbol": columns.symbol[row], "trade_id": columns.trade_id[row]}
        if row in bad:
            yield {"line": at[row], "kind": Kind.REJECTED, "cause": bad[row]} | trade
        else:
            yield {"line": at[row], "kind": EventKind.DUPLICATE} | trade
    for event, row in zip(checked.events, checked.shown_by, strict=True):
        if event.kind is EventKind.RESTART:
            yield {
                "line": at[row],
                "kind": event.kind,
                "symbol": event.symbol,
                "epoch": event.epoch,
                "detail": event.detail,
            }
        if event.kind is EventKind.GAP:
            missing = {"first_missing": event.first_missing, "last_missing": event.last_missing}
            yield {
                "line": at[row],
                "kind": event.kind,
                "symbol": event.symbol,
                **missing,
                "count": event.count,
            }
