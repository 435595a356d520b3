"""Duplicates, gaps and made ids of trades, per symbol, by column. Pure: state in, state out.

    checked = continuity.check(exchange.continuity, columns, states, usable)

`columns` holds the decoded trades of one exchange in raw order; `usable` is False for those that are rejected
for their numbers: their ids did come, so they are no gap, but a usable trade with such an id is still wanted.
`states` has the state of each symbol seen before and is not modified; a symbol without one is new.
Any cutting of the same trades into batches gives the same kept trades, ids, gaps and final states.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.events import EventKind, FeedEvent
from k2stream.exchanges.spec import Continuity
from k2stream.trade import TradeColumns

MAX_HOLES = 256
"""Ranges of unseen ids remembered per symbol: when there are more, the lowest is given up as seen.

Not the one from 0 on: it is the past before the first id, which may yet be fetched.
"""

RECENT_US = 1_000_000
"""How far a symbol's newest trade time must move on before identical trades are counted from 0 again."""

MAX_RECENT = 4096
"""Different contents counted per symbol at most; the one that came longest ago leaves first."""

_UNSEEN = {Continuity.CONTIGUOUS: EventKind.GAP, Continuity.RISING: EventKind.JUMP}
"""What ids that did not come are."""


class Ids(msgspec.Struct, array_like=True):
    """Which ids of one numbering were seen: all up to `high` but those in `holes`.

    `holes` are [first, last] ranges, ascending; the ids below the first one ever seen are a hole too.
    """

    high: int
    holes: list[tuple[int, int]]


