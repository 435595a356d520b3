"""Takes final candles, and compares them a while later with klines that it requests from the exchanges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from k2stream import metrics, topics
from k2stream.agreement.compare import compare, result
from k2stream.agreement.pending import KlineGroup, PendingCheck, next_group, not_offered, waiting
from k2stream.agreement.store import PendingStore, SendColumns
from k2stream.backoff import Backoff
from k2stream.exchanges.rest.klines import Kline
from k2stream.exchanges.rest.spec import HistoryError
from k2stream.exchanges.spec import Exchange
from k2stream.model import clock
from k2stream.model.candle import Candle
from k2stream.model.kline_checks import Agreement, KlineCheck
from k2stream.rest.connection import FAILED, RestConnection, said
from k2stream.settings import Settings

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.25
MOST_MISSED = 3
"""How many responses may lack a kline before it counts as missing."""

MOST_FAILED = 60
"""How many requests for a candle may fail, each after another delay, before it is given up."""


class AgreementMonitor:
    """Keeps what waits in the tables, from which a check is removed after its result was sent.

    After a crash in between, a candle is compared again: the last result of a revision counts.
    """

    def __init__(
        self,
        pending: PendingStore,
        send: SendColumns,
        settings: Settings,
        ready: Callable[[], bool],
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self._pending = pending
        self._send = send
        self._settings = settings
        self._ready = ready
        self._now_us = now_us

    async def take(self, partition: int, finals: Sequence[tuple[Candle, int]]) -> None:
        """Keep final candles until they are due; beyond the limit they are given up, and counted."""
        due = self._now_us() + self._settings.agreement.delay_us
        room = self._settings.agreement.max_pending - len(self._pending)
        given_up = []
        for candle, _ in finals:
            item = waiting(candle, due)
            self._pending.record_trade(partition, item.symbol_key, candle.first_trade_time)
            is_new = self._pending.get(partition, item.key) is None
            room -= is_new
            if is_new and room < 0:
                given_up.append(self._unchecked(item, "budget: too many candles wait"))
            else:
                self._pending.put(partition, item)
        await self._report(partition, given_up)

    async def run(self, exchange: Exchange) -> None:
        """Compare the candles of one exchange as they become due, until cancelled."""
        name, klines = exchange.name, exchange.klines
        url = self._settings.feeds.klines_url(name)
        rate = self._settings.agreement.requests_per_minute / 60
        rate = min(rate, klines.requests_a_second) if klines else rate
        waits = self._settings.feeds.reconnect_base_seconds, self._settings.feeds.reconnect_cap_seconds
        backoff = Backoff(*waits)
        async with RestConnection(url, rate) as connection:
            while True:
                due = self._due(name)
                await self._settle(exchange, url, due)
                group = next_group(due, klines)
                if group is None or klines is None:
                    await asyncio.sleep(TICK_SECONDS)
                    continue
                wait = await self._ask(exchange, connection, group)
                if wait is None:
                    backoff.reset()
                else:
                    await asyncio.sleep(max(wait, backoff.next()))

    def _due(self, exchange: str) -> list[tuple[int, PendingCheck]]:
        if not self._ready():
            return []
        now, found = self._now_us(), list(self._pending.for_exchange(exchange))
        due = [item for item in found if item[1].due <= now]
        oldest = min((item.due for _, item in due), default=now)
        metrics.KLINE_CHECKS_PENDING.labels(exchange).set(len(found))
        metrics.KLINE_CHECKS_BEHIND.labels(exchange).set((now - oldest) / 1e6)
        return due

    async def _settle(self, exchange: Exchange, url: str, due: list[tuple[int, PendingCheck]]) -> None:
        """Report, and take off the list, what no request can bring."""
        now = self._now_us()
        for place in list(due):
            if reason := not_offered(place[1], exchange.klines, url, now):
                due.remove(place)
                await self._finish([(*place, self._unchecked(place[1], reason))])

    async def _ask(self, exchange: Exchange, connection: RestConnection, group: KlineGroup) -> float | None:
        """Request the klines of a group and report; returns the seconds to wait after a failure."""
        klines, first, last = exchange.klines, group.first, group.last
        assert klines is not None
        word = klines.timeframes[first.timeframe]
        request = klines.request(first.symbol, word, first.open_time, last.open_time)
        metrics.KLINE_REQUESTS.labels(exchange.name).inc()
        try:
            found = await connection.get(request, klines.parse)
        except FAILED as error:
            metrics.KLINE_REQUEST_FAILURES.labels(exchange.name).inc()
            where, concerned = f"{connection.url}{request.path}", {"exchange": exchange.name}
            logger.warning("%s: %s: %s", exchange.name, where, said(error), extra=concerned)
            await self._failed(group, error)
            return None if getattr(error, "final", False) else getattr(error, "retry_after", 0.0)
        await self._compared(group, found)
        return None

    async def _failed(self, group: KlineGroup, error: Exception) -> None:
        final = isinstance(error, HistoryError) and error.final
        done, due = [], self._now_us() + self._settings.agreement.delay_us
        for partition, item in group.items:
            if final or item.failed + 1 >= MOST_FAILED:
                what = "refused" if final else "no answer"
                done.append((partition, item, self._unchecked(item, f"{what}: {said(error)}")))
            else:
                self._put_off(partition, item, msgspec.structs.replace(item, due=due, failed=item.failed + 1))
        await self._finish(done)

    async def _compared(self, group: KlineGroup, found: Iterable[Kline]) -> None:
        by_time = {kline.open_time: kline for kline in found}
        now, done = self._now_us(), []
        for partition, item in group.items:
            kline, partial = by_time.get(item.open_time), self._is_partial(partition, item)
            if kline is None and not partial and item.missed + 1 < MOST_MISSED:
                due = now + self._settings.agreement.delay_us
                self._put_off(partition, item, msgspec.structs.replace(item, due=due, missed=item.missed + 1))
            else:
                done.append((partition, item, compare(item, kline, partial=partial, now=now)))
        await self._finish(done)

    def _is_partial(self, partition: int, item: PendingCheck) -> bool:
        first = self._pending.first_trade(partition, item.symbol_key)
        return first is not None and item.open_time * 1000 <= first < item.end * 1000

    def _put_off(self, partition: int, item: PendingCheck, later: PendingCheck) -> None:
        if self._is_mine(partition, item):
            self._pending.put(partition, later)

    async def _finish(self, done: Sequence[tuple[int, PendingCheck, KlineCheck]]) -> None:
        """Send the results, then forget what they are of; a newer revision, or another owner, keeps it."""
        for partition in sorted({partition for partition, _, _ in done}):
            mine = [part for part in done if part[0] == partition and self._is_mine(partition, part[1])]
            await self._report(partition, [check for _, _, check in mine])
            for _, item, _ in mine:
                if self._is_mine(partition, item):
                    self._pending.delete(partition, item.key)

    def _is_mine(self, partition: int, item: PendingCheck) -> bool:
        """Whether it still waits here: after a pause, the partition may have another owner."""
        return self._pending.get(partition, item.key) == item

    def _unchecked(self, item: PendingCheck, reason: str) -> KlineCheck:
        return result(item, Agreement.NOT_COMPARABLE, reason, self._now_us())

    async def _report(self, partition: int, checks: Sequence[KlineCheck]) -> None:
        if not checks:
            return
        keys = [f"{check.exchange}:{check.canonical_symbol}".encode() for check in checks]
        await self._send(topics.KLINE_CHECKS, partition, keys, list(map(msgspec.json.encode, checks)))
        for check in checks:
            metrics.KLINE_CHECKS.labels(check.exchange, check.timeframe, check.status).inc()
            if check.status is Agreement.DIFFERENT:
                wrong = zip(check.fields, check.ours, check.theirs, strict=True)
                logger.warning(
                    "%s %s %s %s: %s",
                    *(check.exchange, check.canonical_symbol, check.timeframe),
                    clock.format_utc(check.open_time),
                    "; ".join(f"{name} is {ours}, the exchange has {theirs}" for name, ours, theirs in wrong),
                    extra={
                        "exchange": check.exchange,
                        "symbol": check.canonical_symbol,
                        "timeframe": check.timeframe,
                    },
                )
