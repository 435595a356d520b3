"""Holds a certificate to a candle's trades, and names each thing that is not as it says (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from k2stream.model.certificate import VERSION, Certificate, FeedSpan, IdRange, RevisionCause
from k2stream.reconcile.certificates import again
from k2stream.reconcile.certificates.again import Trades
from k2stream.reconcile.oracle.copies import OracleTrade


class Wrong(StrEnum):
    """What is wrong: of the trades in a copy, or of the certificate."""

    MISSING = "trade missing"
    DOUBLED = "trade doubled"
    CHANGED = "trade changed"
    UNCERTIFIED = "trade not certified"
    DIGEST = "digest forged"
    FIELD = "field forged"
    REVISION = "revision forged"
    GAP = "gap hidden"
    CANDLE = "candle missing"


class CertificateFault(NamedTuple):
    """One thing that is wrong, in words for people."""

    kind: Wrong
    text: str


class KnownOfCandle(NamedTuple):
    """What is known apart from the trades of a candle.

    `earlier` are trades right before it. `counted`: its ids are of one numbering. `certain` are the spans
    that the feed had reported as lost by the time of the certificate, `possible` all that it has reported;
    None when feed events have expired.
    """

    earlier: Trades = ()
    counted: bool = True
    certain: Sequence[FeedSpan] | None = None
    possible: Sequence[FeedSpan] | None = None


def of_certificate(of: Certificate, trades: Trades, known: KnownOfCandle) -> Iterator[CertificateFault]:
    """What of a certificate is not as its trades say; `trades` are those that it certifies."""
    if of.version != VERSION:
        yield _fault(Wrong.FIELD, f"version {of.version} is not {VERSION}")
    if (found := again.digest(trades, of.timeframe)) != of.sha256:
        yield _fault(Wrong.DIGEST, f"its trades give {found}, the certificate says {of.sha256}")
    for name, value in again.fields(trades, of):
        if (said := getattr(of, name)) != value:
            kind = Wrong.REVISION if name in ("revision", "records") else Wrong.FIELD
            kind = Wrong.GAP if name == "filled" else kind
            yield _fault(kind, f"{name} is {_shown(value)}, the certificate says {_shown(said)}")
    if of.missing is not None and known.counted:
        yield from _ids(of, trades, known.earlier)
    yield from _revisions(of, trades)
    yield from _feed(of, known)


def _ids(of: Certificate, trades: Trades, earlier: Trades) -> Iterator[CertificateFault]:
    found, said = again.missing(trades), of.missing or ()
    if found != said:
        yield _fault(Wrong.GAP, f"ids missing are {_shown(found)}, the certificate says {_shown(said)}")
    before = again.missing_before(trades, earlier)
    claimed = of.missing_before or ()
    if any(not any(c.first <= gap.first and gap.last <= c.last for c in claimed) for gap in before):
        text = f"ids missing before it are {_shown(before)}, the certificate says {_shown(claimed)}"
        yield _fault(Wrong.GAP, text)


def _revisions(of: Certificate, trades: Trades) -> Iterator[CertificateFault]:
    listed = of.revisions
    if not listed or (listed[-1].revision, listed[-1].raw_offset) != (of.revision, of.raw_offset):
        yield _fault(Wrong.REVISION, f"revision {of.revision} is not the last one listed")
    for one, two in pairwise(listed):
        if not (one.revision < two.revision and one.time <= two.time and one.raw_offset < two.raw_offset):
            yield _fault(Wrong.REVISION, f"revision {two.revision} is listed after {one.revision}")
    before = -1
    for place, item in enumerate(listed):
        mine = [trade for trade in trades if trade.raw_offset <= item.raw_offset]
        if item.cause is not RevisionCause.UNKNOWN and len(mine) + 1 != item.revision:
            yield _fault(
                Wrong.REVISION,
                f"revision {item.revision}: {len(mine)} records up to raw offset {item.raw_offset} are "
                f"revision {len(mine) + 1}",
            )
        fetched = any(trade.fetched for trade in mine if trade.raw_offset > before)
        feed = of.feed if place == len(listed) - 1 else None
        if item.cause not in _causes(fetched, first=place == 0, feed=feed):
            came = "fetched trades" if fetched else "live trades only"
            yield _fault(
                Wrong.REVISION,
                f"revision {item.revision} brought {came}, its cause says {item.cause!s}",
            )
        before = item.raw_offset


def _causes(fetched: bool, *, first: bool, feed: Sequence[FeedSpan] | None) -> set[RevisionCause]:
    """The causes that a revision can have; `feed` is what the feed had lost by then, None if unknown."""
    if not fetched:
        return {RevisionCause.TRADE if first else RevisionCause.LATE, RevisionCause.UNKNOWN}
    if feed is None:
        return {RevisionCause.UNKNOWN, RevisionCause.BACKFILL, RevisionCause.GAP_FILLED}
    return {RevisionCause.UNKNOWN, RevisionCause.GAP_FILLED if feed else RevisionCause.BACKFILL}


def _feed(of: Certificate, known: KnownOfCandle) -> Iterator[CertificateFault]:
    if known.certain is None or known.possible is None or of.feed is None:
        return
    for span in known.certain:
        if not _covered(span, of.feed):
            yield _fault(Wrong.GAP, f"the feed was down or lost trades {_span(span)}, which is left out")
    for span in of.feed:
        if not _covered(span, known.possible):
            yield _fault(Wrong.FIELD, f"no feed event says that the feed was down {_span(span)}")


def _covered(span: FeedSpan, by: Sequence[FeedSpan]) -> bool:
    at = span.since
    for each in sorted(by, key=lambda item: item.since):
        if each.since <= at <= each.until:
            at = max(at, each.until)
    return at >= span.until and any(each.since <= span.since <= each.until for each in by)


def of_copy(trades: Trades, proven: Trades, names: Mapping[str, str]) -> Iterator[CertificateFault]:
    """How a copy's trades differ from the certified ones; `names` are those of both copies."""
    mine = {trade.raw_offset: trade for trade in trades}
    right = {trade.raw_offset: trade for trade in proven}
    here, there = names["here"], names["there"]
    for offset in sorted(right.keys() - mine.keys()):
        yield _fault(Wrong.MISSING, f"{named(right[offset])} is not in {here}, it is in {there}")
    for offset in sorted(mine.keys() - right.keys()):
        yield _fault(Wrong.UNCERTIFIED, f"{named(mine[offset])} is in {here}, it is not in {there}")
    for offset in sorted(mine.keys() & right.keys()):
        one, two = mine[offset], right[offset]
        if one != two:
            changed = [
                f"{name} is {_value(name, a)}, was {_value(name, b)}"
                for name, a, b in zip(OracleTrade._fields, one, two, strict=True)
                if a != b
            ]
            yield _fault(Wrong.CHANGED, f"{named(two)} in {here}: {', '.join(changed)}")


