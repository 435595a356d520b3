"""Asks for the newest trade of each quiet symbol after an outage, of an exchange with trade ids.

Ids that a feed missed are told by the next trade of their symbol, which may come hours later, or never. So
the exchange's newest trade is published in its place: the normalizer drops it as a repeat, or accepts it and
reports the ids before it as a gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

import msgspec

from k2stream.backfill.outages import ENDS
from k2stream.backfill.span import unread
from k2stream.backfill.task import Task
from k2stream.backfill.turn import OLD_US
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import HistoryError, Past
from k2stream.model.events import EventKind, FeedEvent

log = logging.getLogger(__name__)

ASKED = (*ENDS, EventKind.LOST_FRAMES)
"""Events after which trades may be missing that no later trade tells of yet."""


async def fill(task: Task, events: Sequence[FeedEvent]) -> None:
    """Publish the newest trades of the symbols whose outages `events` report and that are still quiet."""
    outages = _by_symbol(task, events)
    if not outages:
        return
    await task.settle(max(event.time for event in outages.values()), 2)
    found = {
        symbol: item
        for symbol, event in outages.items()
        if _is_quiet(task, symbol, event) and (item := await _newest(task, symbol, event))
    }
    if not found:
        return
    # One that was just made is also on its way through the feed, and those before it with it.
    await asyncio.sleep(task.margin_us / 1e6)
    await task.settled()
    for symbol in [name for name in found if not _is_quiet(task, name, outages[name])]:
        del found[symbol]
    await task.output.trades(list(found.values()))
    for symbol in found:
        await task.done(outages[symbol], symbol, outages[symbol].since, 1, "")
    log.info("%s: newest trades of %d quiet symbols fetched", task.exchange.name, len(found))


def _by_symbol(task: Task, events: Iterable[FeedEvent]) -> dict[str, FeedEvent]:
    """Return the last event of each symbol, with the earliest `since` of all."""
    found: dict[str, FeedEvent] = {}
    for event in events:
        if event.kind in ENDS and event.since in (0, event.time):
            continue  # it was never up before, or each symbol's outage has its own event
        for symbol in [event.symbol] if event.symbol else task.symbols:
            since = min(event.since, found[symbol].since) if symbol in found else event.since
            found[symbol] = msgspec.structs.replace(event, since=since)
    return {symbol: found[symbol] for symbol in task.symbols if symbol in found}


def _is_quiet(task: Task, symbol: str, event: FeedEvent) -> bool:
    """Whether the feed has brought no trade of the symbol since the outage."""
    heard = task.heard(symbol)
    if heard is None:
        return True
    # Its first trades may come before the connection counts as up.
    is_new = event.kind is EventKind.CONNECTED and heard.connection == event.connection
    return heard.time < event.time and not is_new


async def _newest(task: Task, symbol: str, event: FeedEvent) -> Past | None:
    """Return a symbol's newest trade, unless it is the feed's last, or clearly from before the outage."""
    history = task.client.history
    assert history.newest
    try:
        page = await task.client.fetch(history.newest(symbol, task.numberings.get(symbol, "")))
    except HistoryError as error:
        log.warning("%s %s: nothing fetched: %s", task.exchange.name, symbol, error, extra={"symbol": symbol})
        await task.done(event, symbol, event.since, 0, f"nothing fetched: {error}")
        return None
    if not page.trades:
        await task.output.rejects(symbol, page.rejects)
        if page.rejects:
            await task.done(event, symbol, event.since, 0, unread(len(page.rejects))[0])
        return None
    item = page.trades[-1]
    return None if item.time < event.since - OLD_US or _is_heard(task, symbol, item) else item


def _is_heard(task: Task, symbol: str, item: Past) -> bool:
    heard = task.heard(symbol)
    records, _ = raw.decode(task.exchange, [raw.record(heard.trade, 0, "", 0)] if heard else [])
    return bool(records) and task.exchange.normalize(records).sequence[0] == item.id
