"""Fills the outages of an exchange without trade ids."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from k2stream.backfill.contents import absent
from k2stream.backfill.retained import RetainedReader, RetainedTrades
from k2stream.backfill.span import TradeSpan, chunks, unread
from k2stream.backfill.task import Task
from k2stream.exchanges.rest.spec import HistoryError, Page, Past
from k2stream.model.events import EventKind, FeedEvent
from k2stream.normalizer.continuity.reports import ROUNDING_US

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0

ENDS = (EventKind.CONNECTED, EventKind.SUBSCRIBED)
"""Events that report an outage when it ends: of the whole feed, or of one symbol."""

PATIENCE_US = 3_600_000_000
"""How long to wait, µs, until REST returns the newest trade of the feed; it may never do so."""

MOST_US = 24 * 3_600_000_000
"""The longest time, µs, that is fetched; of a longer outage only the end."""


def join(before: FeedEvent, event: FeedEvent, margin_us: int) -> FeedEvent | None:
    """Merge two touching outages of the same symbols, to save requests when a feed flaps; None otherwise."""
    alike = before.kind in ENDS and event.kind in ENDS and before.symbol == event.symbol
    if not (alike and before.since and event.since) or event.since > before.time + 2 * margin_us:
        return None
    return msgspec.structs.replace(event, since=min(before.since, event.since))


async def fill(task: Task, event: FeedEvent) -> None:
    """Publish the trades of an outage that REST returns and the raw topic lacks."""
    if event.since in (0, event.time):
        return  # it was never up before, or each symbol's outage has its own event
    name, margin = task.exchange.name, task.margin_us
    # If our clock was corrected in between, start may be later than end.
    start, end = max(event.since - margin, event.time - MOST_US), event.time + margin
    remark = ""
    if start > event.since:
        remark = (
            f"only the last {MOST_US / 3.6e9:g} of {(event.time - event.since) / 3.6e9:.1f} h are fetched"
        )
        log.warning("%s: %s", name, remark)
    await task.settle(event.time, 2)
    await task.settled()
    reader = RetainedReader(task.exchange, task.settings.kafka, min(start, end), event.connection)
    retained = await reader.read()
    span = TradeSpan(*sorted((start + retained.before, end + retained.after + 1)))
    count = 0
    for symbol in [event.symbol] if event.symbol else task.symbols:
        try:
            fetched = await _fetched(task, symbol, span, retained)
        except HistoryError as error:
            log.warning("%s %s: nothing fetched: %s", name, symbol, error, extra={"symbol": symbol})
            await task.done(event, symbol, event.since, 0, f"nothing fetched: {error}")
            continue

        async def compared(symbol: str = symbol, fetched: Sequence[Past] = fetched.trades) -> Sequence[Past]:
            now = await reader.read()
            return absent(task.exchange, fetched, now.times.get(symbol, {}))

        missing = await task.publish(compared)
        await task.output.rejects(symbol, fetched.rejects)
        remarks = "; ".join(filter(None, (remark, *unread(len(fetched.rejects)))))
        await task.done(event, symbol, event.since, missing, remarks)
        count += missing
    log.info("%s: %d trades fetched of %.1f s without a feed", name, count, (span.end - span.start) / 1e6)


async def _fetched(task: Task, symbol: str, span: TradeSpan, retained: RetainedTrades) -> Page:
    """Fetch a symbol's trades of a span, once REST has reached the feed's newest trade.

    Raises HistoryError.
    """
    times = (time for times in retained.times.get(symbol, {}).values() for time in times if time < span.end)
    newest = max(times, default=0)
    is_old = task.patience(span.end, PATIENCE_US)
    beyond = False
    while True:
        pages = [page async for page in chunks(task.client, symbol, "", span)]
        trades = [item for page in pages for item in page.trades]
        fetched = Page(trades, rejects=[item for page in pages for item in page.rejects])
        if beyond or not newest or (trades and trades[-1].time >= newest - ROUNDING_US):
            return fetched
        if is_old():
            log.warning(
                "%s %s: REST does not return the newest trade of the feed", task.exchange.name, symbol,
                extra={"symbol": symbol},
            )  # fmt: skip
            return fetched
        by_time = task.client.history.by_time
        assert by_time
        later = await task.client.fetch(by_time(symbol, span.end * 1000))
        beyond = bool(later.rejects) or any(item.time >= span.end for item in later.trades)
        if not beyond:
            await asyncio.sleep(AGAIN_SECONDS)
