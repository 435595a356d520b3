"""`k2 explain binance BTC/USDT 1m 2026-11-20T13:30`: shows the certificate of a candle, and verifies it."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from k2stream import instruments
from k2stream.clickhouse import agreement, certificates
from k2stream.clickhouse.candles import HotTier
from k2stream.commands import options
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.certificate import certificate_shown
from k2stream.history.tiers import CandleSpan
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.certificate import Certificate
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.platform.running import reached
from k2stream.read import arguments
from k2stream.reconcile.certificates.run import COPIES, CertificateCheck, verify
from k2stream.reconcile.certificates.stored import of_candle
from k2stream.settings import Settings, current
from k2stream.topics import EXCHANGES


@click.command()
@click.argument("exchange", metavar="EXCHANGE", type=click.Choice(EXCHANGES))
@click.argument("symbol")
@click.argument("timeframe", metavar="TIMEFRAME", type=click.Choice(list(TIMEFRAMES)))
@click.argument("time", type=options.Moment())
@click.option("--verify", "verifies", is_flag=True, help="Fold its trades again, and compare.")
@click.option(
    "--copy",
    type=click.Choice(list(COPIES)),
    help="With --verify, its trades from this copy; otherwise from the first that has them all.",
)
@printed
def explain(
    exchange: str, symbol: str, timeframe: str, time: int, verifies: bool, copy: str | None, *, out: Printer
) -> None:
    """Show the certificate of the candle that a TIME is in: what it was folded from, and its revisions.

    TIMEFRAME is a stored one: 1m, 5m, 15m, 30m, 1h or 1d. A candle of another is folded from these when it is
    read, and has theirs.

    With --verify, exits 1 unless trades and certificate are as certified: also when the trades are in no copy
    any more, or the certificate has no digest.
    """
    settings = reached(current())
    instrument = arguments.instrument(instruments.load(settings.feeds.instruments_file), exchange, symbol)
    which = instrument, timeframe, time // TIMEFRAMES[timeframe] * TIMEFRAMES[timeframe]
    with agreement.reading(settings.clickhouse) as client:
        of = certificates.stored(client, settings.clickhouse.database, *which)
        kline = certificates.kline_check(client, settings.clickhouse.database, *which)
    if of is None:
        raise ConfigError(
            f"{exchange} {instrument.canonical} {timeframe} {clock.format_utc(which[2])}: no certificate is "
            "stored: it had no trades, is not final yet, or was final before certificates were"
        )
    found = asyncio.run(_verified(settings, instrument, of, copy)) if verifies else None
    value = {"certificate": of, "kline": kline, "verified": _value(found) if found else None}
    out.show(msgspec.to_builtins(value), certificate_shown(of, kline, found))
    if found is not None and (found.faults or not found.copy):
        raise SystemExit(FAILED)


async def _verified(
    settings: Settings, instrument: Instrument, of: Certificate, copy: str | None
) -> CertificateCheck:
    (found,) = await verify(settings, [of], COPIES[copy] if copy else None)
    span = CandleSpan(1, of.open_time, of.open_time + 1)
    tier = HotTier(settings.clickhouse)
    candles = await asyncio.to_thread(tier.candles, instrument, of.timeframe, span)
    more = of_candle(of, candles[0] if candles else None)
    return found._replace(faults=(*found.faults, *more))


def _value(found: CertificateCheck) -> dict[str, Any]:
    return {
        "copy": found.copy or None,
        "faults": [{"kind": str(fault.kind), "text": fault.text} for fault in found.faults],
        "reason": found.reason,
    }
