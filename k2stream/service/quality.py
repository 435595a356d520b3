"""How whole the data is: `/v1/quality` by symbol and day, `/v1/agreement` with the exchanges' own klines."""

from __future__ import annotations

import logging
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from k2stream.clickhouse import agreement, quality
from k2stream.clickhouse.agreement import AgreementCount, KlineDifference, Scope
from k2stream.clickhouse.quality import DayCount
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Continuity
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.service.parameters import Bound, ExchangeFilter, From, SymbolFilter
from k2stream.service.sources import Sources
from k2stream.service.stores import asked
from k2stream.web.query import RequestError, bounds

# The driver logs a traceback per refused connection; the answer already says so in one line.
logging.getLogger("clickhouse_driver").setLevel(logging.ERROR)

DAY_MS, DAY_US = 86_400_000, 86_400_000_000
MOST_DAYS = 31


Differences = Annotated[
    int, QueryParameter(name="limit", ge=0, le=1000, description="The most differences to list.")
]
StoredTimeframe = Annotated[
    str | None, QueryParameter(name="timeframe", description="Only this one of 1m 5m 15m 30m 1h 1d.")
]


class QualityItem(msgspec.Struct, frozen=True):
    """The trades of a symbol on a day (UTC); null where an exchange does not let us know."""

    exchange: str
    symbol: str
    native_symbol: str
    day: str
    """As 2026-11-20."""
    trades: int
    expected_ids: int | None
    """From the least to the greatest id of the day, of an exchange that counts without leaving any out; of
    each numbering, where ids have started again."""
    missing: int | None
    """Expected ids that are not there."""
    filled: int
    """Trades that were fetched later over REST."""
    late: int | None
    """Trades that came too late for the day's candle; null while it is not final."""
    duplicates: int
    """Repetitions that the exchange sent, and that were dropped."""
    feed_down_seconds: float


class QualityAnswer(msgspec.Struct, frozen=True):
    """Symbols and days that have trades in ClickHouse."""

    simulated: bool
    complete: bool
    """False while feed events are still being read: then too little is known of repetitions and outages."""
    days: list[QualityItem]


class AgreementItem(msgspec.Struct, frozen=True):
    """How many candles of an exchange and timeframe were compared, each by its newest revision."""

    exchange: str
    timeframe: str
    checked: int
    equal: int
    different: int
    not_comparable: int
    reasons: dict[str, int]
    """How many candles are not comparable for which reason."""


class DifferenceItem(msgspec.Struct, frozen=True):
    """A candle that differs from the exchange's own: `fields`, with our values and theirs."""

    exchange: str
    symbol: str
    native_symbol: str
    timeframe: str
    open_time: int
    revision: int
    checked_time: int
    """µs since 1970."""
    fields: list[str]
    ours: list[str]
    theirs: list[str]
    explanation: list[str]


class AgreementAnswer(msgspec.Struct, frozen=True):
    """Final candles compared with the exchanges' own klines; times in ms."""

    simulated: bool
    start: int
    end: int
    counts: list[AgreementItem]
    differences: list[DifferenceItem]


@get("/v1/quality")
async def quality_by_day(
    sources: From,
    exchange: ExchangeFilter = None,
    symbol: SymbolFilter = None,
    start: Bound = None,
    end: Bound = None,
) -> QualityAnswer:
    """Per symbol and day: ids that were expected, missing and filled, late and repeated trades, outages.

    Without bounds: today and yesterday; at most 31 days.
    """
    names = _exchange(exchange)
    canonical = _canonical(sources, exchange, symbol)
    now = clock.now_us()
    first, last = bounds(start, end)
    until = now // DAY_US + 1 if last is None else -(-last // DAY_MS)
    since = until - 2 if first is None else first // DAY_MS
    if not 0 < until - since <= MOST_DAYS:
        raise RequestError(400, f"start and end are {until - since} days apart: from 1 to {MOST_DAYS}")
    found = await asked(lambda: quality.days(sources.settings.clickhouse, since, until, names, canonical))
    items = [quality_item(sources, day, now) for day in found]
    return QualityAnswer(sources.simulated, sources.health.ready, items)


@get("/v1/agreement")
async def agreement_counts(
    sources: From,
    exchange: ExchangeFilter = None,
    timeframe: StoredTimeframe = None,
    start: Bound = None,
    end: Bound = None,
    limit: Differences = 20,
) -> AgreementAnswer:
    """How many candles agree with the exchanges' own klines, and those that differ, with what explains it.

    Without bounds: the last 24 hours.
    """
    if timeframe is not None and timeframe not in TIMEFRAMES:
        raise RequestError(404, f"{timeframe} is not stored", timeframes=list(TIMEFRAMES))
    first, last = bounds(start, end)
    until = clock.now_us() // 1000 if last is None else last
    since = max(until - DAY_MS, 0) if first is None else first
    scope = Scope(since, until, _exchange(exchange), timeframe or "")
    stores = sources.settings.clickhouse

    def read() -> tuple[list[AgreementCount], list[KlineDifference]]:
        with agreement.reading(stores) as client:
            counts = agreement.summary(client, stores.database, scope)
            return counts, list(agreement.differences(client, stores.database, scope, limit)) if limit else []

    counts, differences = await asked(read)
    return AgreementAnswer(
        sources.simulated,
        since,
        until,
        [AgreementItem(*count) for count in counts],
        list(map(difference_item, differences)),
    )


def difference_item(found: KlineDifference) -> DifferenceItem:
    """A difference as it is answered."""
    return DifferenceItem(
        found.exchange,
        found.canonical_symbol,
        found.symbol,
        found.timeframe,
        found.open_time,
        found.revision,
        found.checked_time,
        found.fields,
        found.ours,
        found.theirs,
        found.explanation,
    )


def quality_item(sources: Sources, day: DayCount, now: int) -> QualityItem:
    """A day as it is answered; `now` in µs."""
    ledger, begin = sources.health.ledger, day.day * DAY_US
    exchange = REGISTRY.get(day.exchange)
    contiguous = exchange is not None and exchange.continuity is Continuity.CONTIGUOUS
    expected = day.expected if contiguous and day.ids else None
    end = min(begin + DAY_US, now)
    return QualityItem(
        day.exchange,
        day.canonical,
        day.symbol,
        clock.iso(day.day * DAY_MS)[:10],
        day.trades,
        expected,
        None if expected is None else expected - day.ids,
        day.backfilled,
        None if day.in_candles is None else max(day.trades - day.in_candles, 0),
        ledger.duplicates(day.exchange, day.symbol, day.day),
        round(ledger.down_within(day.exchange, day.symbol, begin, end) / 1e6, 3),
    )


def _exchange(name: str | None) -> str:
    if name is not None and name not in REGISTRY:
        raise RequestError(404, f"unknown exchange {name}", exchanges=list(REGISTRY))
    return name or ""


def _canonical(sources: Sources, exchange: str | None, symbol: str | None) -> str:
    if symbol is None:
        return ""
    names = [exchange] if exchange else list(REGISTRY)
    alike = {item.canonical for name in names if (item := sources.instruments.find(name, symbol))}
    if len(alike) != 1:
        raise RequestError(404, f"no symbol {symbol} here")
    return alike.pop()


ROUTES = (quality_by_day, agreement_counts)
