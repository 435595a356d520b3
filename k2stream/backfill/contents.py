"""Compares trades without ids by content, to find those that REST reports and the raw topic lacks."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Past
from k2stream.exchanges.spec import Exchange
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity.reports import ROUNDING_US

Content = tuple[object, ...]


def contents(columns: TradeColumns) -> list[Content]:
    """Return the content of each trade, without symbol and time. Numbers compare by value, not by digits."""
    vendor = list(zip(*columns.vendor_data.values(), strict=True)) or [()] * len(columns)
    return list(
        zip(
            map(_number, columns.price),
            map(_number, columns.quantity),
            columns.taker_buy,
            vendor,
            strict=True,
        )
    )


def _number(text: str) -> Decimal | str:
    """Return a finite number as Decimal, anything else as text: NaN equals nothing, and may not compare."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() else text


class TradeContents:
    """A multiset of one symbol's trades without ids; a trade that several connections sent counts once.

    Add records in raw order. k2stream/normalizer/continuity/reports.py describes how repeats are recognized.
    """

    def __init__(self) -> None:
        self._times: defaultdict[Content, list[int]] = defaultdict(list)
        self._reported: Counter[tuple[Content, int, str]] = Counter()
        self._live: Counter[tuple[Content, int]] = Counter()  # most reports by one connection
        self._count: Counter[tuple[Content, int]] = Counter()

    def add(self, content: Content, time: int, link: str) -> None:
        """Add a record with its trade time in µs; `link` is its connection, "" if it was fetched later."""
        if link:
            self._reported[content, time, link] += 1
            of_link = self._reported[content, time, link]
            self._live[content, time] = max(self._live[content, time], of_link)
            if of_link <= self._count[content, time]:
                return
            if (near := self._fetched_near(content, time)) is not None:
                self._count[content, near] -= 1
                self._times[content].remove(near)
        self._count[content, time] += 1
        insort(self._times[content], time)

    def _fetched_near(self, content: Content, time: int) -> int | None:
        """A neighboring time at which more was fetched than connections have reported: the same trade."""
        near = (time - ROUNDING_US, time + ROUNDING_US)
        return next((at for at in near if self._count[content, at] > self._live[content, at]), None)

    def times(self) -> Mapping[Content, list[int]]:
        """Return the trade times in µs, ascending, by content."""
        return self._times


def unmatched(reported: Sequence[int], known: Sequence[int]) -> list[int]:
    """Return the positions of `reported` times without a partner among the `known` times; both ascend, in µs.

    This is a difference of multisets, because identical trades do occur: as many times as possible are
    paired one to one, at most ROUNDING_US apart.
    """
    left, at = [], 0
    for position, time in enumerate(reported):
        while at < len(known) and known[at] < time - ROUNDING_US:
            at += 1
        if at < len(known) and known[at] <= time + ROUNDING_US:
            at += 1
        else:
            left.append(position)
    return left


def absent(exchange: Exchange, reported: Sequence[Past], known: Mapping[Content, list[int]]) -> list[Past]:
    """Return the trades of one symbol that REST reported and that are not `known`, in order."""
    records, unreadable = raw.decode(exchange, [raw.record(item.trade, 0, "", 0) for item in reported])
    readable = [row for row in range(len(reported)) if row not in unreadable]
    rows: defaultdict[Content, list[int]] = defaultdict(list)
    for row, content in zip(readable, contents(exchange.normalize(records)), strict=True):
        rows[content].append(row)
    missing = list(unreadable)  # published anyway: the normalizer reports what is wrong with them
    for content, alike in rows.items():
        alike.sort(key=lambda row: reported[row].time)
        times = [reported[row].time for row in alike]
        missing += [alike[position] for position in unmatched(times, known.get(content, ()))]
    return [reported[row] for row in sorted(missing)]
