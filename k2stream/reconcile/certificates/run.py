"""Verifies certificates: reads their trades, and those of other copies where they are not as certified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k2stream.model.certificate import Certificate
from k2stream.reconcile.certificates import again, check, feeds
from k2stream.reconcile.certificates.again import Trades
from k2stream.reconcile.certificates.check import CertificateFault, Wrong
from k2stream.reconcile.oracle.copies import (
    CLICKHOUSE,
    ICEBERG,
    LOOKBACK_US,
    RAW,
    TradesOfCopy,
    TradeSpanWanted,
    trades_of,
)
from k2stream.settings import Settings

COPIES = {"raw": RAW, "iceberg": ICEBERG, "clickhouse": CLICKHOUSE}
"""Where the raw records are, in the order in which they are asked for."""


class CertificateCheck(NamedTuple):
    """The result for one certificate: the copy it was compared with, and what is wrong.

    `copy` is "" when no copy has its trades any more, or when it has no digest: then `reason` says so.
    """

    certificate: Certificate
    copy: str
    faults: tuple[CertificateFault, ...] = ()
    reason: str = ""


class Copies:
    """The trades of some certificates, of each copy that is asked for."""

    def __init__(self, settings: Settings, certificates: Sequence[Certificate]) -> None:
        self._settings = settings
        self._wanted = [
            TradeSpanWanted(of.exchange, of.symbol, of.raw_partition, of.open_time * 1000, of.raw_offset)
            for of in certificates
        ]
        self._read: dict[str, TradesOfCopy | None] = {}

    async def read(self, name: str) -> TradesOfCopy | None:
        """A copy's trades; None when it does not have them all."""
        if name not in self._read:
            self._read[name] = await trades_of(self._settings, self._wanted, name) if self._wanted else None
        return self._read[name]

    async def mine(self, name: str, of: Certificate) -> Trades:
        """A copy's trades of one candle."""
        held = await self.read(name)
        return again.of_candle(held.trades.get((of.exchange, of.symbol), []), of) if held else []


async def verify(
    settings: Settings, certificates: Sequence[Certificate], copy: str | None = None
) -> list[CertificateCheck]:
    """Fold the trades of certificates again, from `copy`, by default the first that has them all.

    Where a copy's trades are not as certified, the others are asked which of the two is wrong.
    """
    held = Copies(settings, [item for item in certificates if item.sha256])
    first = ""
    for name in (copy,) if copy else COPIES.values():
        if await held.read(name) is not None:
            first = name
            break
    told = await feeds.events(settings.kafka)
    found: list[CertificateCheck] = []
    for item in certificates:
        if not item.sha256:
            found.append(CertificateCheck(item, "", reason=item.reason or "it has no digest"))
        elif not first:
            reason = f"its trades are no longer in {copy or 'any copy'}"
            found.append(CertificateCheck(item, "", reason=reason))
        else:
            found.append(CertificateCheck(item, first, tuple(await _faults(item, held, first, told))))
    return found


async def _faults(of: Certificate, held: Copies, first: str, told: feeds.FeedPast) -> list[CertificateFault]:
    copy = await held.read(first)
    trades = await held.mine(first, of)
    faults = _doubled(of, copy, trades, first)
    proven = trades
    if again.digest(trades, of.timeframe) != of.sha256:
        others = {name: await held.mine(name, of) for name in COPIES.values() if name != first}
        there = next(
            (name for name, rows in others.items() if again.digest(rows, of.timeframe) == of.sha256), None
        )
        if there is not None:
            proven = others[there]
            faults += check.of_copy(trades, proven, {"here": first, "there": there})
        elif not trades or trades not in others.values():
            return [*faults, *check.of_one_copy(of, trades, first)]
    return [*faults, *check.of_certificate(of, proven, feeds.known(of, _earlier(of, copy), told))]


def _doubled(
    of: Certificate, copy: TradesOfCopy | None, trades: Trades, where: str
) -> list[CertificateFault]:
    doubled = copy.doubled if copy else set()
    return [
        CertificateFault(Wrong.DOUBLED, f"{check.named(trade)} is in {where} more than once")
        for trade in trades
        if (of.exchange, trade.raw_partition, trade.raw_offset) in doubled
    ]


def _earlier(of: Certificate, copy: TradesOfCopy | None) -> Trades:
    """The trades right before a candle."""
    end = of.open_time * 1000
    trades = copy.trades.get((of.exchange, of.symbol), []) if copy else []
    return [trade for trade in trades if end - LOOKBACK_US <= trade.timestamp < end]
