"""Fetches a symbol's trades of a time span page by page, from an exchange that pages by id or by time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from k2stream.backfill.client import RestClient
from k2stream.exchanges.rest.spec import Past
from k2stream.model.trade import Reject
from k2stream.normalizer.continuity.reports import ROUNDING_US


class TradeSpan(NamedTuple):
    """Trade times in [start, end), µs since 1970."""

    start: int
    end: int


class Chunk(NamedTuple):
    """Trades of the span, ascending, the cursor from which to continue, and rows that cannot be read.

    Of such a row the time is unknown: it may be just outside the span.
    """

    trades: Sequence[Past]
    cursor: int
    rejects: Sequence[Reject] = ()


def unread(count: int) -> list[str]:
    """Describe a number of rows that cannot be read, in words for an event's detail; none for 0."""
    return [f"{count} rows that the exchange returned cannot be read: see the dead letters"] if count else []


def chunks(
    client: RestClient, symbol: str, numbering: str, span: TradeSpan, cursor: int | None = None
) -> AsyncIterator[Chunk]:
    """Yield each trade of the span that the exchange still has, once; from `cursor` on if it is given.

    Raises HistoryError when the exchange refuses the symbol.
    """
    if client.history.by_id:
        return _by_id(client, symbol, numbering, span, cursor)
    return _by_time(client, symbol, TradeSpan(span.start if cursor is None else cursor, span.end))


async def _by_id(
    client: RestClient, symbol: str, numbering: str, span: TradeSpan, cursor: int | None
) -> AsyncIterator[Chunk]:
    """Page by id; the cursor is an id."""
    history = client.history
    assert history.by_id and history.newest
    newest = await client.fetch(history.newest(symbol, numbering))
    if not newest.trades:
        if newest.rejects:  # up to which id there are trades is unknown
            yield Chunk([], cursor or 0, newest.rejects)
        return
    last = newest.trades[-1].id
    first = await _locate(client, symbol, numbering, span.start, last) if cursor is None else cursor
    seen: set[bytes] = set()
    while first <= last:
        upto = min(first + history.limit - 1, last)
        fetched, _, rejects = await client.fetch(history.by_id(symbol, numbering, first, upto))
        page = [item for item in fetched if first <= item.id <= upto]
        # Older trades may no longer be available: continue from the first that is.
        first = max(upto + 1, fetched[0].id) if fetched else upto + 1
        yield Chunk(
            [item for item in page if span.start <= item.time < span.end], first, _unseen(rejects, seen)
        )
        if page and min(item.time for item in page) >= span.end:
            return


def _unseen(rejects: Sequence[Reject], seen: set[bytes]) -> list[Reject]:
    """Return the rows that no earlier page had: pages may overlap. Adds them to `seen`."""
    found = [item for item in rejects if item.original not in seen]
    seen.update(item.original for item in found)
    return found


async def _locate(client: RestClient, symbol: str, numbering: str, time: int, last: int) -> int:
    """Bisect for an id less than a page before the first trade from `time` (µs) on; ids rise with time."""
    history = client.history
    assert history.by_id
    low, high = 0, last
    while high - low >= history.limit:
        middle = (low + high) // 2
        page = await client.fetch(history.by_id(symbol, numbering, middle, middle + history.limit - 1))
        known = [item for item in page.trades if item.id >= middle]
        if known[0].time >= time if known else page.rejects:  # an unknown time may be later
            high = middle
        else:  # earlier, or too old to be available
            low = middle
    return low


async def _by_time(client: RestClient, symbol: str, span: TradeSpan) -> AsyncIterator[Chunk]:
    """Page by time; the cursor is a time in µs."""
    history = client.history
    assert history.by_time
    since = (span.start - 1) * 1000
    waiting: dict[int, Past] = {}
    seen: set[bytes] = set()
    while True:
        page = await client.fetch(history.by_time(symbol, since))
        waiting |= {item.id: item for item in page.trades}
        reached = page.trades[-1].time if page.trades else page.next // 1000
        is_last = page.rows < history.limit or reached >= span.end
        # A page may end between trades of the same time: these wait for the next page, which repeats them.
        edge = span.end if is_last else reached - ROUNDING_US
        ready = [item for item in waiting.values() if span.start <= item.time < edge]
        ready.sort(key=lambda item: (item.time, item.id))
        yield Chunk(ready, edge, _unseen(page.rejects, seen))
        if is_last:
            return
        waiting = {number: item for number, item in waiting.items() if item.time >= edge}
        since = page.next - 1000 if page.next - 1000 > since else page.next
