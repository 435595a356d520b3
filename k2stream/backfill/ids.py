"""Fills a gap that is a range of trade ids."""

from __future__ import annotations

import asyncio
import logging

from k2stream.backfill.span import unread
from k2stream.backfill.task import Task
from k2stream.exchanges.rest.spec import HistoryError, Page
from k2stream.model.events import EventKind, FeedEvent

log = logging.getLogger(__name__)

MOST_IDS = 5_000_000
"""The most ids that are fetched for one event (the newest); this takes half an hour to half a day."""

PATIENCE_US = 60_000_000
"""Minimum age of a gap, µs, before ids that REST does not return are taken to belong to no trade."""

AGAIN_SECONDS = 5.0


async def fill(task: Task, event: FeedEvent) -> None:
    """Publish the trades of a GAP or JUMP event, and report the result as a feed event."""
    await task.settle(event.time, 1)
    try:
        count, unreadable = await _publish(task, event)
        remark = _remark(event, event.count - count, unreadable)
    except HistoryError as error:
        count, remark = 0, f"nothing fetched: {error}"
    await task.done(event, event.symbol, event.since, count, remark)
    name, first, last = f"{event.exchange} {event.symbol}", event.first_missing, event.last_missing
    said = f"{first} to {last} fetched{f'; {remark}' if remark else ''}"
    log.info("%s: %d trades of ids %s", name, count, said, extra={"symbol": event.symbol})


async def _publish(task: Task, event: FeedEvent) -> tuple[int, int]:
    """Publish the trades of a gap; returns their number, and that of unreadable rows. Raises HistoryError.

    Ids are fetched in ascending order, so that the normalizer's range of unseen ids only shrinks, even if
    ids are skipped.
    """
    history, first, last = task.client.history, event.first_missing, event.last_missing
    assert history.by_id and first is not None and last is not None
    count, unreadable, start = 0, 0, max(first, last - MOST_IDS + 1)
    is_old = task.patience(event.time, PATIENCE_US)
    while start <= last:
        wanted = range(start, min(start + history.limit, last + 1))
        request = history.by_id(event.symbol, event.numbering, wanted[0], wanted[-1])
        fetched: set[int] = set()
        beyond = False
        while True:
            page = await task.client.fetch(request)
            found = [item for item in page.trades if item.id in wanted and item.id not in fetched]
            await task.output.trades(found)
            fetched.update(item.id for item in found)
            if beyond or len(fetched) == len(wanted):
                break
            beyond = is_old() and await _is_beyond(task, event, wanted[-1])
            if not beyond:
                await asyncio.sleep(AGAIN_SECONDS)
        count += len(fetched)
        if len(fetched) < len(wanted):  # else they are of other ids, which a response may contain too
            await task.output.rejects(event.symbol, page.rejects)
            unreadable += len(page.rejects)
        known = fetched or page.rejects
        start = wanted[-1] + 1 if known else await _next(task, event, wanted[-1] + 1, last, page)
    return count, unreadable


async def _next(task: Task, event: FeedEvent, start: int, last: int, page: Page) -> int:
    """Return the lowest id from `start` on that may belong to a trade, after a page without trades.

    An exchange may skip millions of ids when it restarts.
    """
    history = task.client.history
    assert history.by_id
    if not history.upward and start <= last:
        lowest = max(start, last - history.limit + 1)
        page = await task.client.fetch(history.by_id(event.symbol, event.numbering, lowest, last))
        if page.rejects or (page.rows >= history.limit and page.trades[0].id > start):
            return start  # the page is full before it reaches `start`, or may be
    return next((item.id for item in page.trades if item.id >= start), last + 1)


async def _is_beyond(task: Task, event: FeedEvent, last: int) -> bool:
    """Whether REST already returns trades newer than id `last`, so that ids it still omits will not follow.

    Trade times are compared too, because ids that have restarted since may never reach `last`.
    """
    history = task.client.history
    assert history.newest
    page = await task.client.fetch(history.newest(event.symbol, event.numbering))
    if not page.trades:
        return bool(page.rejects)  # the newest one is unreadable, which waiting does not change
    newest = page.trades[-1]
    return newest.id > last or newest.time > event.time + task.margin_us


def _remark(event: FeedEvent, missing: int, unreadable: int) -> str:
    """Describe the ids for which no trade was found, and unreadable rows; "" if there are none."""
    said = []
    if missing and event.kind is EventKind.JUMP:
        said.append(f"{missing} ids belong to no trade that the exchange returns")
    elif missing:
        said.append(f"{missing} are permanently missing: the exchange does not return them")
    return "; ".join([*said, *unread(unreadable)])
