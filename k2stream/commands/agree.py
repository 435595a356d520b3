"""`k2 agree`: whether the candles are those that the exchanges themselves have."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from k2stream.clickhouse import agreement
from k2stream.clickhouse.agreement import AgreementCount, KlineDifference, Scope
from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.commands.validate import MAX_HOURS
from k2stream.commands.views.agreement import differences_shown, summary_shown
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.platform.running import reached
from k2stream.settings import Settings, current
from k2stream.topics import EXCHANGES

_HOUR_MS = 3_600_000


@click.command()
@click.option("--exchange", type=click.Choice(EXCHANGES), help="Only this exchange.")
@click.option("--timeframe", type=click.Choice(tuple(TIMEFRAMES)), help="Only this timeframe.")
@click.option(
    "--hours",
    default=24.0,
    show_default=True,
    type=options.Number(0, MAX_HOURS, min_open=True),
    help="How far back to look.",
)
@click.option("--differences", is_flag=True, help="List the candles that differ, and what explains it.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many of them at most."
)
@printed
def agree(
    exchange: str | None, timeframe: str | None, hours: float, differences: bool, limit: int, *, out: Printer
) -> None:
    """Show how many final candles equal the exchange's own kline, digit for digit.

    The `certify` worker compares each candle a minute after it became final. Candles are never changed by it.
    """
    settings = reached(current())
    now = clock.now_us() // 1000
    scope = Scope(max(now - int(hours * _HOUR_MS), 0), now, exchange or "", timeframe or "")
    database, found = settings.clickhouse.database, list[KlineDifference]()
    with agreement.reading(settings.clickhouse) as client:
        counts = agreement.summary(client, database, scope)
        if differences:
            found = list(agreement.differences(client, database, scope, limit))
    if settings.feeds.simulated:
        out.note("SIMULATED exchanges", "yellow")
    view = differences_shown(found) if differences else summary_shown(counts)
    out.show(_value(settings, counts, found, listed=differences), view)
    if not counts:
        out.note(f"no candle of the last {hours:g} hours has been compared yet")
    elif differences:
        out.say(f"{len(found):,} of {sum(row.different for row in counts):,} candles that differ")


def _value(
    settings: Settings, counts: list[AgreementCount], found: list[KlineDifference], *, listed: bool
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "simulated": settings.feeds.simulated,
        "agreement": [row._asdict() for row in counts],
    }
    if listed:
        body["differences"] = [asdict(each) for each in found]
    return body
