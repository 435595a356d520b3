"""Feeds: `/v1/exchanges` and `/v1/gaps`, from feed events."""

from __future__ import annotations

from itertools import islice

import msgspec
from litestar import get

from k2stream.model import clock
from k2stream.platform.snapshot import Snapshot
from k2stream.service.parameters import Bound, ExchangeFilter, From, Limit, SymbolFilter
from k2stream.service.sources import Sources
from k2stream.topics import EXCHANGES
from k2stream.web.ledger import Gap
from k2stream.web.query import DEFAULT_LIMIT, RequestError, bounds

HOUR_US = 3_600_000_000


class ExchangeItem(msgspec.Struct, frozen=True):
    """An exchange and its feed; times in ms since 1970, null where nothing is known."""

    exchange: str
    symbols: int
    connected: bool | None
    since: int | None
    """Since when it is connected, or not."""
    detail: str
    """Why it is not connected."""
    feed_healthy: bool | None
    """Whether the whole feed was up and lost nothing in the last minute."""
    reconnects: int
    """Within the retention of the feed events (30 days)."""
    down_seconds: float
    """How long it was down in the last 24 hours."""
    gaps: int
    """Within the last 24 hours."""
    open_gaps: int
    """Those of them that were not asked for again yet."""
    event_lag_ms: float | None
    """Receive time minus trade time of the newest trade."""
    trades_per_second: float | None
    rejected: int | None
    """Frames and trades that could not be used, since the workers started."""


class ExchangesAnswer(msgspec.Struct, frozen=True):
    """The exchanges that are on."""

    simulated: bool
    exchanges: list[ExchangeItem]


class GapItem(msgspec.Struct, frozen=True):
    """Trades that did not arrive; times in ms since 1970, ids as the exchange numbers them."""

    exchange: str
    symbol: str | None
    """Canonical; null for a whole connection."""
    native_symbol: str
    kind: str
    """`gap`, `jump` (ids may skip there: perhaps nothing was missing), `lost_frames` or `expired`."""
    time: int
    since: int
    first_missing: int | None
    last_missing: int | None
    filled: int | None
    """How many trades were fetched later; null while nobody has asked for them."""
    filled_at: int | None
    detail: str


class GapsAnswer(msgspec.Struct, frozen=True):
    """Gaps, the newest first; the newest 10,000 of each exchange within 30 days are known."""

    simulated: bool
    complete: bool
    """False while the feed events are still being read."""
    gaps: list[GapItem]


@get("/v1/exchanges")
async def exchanges(sources: From) -> ExchangesAnswer:
    """The exchanges: connected, healthy, how late their trades are, and what was lost."""
    try:
        snapshot = await sources.workers.read()
    except RequestError:
        snapshot = None
    now = clock.now_us()
    return ExchangesAnswer(
        sources.simulated, [exchange_item(sources, snapshot, name, now) for name in EXCHANGES]
    )


@get("/v1/gaps")
async def gaps(
    sources: From,
    exchange: ExchangeFilter = None,
    symbol: SymbolFilter = None,
    start: Bound = None,
    end: Bound = None,
    limit: Limit = DEFAULT_LIMIT,
) -> GapsAnswer:
    """Trades that did not arrive, by when that was noticed, and whether they were fetched later."""
    if exchange is not None and exchange not in EXCHANGES:
        raise RequestError(404, f"unknown exchange {exchange}", exchanges=EXCHANGES)
    first, last = bounds(start, end)
    listed = {(item.exchange, item.symbol): item.canonical for item in sources.instruments}
    names = [exchange] if exchange else EXCHANGES
    native = {
        name: item.symbol for name in names if symbol and (item := sources.instruments.find(name, symbol))
    }
    if symbol and not native:
        raise RequestError(404, f"no exchange has the symbol {symbol} here")
    found = (
        gap
        for gap in sources.health.ledger.gaps(exchange or "")
        if (first is None or gap.time >= first * 1000)
        and (last is None or gap.time < last * 1000)
        and (not symbol or gap.symbol == native.get(gap.exchange))
    )
    items = [gap_item(gap, listed.get((gap.exchange, gap.symbol))) for gap in islice(found, limit)]
    return GapsAnswer(sources.simulated, sources.health.ready, items)


def gap_item(gap: Gap, canonical: str | None) -> GapItem:
    """A gap as it is answered."""
    return GapItem(
        gap.exchange,
        canonical,
        gap.symbol,
        gap.kind,
        gap.time // 1000,
        gap.since // 1000,
        gap.first_missing,
        gap.last_missing,
        gap.filled,
        None if gap.filled_at is None else gap.filled_at // 1000,
        gap.detail,
    )


def exchange_item(sources: Sources, snapshot: Snapshot | None, name: str, now: int) -> ExchangeItem:
    """An exchange as it is answered; `now` in µs. Without a snapshot, metrics are null."""
    ledger = sources.health.ledger
    feed, day = ledger.feeds[name], now - 24 * HOUR_US
    recent = [gap for gap in ledger.gaps(name) if gap.time >= day]
    lag = snapshot.now.get("k2_event_lag_seconds", exchange=name) if snapshot else None
    return ExchangeItem(
        exchange=name,
        symbols=len(sources.instruments.for_exchange(name)),
        connected=feed.connected,
        since=feed.since // 1000 or None,
        detail=feed.detail,
        feed_healthy=sources.health.checker(name, "")(now - HOUR_US // 60, now),
        reconnects=feed.reconnects,
        down_seconds=round(ledger.down_within(name, "", day, now) / 1e6, 3),
        gaps=len(recent),
        open_gaps=sum(gap.filled is None for gap in recent),
        event_lag_ms=None if lag is None else round(lag * 1000, 1),
        trades_per_second=round(snapshot.rate("k2_raw_trades_total", exchange=name), 1) if snapshot else None,
        rejected=round(snapshot.now.get("k2_rejected_total", exchange=name)) if snapshot else None,
    )


ROUTES = (exchanges, gaps)
