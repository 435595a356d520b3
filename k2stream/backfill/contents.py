"""Trades without ids, by what they are: the difference of what REST tells and the raw topic holds."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Past
from k2stream.exchanges.spec import Exchange
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity.told import ROUNDING_US

Content = tuple[object, ...]


def contents(columns: TradeColumns) -> list[Content]:
    """What a trade is, but for its symbol and time; equal numbers are equal whatever their digits."""
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
    """What is no finite number stays text: a NaN equals nothing, and a signalling one may not be compared."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() else text


class HeldContents:
    """Trades of one symbol without ids, by content: each as often as it happened, whoever told it.

    Records are added in raw order, by the rule of k2stream/normalizer/continuity/told.py.
    """

    def __init__(self) -> None:
        self._times: defaultdict[Content, list[int]] = defaultdict(list)
        self._told: Counter[tuple[Content, int, str]] = Counter()
        self._count: Counter[tuple[Content, int]] = Counter()

    def add(self, content: Content, time: int, link: str) -> None:
        """Take a record; `link` is the connection that told it, "" when it was fetched later."""
        if link:
            self._told[content, time, link] += 1
            if self._told[content, time, link] <= self._count[content, time]:
                return
        self._count[content, time] += 1
        insort(self._times[content], time)

    def times(self) -> Mapping[Content, list[int]]:
        """Times, µs, ascending, by content."""
        return self._times


def unmatched(told: Sequence[int], held: Sequence[int]) -> list[int]:
    """Which of the `told` times, by position, have no partner among the `held` ones; both ascend.

    As many as possible are paired, each at most ROUNDING_US apart: identical trades are real, so that this is
    a difference of multisets.
    """
    left, at = [], 0
    for position, time in enumerate(told):
        while at < len(held) and held[at] < time - ROUNDING_US:
            at += 1
        if at < len(held) and held[at] <= time + ROUNDING_US:
            at += 1
        else:
            left.append(position)
    return left


def absent(exchange: Exchange, told: Sequence[Past], held: Mapping[Content, list[int]]) -> list[Past]:
    """The trades of one symbol that REST tells and nobody holds, in their order."""
    records, unreadable = raw.decode(exchange, [raw.record(item.trade, 0, "", 0) for item in told])
    readable = [row for row in range(len(told)) if row not in unreadable]
    rows: defaultdict[Content, list[int]] = defaultdict(list)
    for row, content in zip(readable, contents(exchange.normalise(records)), strict=True):
        rows[content].append(row)
    missing = list(unreadable)  # whatever they are: the normaliser says what is wrong with them
    for content, alike in rows.items():
        alike.sort(key=lambda row: told[row].time)
        times = [told[row].time for row in alike]
        missing += [alike[position] for position in unmatched(times, held.get(content, ()))]
    return [told[row] for row in sorted(missing)]