def of_one_copy(of: Certificate, trades: Trades, here: str) -> Iterator[CertificateFault]:
    """What can be said where no copy gives the certified digest, and there is none to compare with."""
    if of.missing is not None and not all(again.numbered(trades)):
        known = [*of.missing, *again.ranges(trade.trade_id for trade in trades)]
        for number in _unknown(of, known):
            yield _fault(Wrong.MISSING, f"the trade with id {number} is not in {here}")
    given = dict(again.fields(trades, of)) if trades else {}
    wrong = [name for name, value in given.items() if getattr(of, name) != value]
    more = len(trades) - of.records
    if more:
        what = f"{abs(more)} {'more' if more > 0 else 'fewer'} than certified"
        kind = Wrong.UNCERTIFIED if more > 0 else Wrong.MISSING
        yield _fault(kind, f"{here} has {len(trades)} of its trades, {what}")
    elif wrong:
        yield _fault(Wrong.CHANGED, f"a trade in {here}: it gives another {', '.join(wrong)}")
    else:
        yield _fault(
            Wrong.DIGEST,
            f"{here} gives the certified candle, and {again.digest(trades, of.timeframe)}",
        )


def _unknown(of: Certificate, known: Sequence[IdRange]) -> list[int]:
    """Ids between the first and the last that are neither there nor certified as missing."""
    if of.first_id is None or of.last_id is None or of.last_id - of.first_id > 10_000_000:
        return []
    at = of.first_id
    found: list[int] = []
    for item in sorted(known, key=lambda each: each.first):
        found += range(at, min(item.first, of.last_id + 1))
        at = max(at, item.last + 1)
    return [*found, *range(at, of.last_id + 1)][:100]


def named(trade: OracleTrade) -> str:
    """A trade by its id and place, for people."""
    title = f"trade {trade.trade_id}" if trade.trade_id else "a trade"
    return f"{title} at raw offset {trade.raw_partition}:{trade.raw_offset}"


def _value(name: str, value: object) -> str:
    return again.plain(value) if name in ("price", "quantity") and isinstance(value, int) else str(value)


def _span(span: FeedSpan) -> str:
    return f"from {span.since} to {span.until} µs"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value) or "none"
    if isinstance(value, IdRange):
        return str(value.first) if value.first == value.last else f"{value.first} to {value.last}"
    return "none" if value is None else str(value)


def _fault(kind: Wrong, text: str) -> CertificateFault:
    return CertificateFault(kind, text)
