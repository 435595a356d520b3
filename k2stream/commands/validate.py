"""`k2 validate`: checks that the ClickHouse layers agree with each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from k2stream.clickhouse.destination import connect
from k2stream.commands import options
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.reconcile import checks
from k2stream.reconcile.checks import Finding, Range
from k2stream.settings import current

_PATIENCE = 10.0
"""Seconds to wait for rows that a sink has not written yet."""

MAX_HOURS = 438_000
"""50 years, which is further back than any trade."""


@click.command()
@click.argument("names", nargs=-1, metavar="[CHECK]...")
@click.option(
    "--hours",
    default=24.0,
    show_default=True,
    type=options.Number(0, MAX_HOURS, min_open=True),
    help="How far back to look.",
)
@click.option(
    "--settle",
    default=60.0,
    show_default=True,
    type=options.Number(min=0),
    help="Seconds after which a trade or candle must be in every layer. 0 for feeds that have stopped.",
)
@click.option("--list", "listing", is_flag=True, help="Only list the checks.")
@printed
def validate(names: tuple[str, ...], hours: float, settle: float, listing: bool, *, out: Printer) -> None:
    """Run the checks of schemas/clickhouse/validate.sql, or those named; exits 1 when one fails.

    Looks into the running platform, or into the server of K2_CLICKHOUSE_…. Rows that are on their way are
    waited for.
    """
    wanted = _wanted(names)
    if settle >= hours * 3600:
        raise ConfigError(
            f"--settle {settle:g} seconds leave nothing of --hours {hours:g}: look further back"
        )
    if listing:
        for check in wanted:
            out.line({"check": check.name, "proves": check.proves}, f"{check.name}: {check.proves}")
        return
    settings = reached(current())
    now = datetime.now(UTC)
    within = Range(now - timedelta(hours=hours), now - timedelta(seconds=settle))
    client = connect(settings.clickhouse)
    failed = 0
    try:
        for finding in checks.run(client, settings, wanted, within, _PATIENCE):
            failed += not finding.ok
            out.line(_value(finding), *_line(finding))
    finally:
        client.disconnect()
    out.say(f"{len(wanted) - failed} of {len(wanted)} checks passed")
    if failed:
        raise SystemExit(FAILED)


def _wanted(names: tuple[str, ...]) -> list[checks.Check]:
    known = {check.name: check for check in checks.read()}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name} is not a check; use one of {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())


def _value(finding: Finding) -> dict[str, object]:
    check = finding.check
    return {
        "check": check.name,
        "ok": finding.ok,
        "rows": finding.rows,
        "example": finding.example,
        "error": finding.error,
        "proves": check.proves,
    }


def _line(finding: Finding) -> tuple[str, str]:
    """The line of a check, and its style."""
    name, proves, _ = finding.check
    if finding.error:
        return f"ERROR {name}: {finding.error}", "red"
    if finding.ok:
        return f"pass  {name}: {proves}", ""
    example = ", ".join(f"{column}={value}" for column, value in (finding.example or {}).items())
    return f"FAIL  {name}: {finding.rows:,} rows, e.g. {example} (proves: {proves})", "red"
