"""Shows a certificate on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.model import clock
from k2stream.model.certificate import Certificate, FeedSpan, IdRange, RawRange
from k2stream.model.kline_checks import Agreement, KlineCheck
from k2stream.reconcile.certificates.run import CertificateCheck

MOST = 5
"""So many ranges of ids are shown."""


def certificate_shown(
    of: Certificate, kline: KlineCheck | None, found: CertificateCheck | None
) -> RenderableType:
    """A certificate, the exchange's own kline, and the result of a verification."""
    lines = Table(box=None, pad_edge=False, show_header=False)
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column(overflow="fold")
    for name, value in (*_lines(of), ("kline", _kline(of, kline))):
        lines.add_row(name, Text(value))
    title = Text.assemble((of.name, "bold"), (f" revision {of.revision}", "dim"))
    return Group(title, lines, *(_verified(found) if found else ()))


def _kline(of: Certificate, kline: KlineCheck | None) -> str:
    if kline is None or kline.revision != of.revision:
        return "not compared with the exchange's own yet"
    if kline.status is Agreement.EQUAL:
        return f"equal to the exchange's own, {clock.format_utc(kline.checked_time // 1000)}"
    if kline.status is Agreement.NOT_COMPARABLE:
        return f"not comparable: {kline.reason}"
    values = zip(kline.fields, kline.ours, kline.theirs, strict=True)
    return "; ".join(f"{name} is {ours}, the exchange has {theirs}" for name, ours, theirs in values)


def _lines(of: Certificate) -> Iterator[tuple[str, str]]:
    yield "candle", f"open {of.open}  high {of.high}  low {of.low}  close {of.close}"
    yield "", f"volume {of.volume}  quote {of.quote_volume}"
    more = "" if of.records == of.trade_count else f" in {of.records:,} records"
    yield "trades", f"{of.trade_count:,}{more}, {_clock(of.first_trade_time)} to {_clock(of.last_trade_time)}"
    if of.first_id is not None:
        yield "ids", f"{of.first_id} to {of.last_id}"
    yield "missing", _ids(of.missing)
    if of.missing_before:
        yield "  before it", f"{_ids(of.missing_before)} (of this candle or an earlier one)"
    yield "filled", _ids(of.filled) if of.filled is not None else _fetched(of)
    yield "feed", _feed(of.feed)
    yield "raw", f"{of.raw_topic}[{of.raw_partition}]"
    for name, stretch in (("live", of.live), ("fetched", of.fetched)):
        if stretch:
            yield "", f"{name}: {_stretch(stretch)}"
    for place, item in enumerate(of.revisions):
        when = clock.format_utc(item.time)
        text = f"{item.revision}  {when}  {item.cause}  up to raw offset {item.raw_offset}"
        yield "" if place else "revisions", text
    yield "sha256", of.sha256 or f"none: {of.reason}"


def _ids(ranges: Sequence[IdRange] | None) -> str:
    if ranges is None:
        return "the exchange's ids do not tell"
    count = sum(item.last - item.first + 1 for item in ranges)
    if not count:
        return "none"
    shown = [str(r.first) if r.first == r.last else f"{r.first} to {r.last}" for r in ranges[:MOST]]
    more = f", and {len(ranges) - MOST} more ranges" if len(ranges) > MOST else ""
    return f"{count:,}: {', '.join(shown)}{more}"


def _fetched(of: Certificate) -> str:
    return f"{of.fetched.records:,} trades were fetched later" if of.fetched else "none"


def _feed(spans: Sequence[FeedSpan] | None) -> str:
    if spans is None:
        return "unknown: its feed events had expired"
    if not spans:
        return "up all the time"
    parts = [f"{_clock(span.since)} to {_clock(span.until)}" for span in spans[:MOST]]
    more = f", and {len(spans) - MOST} more" if len(spans) > MOST else ""
    return f"not up, or lost trades: {', '.join(parts)}{more}"


def _stretch(found: RawRange) -> str:
    return f"{found.records:,} records from offset {found.first} to {found.last}"


def _clock(us: int) -> str:
    return clock.format_utc(us // 1000)[11:]


def _verified(found: CertificateCheck) -> Iterator[Text]:
    if found.faults:
        yield Text(f"not as certified: {len(found.faults)} found", style="bold red")
        yield from (Text(f"  {fault.kind}: {fault.text}") for fault in found.faults)
    elif found.copy:
        yield Text(f"verified: folded again from {found.copy}, equal", style="bold green")
    else:
        yield Text(f"not verified: {found.reason}", style="bold yellow")