class State(msgspec.Struct, omit_defaults=True):
    """Continuity of one symbol; plain JSON, for a changelog.

    `ids`: by numbering ("" the usual one). `newest`: the largest trade time. `recent`: for exchanges without
    ids, by "<time>-<hash>", how many such trades came and what `newest` was when the last one did.
    """

    ids: dict[str, Ids] = {}
    newest: int = 0
    recent: dict[str, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a batch: arrays and lists of the batch's length and order; `states` of its symbols only.

    `keep` is False for duplicates and for trades that are not usable. `events`: a GAP (JUMP where ids may
    skip) per range of ids that did not come, and one DUPLICATE per symbol with the count; their time is the
    receive time of the trade that showed it, `shown_by` its row, and a gap's `since` the newest trade time
    before it.
    """

    keep: NDArray[np.bool_]
    trade_id: list[str]
    events: list[FeedEvent]
    shown_by: list[int]
    states: dict[str, State]


def check(
    continuity: Continuity,
    columns: TradeColumns,
    states: Mapping[str, State],
    usable: NDArray[np.bool_] | None = None,
) -> Checked:
    """Drop repeats, report gaps and make missing ids: see the module's docstring; None: all are usable."""
    usable = np.ones(len(columns), np.bool_) if usable is None else usable
    if continuity is Continuity.NONE:
        return _make_ids(columns, states, usable)
    return _check_ids(columns, states, usable, _UNSEEN[continuity])


def lost_frames(previous: int | None, sequence: int) -> int:
    """How many frames are missing between two frame numbers of a connection.

    A number that does not rise is a new connection's first, or a repeat: nothing is known to be lost.
    """
    return 0 if previous is None else max(0, sequence - previous - 1)


def _check_ids(
    columns: TradeColumns, states: Mapping[str, State], usable: NDArray[np.bool_], unseen: EventKind
) -> Checked:
    keep = usable.copy()
    events: list[FeedEvent] = []
    shown_by: list[int] = []
    new: dict[str, State] = {}
    ids = np.array(columns.sequence, np.int64)
    times = np.array(columns.timestamp, np.int64)
    for symbol, numbering, rows in _groups(columns):
        state = new.get(symbol) or _copy(states.get(symbol))
        new[symbol] = state
        own = ids[rows]
        known = state.ids.get(numbering)
        if known is None:
            first = int(own[0])
            known = Ids(first - 1, [(0, first - 1)] if first else [])
        state.ids[numbering] = known
        dropped: list[int] = []
        highest = np.maximum.accumulate(np.concatenate(([known.high], own)))
        # Only what is not simply the next id of a good trade needs a look.
        for at in np.flatnonzero((own != highest[:-1] + 1) | ~usable[rows]).tolist():
            row, number, high = int(rows[at]), int(own[at]), int(highest[at])
            if number > high + 1:
                known.holes.append((high + 1, number - 1))
                since = int(times[rows[at - 1]]) if at else state.newest
                events.append(_gap(unseen, columns, row, high + 1, number - 1, since))
                shown_by.append(row)
            if not usable[row]:
                if number > high:
                    known.holes.append((number, number))
            elif number <= high and not _fill(known.holes, number):
                dropped.append(row)
            while len(known.holes) > MAX_HOLES:
                del known.holes[known.holes[0][0] == 0]
        known.high = int(highest[-1])
        state.newest = max(state.newest, int(times[rows].max()))
        if dropped:
            keep[dropped] = False
            events.append(_duplicates(columns, dropped))
            shown_by.append(dropped[-1])
    return Checked(keep, columns.trade_id, events, shown_by, new)


def _groups(columns: TradeColumns) -> list[tuple[str, str, NDArray[np.int64]]]:
    """Row numbers of each (symbol, numbering), ascending."""
    if not len(columns):
        return []
    names: list[tuple[str, str]]
    if columns.numbering:
        pairs = list(zip(columns.symbol, columns.numbering, strict=True))
        names = list(dict.fromkeys(pairs))
        code = dict(zip(names, range(len(names)), strict=True))
        codes = np.fromiter(map(code.__getitem__, pairs), np.int32, len(columns))
    else:
        symbols = list(dict.fromkeys(columns.symbol))
        names = [(symbol, "") for symbol in symbols]
        index = dict(zip(symbols, range(len(symbols)), strict=True))
        codes = np.fromiter(map(index.__getitem__, columns.symbol), np.int32, len(columns))
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return [(*name, rows) for name, rows in zip(names, np.split(order, ends[:-1]), strict=True)]


def _fill(holes: list[tuple[int, int]], number: int) -> bool:
    """Take an id out of its hole; False when it is in none."""
    at = bisect_right(holes, number, key=lambda hole: hole[0]) - 1
    if at < 0 or holes[at][1] < number:
        return False
    first, last = holes[at]
    holes[at : at + 1] = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
    return True


def _make_ids(columns: TradeColumns, states: Mapping[str, State], usable: NDArray[np.bool_]) -> Checked:
    """Ids KRAKEN-<µs>-<hash8>: the hash is of the content, and of its ordinal from the second one on.

    Of a trade that was fetched later the hash is of content and fetch: its likes came long ago.
    """
    made: list[str] = []
    new: dict[str, State] = {}
    prefix = columns.exchange.upper()
    kinds = columns.vendor_data.get("orderType") or [""] * len(columns)
    rows = zip(
        columns.symbol,
        columns.timestamp,
        columns.price,
        columns.quantity,
        columns.taker_buy,
        kinds,
        columns.backfilled or [""] * len(columns),
        strict=True,
    )
    for symbol, time, price, quantity, taker_buy, kind, fetch in rows:
        state = new.get(symbol)
        if state is None:
            state = new[symbol] = _copy(states.get(symbol))
        content = crc32(f"{symbol}|{price}|{quantity}|{'b' if taker_buy else 's'}|{kind}".encode())
        if fetch:
            made.append(f"{prefix}-{time}-{crc32(fetch.encode(), content):08x}")
            continue
        state.newest = max(state.newest, time)
        recent = state.recent
        _forget(recent, state.newest - RECENT_US)
        name = f"{time}-{content:08x}"
        ordinal, _ = recent.pop(name, (0, 0))
        recent[name] = (ordinal + 1, state.newest)
        if ordinal:
            name = f"{time}-{crc32(b'|%d' % ordinal, content):08x}"
        made.append(f"{prefix}-{name}")
    return Checked(usable, made, [], [], new)


def _forget(recent: dict[str, tuple[int, int]], before: int) -> None:
    """Drop the contents whose last trade came when the newest trade time was below `before`, and any excess.

    The dict is in the order of arrival, so only its head is looked at.
    """
    while recent:
        oldest = next(iter(recent))
        if recent[oldest][1] >= before and len(recent) < MAX_RECENT:
            return
        del recent[oldest]


def _copy(state: State | None) -> State:
    if state is None:
        return State()
    ids = {numbering: Ids(known.high, list(known.holes)) for numbering, known in state.ids.items()}
    return State(ids, state.newest, dict(state.recent))


def _gap(kind: EventKind, columns: TradeColumns, row: int, first: int, last: int, since: int) -> FeedEvent:
    return FeedEvent(
        kind=kind,
        exchange=columns.exchange,
        time=columns.receive_time[row],
        symbol=columns.symbol[row],
        first_missing=first,
        last_missing=last,
        numbering=columns.numbering[row] if columns.numbering else "",
        count=last - first + 1,
        since=since,
    )


def _duplicates(columns: TradeColumns, rows: list[int]) -> FeedEvent:
    return FeedEvent(
        kind=EventKind.DUPLICATE,
        exchange=columns.exchange,
        time=columns.receive_time[rows[-1]],
        symbol=columns.symbol[rows[0]],
        count=len(rows),
    )
